"""The jobs of a study: their keys and order."""

from dataclasses import replace
from pathlib import Path

import pytest

from experiments.jobs import Job, list_jobs, longest_first
from experiments.planning import data_facts
from experiments.planning.data_facts import read_facts
from experiments.provenance import Provenance
from experiments.study import Study


def test_a_file_of_weights_counts_by_what_it_holds_not_by_where_it_lies(
    study: Study, made_from: Provenance, tmp_path: Path
) -> None:
    def key(path: Path, content: bytes) -> str:
        path.write_bytes(content)
        trial = study.trials[0]
        backbone = trial.config.model.backbone.model_copy(update={"weights": str(path)})
        model = trial.config.model.model_copy(update={"backbone": backbone})
        config = trial.config.model_copy(update={"model": model})
        return list_jobs(replace(study, trials=(replace(trial, config=config),)), made_from)[0].key

    first = key(tmp_path / "a.pkl", b"weights")
    assert key(tmp_path / "b.pkl", b"weights") == first
    assert key(tmp_path / "a.pkl", b"others") != first
    assert list_jobs(study, made_from)[0].key != first


def test_mask_rcnn_starts_first(jobs: list[Job]) -> None:
    trial = jobs[1].trial
    model = trial.config.model.model_copy(update={"architecture": "mask_rcnn"})
    slow = replace(jobs[1], trial=replace(trial, config=trial.config.model_copy(update={"model": model})))
    assert longest_first([jobs[0], jobs[1], slow]) == [slow, jobs[0], jobs[1]]


def test_a_missing_data_folder_is_named(study: Study, made_from: Provenance, tmp_path: Path) -> None:
    trial = study.trials[0]
    data = trial.config.data.model_copy(update={"root": str(tmp_path / "nowhere")})
    moved = replace(study, trials=(replace(trial, config=trial.config.model_copy(update={"data": data})),))
    with pytest.raises(ValueError, match=r"data\.root '.*nowhere': no such folder; expected instances_train\.json"):
        list_jobs(moved, made_from)


def test_studies_that_share_a_data_set_read_it_once(study: Study, made_from: Provenance, monkeypatch) -> None:
    read = []
    monkeypatch.setattr(data_facts, "read_facts", lambda data: read.append(data.root) or read_facts(data))
    data = data_facts.KnownData()
    first = list_jobs(study, made_from, data=data)
    assert list_jobs(replace(study, name="other"), made_from, data=data)[1].key == first[1].key
    assert len(read) == 1
