import json
from pathlib import Path

import pytest

from analysis.reference.rebuild import contradictions, read_trials, rebuild_csv
from core.record import Record, read_record

PUBLISHED = Path(__file__).parents[3] / "reference/shapes"


@pytest.fixture
def trial(tmp_path):
    """A record in its place, with its path."""
    path = next(iter(sorted((PUBLISHED / "loss_terms/trials").glob("*.json"))))
    target = tmp_path / "loss_terms/trials" / path.name
    target.parent.mkdir(parents=True)
    target.write_bytes(path.read_bytes())
    return target, read_record(target)


def test_published_records_do_not_contradict_themselves():
    trials = read_trials(PUBLISHED / "loss_terms")
    assert trials
    assert [line for path, record in trials.items() for line in contradictions(path, record)] == []


def test_published_records_give_the_published_csv():
    committed = (PUBLISHED / "loss_terms.csv").read_text()
    assert rebuild_csv(committed, list(read_trials(PUBLISHED / "loss_terms").values())) == committed


@pytest.mark.parametrize(
    ("edit", "said"),
    [
        (lambda record: record["config"]["loss"].update(color_threshold=0.31), "one of them was edited"),
        (lambda record: record.update(seed=7), "one of them was edited"),
        (lambda record: record.update(data_digest="0"), "one of them was edited"),
        (lambda record: record.update(study="warmup"), "study 'warmup', expected 'loss_terms'"),
        (lambda record: record["metrics"].update(box_AP=99.0), "metrics.box_AP is 99.0, but the last epoch"),
        (lambda record: record["curves"][-1].update(box_AP=99.0), "but the last epoch of the curves has 99.0"),
        (lambda record: record["per_class"].update(star=99.0), "but the mean of per_class is"),
        (lambda record: record.update(code="0"), "one of them was edited"),
        (lambda record: record.update(key="0123456789abcdef"), "key 0123456789abcdef, but its config"),
    ],
)
def test_an_edited_record_contradicts_itself(trial, edit, said):
    path, record = trial
    edited = json.loads(record.to_json())
    edit(edited)
    lines = contradictions(path, Record(**edited))
    assert lines
    assert said in " ".join(lines)


def test_a_failed_trial_has_a_row_without_metrics(trial):
    _, record = trial
    record = record.changed(metrics={}, status="failed", reason="MemoryError: 3, 4")
    header = "study,arm,seed,trial_key,loss.dice,mask_AP,mask_AP50,mask_AP75,mask_APs,mask_APm,mask_APl,box_AP,"
    rebuilt = rebuild_csv(f"{header}mask_to_box_area,status,reason\n", [record])
    assert rebuilt.splitlines()[1].endswith(',,,,,,,,,failed,"MemoryError: 3, 4"')


def test_a_column_that_the_records_lack_is_named(trial):
    header = "study,arm,seed,trial_key,loss.new,mask_AP,mask_AP50,mask_AP75,mask_APs,mask_APm,mask_APl,box_AP,"
    with pytest.raises(ValueError, match=r"has no setting loss\.new"):
        rebuild_csv(f"{header}mask_to_box_area,status,reason\n", [trial[1]])
    with pytest.raises(ValueError, match="columns missing: mask_AP"):
        rebuild_csv("study,arm,seed,trial_key,status,reason\n", [trial[1]])
