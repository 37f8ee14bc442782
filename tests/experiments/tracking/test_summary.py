"""Metrics and table of a sweep: worked by hand, in the order of the study, short enough for a tag."""

from collections.abc import Callable
from dataclasses import replace

import pytest

from core.record import Record
from experiments.jobs import Job, list_jobs
from experiments.provenance import Provenance
from experiments.study import Study
from experiments.tracking.summary import (
    LONGEST_TABLE,
    arm_results,
    describe_results,
    headline,
    metric_of,
    summary_metrics,
)


@pytest.fixture
def seeds(study: Study, made_from: Provenance) -> tuple[Study, list[Job]]:
    """The study `pair` with seeds 0, 1 and 2."""
    trials = tuple(replace(trial, seed=seed) for trial in study.trials for seed in (0, 1, 2))
    study = replace(study, seeds=(0, 1, 2), trials=trials, labels={"a": "without | Dice"})
    return study, list_jobs(study, made_from)


def finished(record: Record, mask_ap: float) -> Record:
    return record.changed(metrics={"mask_AP": mask_ap, "mask_AP50": 2 * mask_ap, "box_AP": None})


def test_several_seeds_give_a_mean_and_students_interval(
    seeds: tuple[Study, list[Job]], record_of: Callable[[Job], Record]
) -> None:
    study, jobs = seeds
    values = {("a", 0): 9.0, ("a", 1): 10.0, ("a", 2): 11.0, ("b", 0): 40.0, ("b", 1): 40.0}
    records = {
        job.key: finished(record_of(job), values[job.trial.arm, job.trial.seed])
        for job in jobs
        if (job.trial.arm, job.trial.seed) in values
    }
    failed = record_of(jobs[-1]).changed(status="failed", reason="step 7: not finite")
    results = arm_results(study, jobs, records | {jobs[-1].key: failed})
    assert summary_metrics(results) == pytest.approx(
        {
            "mask_AP/a": 10.0,
            "mask_AP_interval/a low": 10 - 2.4841,  # t(0.975, 2) = 4.3027, sd 1: 4.3027 / sqrt(3)
            "mask_AP_interval/a high": 10 + 2.4841,
            "mask_AP/b": 40.0,
            "mask_AP_interval/b low": 40.0,
            "mask_AP_interval/b high": 40.0,
        },
        abs=1e-4,
    )
    assert describe_results(study, "tiny", results).splitlines() == [
        "| arm | mask AP | % of b | 95 % interval | seeds | AP50 | box AP |",
        "| --- | ---: | ---: | ---: | ---: | ---: | ---: |",
        "| without \\| Dice | 10.0 ± 1.0 | 25 | 7.5 to 12.5 | 3 | 20.0 | - |",
        "| b | 40.0 ± 0.0 | 100 | 40.0 to 40.0 | 2 | 80.0 | - |",
        "",
        "Recipe `tiny`; AP in percent, the mean over the seeds (± standard deviation).",
        "No result: b: seed 2: step 7: not finite.",
        "",
        "q",
        "",
        "Expected: a < b",
    ]


def test_an_arm_without_a_result_has_a_row_and_no_metric(
    study: Study, made_from: Provenance, record_of: Callable[[Job], Record]
) -> None:
    jobs = list_jobs(study, made_from)
    results = arm_results(study, jobs, {jobs[0].key: finished(record_of(jobs[0]), 5.0)})
    assert summary_metrics(results) == {"mask_AP/a": 5.0}  # one seed has no interval
    text = describe_results(study, "tiny", results)
    assert "| a | 5.0 | - | 1 | 10.0 | - |\n| b | - | - | 0 | - | - |" in text  # no share: the reference has no result


def test_an_arm_that_was_left_out_says_why(study: Study, made_from: Provenance) -> None:
    study = replace(study, arms=("a",), trials=study.trials[:1], left_out=((study.trials[1], "no file 'm.json'"),))
    text = describe_results(study, "tiny", arm_results(study, list_jobs(study, made_from), {}))
    assert "| b | - | - | 0 | - | - |" in text
    assert "No result: b: no file 'm.json'." in text


def test_a_table_that_is_too_long_for_a_tag_says_how_many_arms_it_lacks(study: Study) -> None:
    names = tuple(f"learning_rate={rate}" for rate in range(400))
    text = describe_results(study, "tiny", arm_results(replace(study, arms=names), [], {}))
    assert LONGEST_TABLE - 100 < len(text) <= LONGEST_TABLE + 100
    shown = text.count("| learning rate = ")
    assert f"... and {400 - shown} more arms." in text
    assert text.endswith("Expected: a < b")


def test_the_line_of_an_experiment_has_the_best_arms_first(
    study: Study, made_from: Provenance, record_of: Callable[[Job], Record]
) -> None:
    jobs = list_jobs(study, made_from)
    records = {job.key: finished(record_of(job), ap) for job, ap in zip(jobs, (5.0, 7.25), strict=True)}
    assert headline("tiny, 1 seed", arm_results(study, jobs, records)) == "Mask AP (tiny, 1 seed): b 7.2, a 5.0"
    assert headline("tiny, 3 seeds", arm_results(study, jobs, {})) == ""
    many = arm_results(study, jobs, records) * 6
    assert headline("tiny, 3 seeds", many).endswith("a 5.0, and 2 more")


def test_names_of_metrics_have_only_what_mlflow_takes() -> None:
    assert metric_of("both,color_threshold=0.1") == "mask_AP/both_color_threshold_0.1"
