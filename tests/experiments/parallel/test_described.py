"""Ray's tools show what a trial is: its names, and the values that vary in the sweep."""

from dataclasses import replace
from pathlib import Path

from experiments.jobs import list_jobs
from experiments.parallel.described import KEY, describe_job, describe_jobs, name_trial, search_for
from experiments.provenance import Provenance
from experiments.study import Study
from tests.experiments.conftest import study_of

OTHER = "question: q\nsource: s\nexpectation: none\nvary: {model.pyramid_channels: [16, 32]}\n"


class Trial:
    def __init__(self, config: dict) -> None:
        self.config = config


def test_each_job_is_one_trial_with_its_names_and_all_values_that_vary(
    study: Study, shapes: Path, tmp_path: Path, made_from: Provenance
) -> None:
    other = study_of(OTHER, "other", shapes, tmp_path)
    jobs = [*list_jobs(study, made_from), *list_jobs(other, made_from)]
    configs = describe_jobs(jobs)
    assert configs == [
        {KEY: jobs[0].key, "study": "pair", "arm": "a", "seed": 0, "loss.dice": 0.0, "model.pyramid_channels": 16},
        {KEY: jobs[1].key, "study": "pair", "arm": "b", "seed": 0, "loss.dice": 2.0, "model.pyramid_channels": 16},
        {KEY: jobs[2].key, "study": "other", "arm": "pyramid_channels=16", "seed": 0, "loss.dice": 1.0}
        | {"model.pyramid_channels": 16},
        {KEY: jobs[3].key, "study": "other", "arm": "pyramid_channels=32", "seed": 0, "loss.dice": 1.0}
        | {"model.pyramid_channels": 32},
    ]
    space, _ = search_for(configs, 1)
    assert all(space[name].is_valid(value) for config in configs for name, value in config.items())
    assert [name_trial(Trial(config)) for config in configs] == [
        "pair-a-seed0",
        "pair-b-seed0",
        "other-pyramid_channels=16-seed0",
        "other-pyramid_channels=32-seed0",
    ]


def test_values_that_are_lists_are_shown_as_text(study: Study, made_from: Provenance) -> None:
    job = list_jobs(replace(study, trials=study.trials[:1]), made_from)[0]
    assert describe_job(job, ["data.short_sides", "training.steps"]) == {
        KEY: job.key,
        "study": "pair",
        "arm": "a",
        "seed": 0,
        "data.short_sides": "(64,)",
        "training.steps": None,
    }
