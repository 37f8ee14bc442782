"""What a study found, for the run of its sweep: the mask AP of each arm over its seeds, as metrics and as a table."""

import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from statistics import fmean, stdev

from core.record import Record
from experiments.jobs import Job
from experiments.study import Study
from experiments.tracking.content import LONGEST_TAG, plain_name

AP = "mask_AP"
CONFIDENCE = 0.95
MOST_IN_A_LINE = 10  # arms
LONGEST_TABLE = LONGEST_TAG - 1500  # characters; question, expectation and source stand beside it
INTERVAL = f"{AP}_interval"  # MLflow draws the metrics before a slash as one section: mask AP first, then this one


@dataclass(frozen=True)
class ArmResult:
    """`records` are those of its finished trials, `missing` why others have no result."""

    arm: str
    label: str
    records: tuple[Record, ...]
    missing: tuple[str, ...]

    def values(self, metric: str) -> list[float]:
        """One number a seed; those that could not be measured are left out."""
        return [value for record in self.records if (value := record.metrics.get(metric)) is not None]

    def mean(self, metric: str = AP) -> float | None:
        values = self.values(metric)
        return fmean(values) if values else None

    def interval(self) -> tuple[float, float] | None:
        """Student's 95 % interval of the mean mask AP; None for fewer than two seeds."""
        values = self.values(AP)
        if len(values) < 2:
            return None
        from scipy.stats import t as student_t  # takes a second: only if there are several seeds

        half = float(student_t.ppf((1 + CONFIDENCE) / 2, len(values) - 1)) * stdev(values) / math.sqrt(len(values))
        return fmean(values) - half, fmean(values) + half


def arm_results(study: Study, jobs: Sequence[Job], records: Mapping[str, Record]) -> list[ArmResult]:
    """The result of each arm in the order of the study; `records` are by key."""
    results = []
    for arm in study.arms:
        ended = [records[job.key] for job in jobs if job.trial.arm == arm and job.key in records]
        failed = [f"seed {record.seed}: {record.reason}" for record in ended if record.status != "ok"]
        finished = tuple(record for record in ended if record.status == "ok")
        results.append(ArmResult(arm, study.label(arm), finished, tuple(failed)))
    left_out = {trial.arm: reason for trial, reason in study.left_out}
    return results + [ArmResult(arm, study.label(arm), (), (reason,)) for arm, reason in left_out.items()]


def summary_metrics(results: Sequence[ArmResult]) -> dict[str, float]:
    """mask_AP/<arm>, in percent, and with several seeds mask_AP_interval/<arm> low and high."""
    metrics = {}
    for result in results:
        if (mean := result.mean()) is not None:
            metrics[metric_of(result.arm)] = mean
        if (interval := result.interval()) is not None:
            name = plain_name(result.arm)
            metrics |= {f"{INTERVAL}/{name} {end}": value for end, value in zip(("low", "high"), interval, strict=True)}
    return metrics


def metric_of(arm: str) -> str:
    """The name of the metric that shows the mean mask AP of an arm."""
    return f"{AP}/{plain_name(arm)}"


def headline(sweep: str, results: Sequence[ArmResult]) -> str:
    """Mask AP by arm, as runs name it, the best first: short, to fit a line. Empty without a result."""
    known = sorted(((mean, result.arm) for result in results if (mean := result.mean()) is not None), reverse=True)
    shown = ", ".join(f"{arm} {mean:.1f}" for mean, arm in known[:MOST_IN_A_LINE])
    rest = f", and {len(known) - MOST_IN_A_LINE} more" if len(known) > MOST_IN_A_LINE else ""
    return f"Mask AP ({sweep}): {shown}{rest}" if known else ""


def describe_results(study: Study, recipe: str, results: Sequence[ArmResult]) -> str:
    """Table, question and expectation in Markdown: MLflow shows the first six lines, the rest on a click."""
    return f"{result_table(study, recipe, results)}\n\n{study.question}\n\nExpected: {study.expectation}"


def result_table(study: Study, recipe: str, results: Sequence[ArmResult]) -> str:
    """The table of the arms in Markdown, and why arms have no result."""
    reference = next((result.mean() for result in results if result.arm == study.reference_arm), None)
    share = [f"% of {study.label(study.reference_arm)}"] if study.reference_arm is not None and reference else []
    header = ["arm", "mask AP", *share, "95 % interval", "seeds", "AP50", "box AP"]
    lines = [_row(header), _row(["---", *["---:"] * (len(header) - 1)])]
    ending = ["", f"Recipe `{recipe}`; AP in percent, the mean over the seeds (± standard deviation)."]
    ending += [f"No result: {result.label}: {'; '.join(result.missing)}." for result in results if result.missing]
    return _fitting(lines, [_row(_cells(result, reference if share else None)) for result in results], ending)


def _cells(result: ArmResult, reference: float | None) -> list[str]:
    values, mean, interval = result.values(AP), result.mean(), result.interval()
    spread = f" ± {stdev(values):.1f}" if len(values) > 1 else ""
    share = [] if reference is None else ["-" if mean is None else f"{100 * mean / reference:.0f}"]
    ends = "-" if interval is None else f"{interval[0]:.1f} to {interval[1]:.1f}"
    others = [_number(result.mean(metric)) for metric in ("mask_AP50", "box_AP")]
    return [result.label, f"{_number(mean)}{spread}", *share, ends, str(len(values)), *others]


def _number(value: float | None) -> str:
    return "-" if value is None else f"{value:.1f}"


def _row(cells: Sequence[str]) -> str:
    return f"| {' | '.join(' '.join(cell.split()).replace('|', chr(92) + '|') for cell in cells)} |"


def _fitting(lines: list[str], rows: list[str], ending: list[str]) -> str:
    """The text with as many of the rows as fit; says how many are left out."""
    shown = len(rows)
    while shown:
        rest = [] if shown == len(rows) else ["", f"... and {len(rows) - shown} more arms."]
        text = "\n".join([*lines, *rows[:shown], *rest, *ending])
        if len(text) <= LONGEST_TABLE:
            return text
        shown -= 1
    return "\n".join([*lines, *ending])[:LONGEST_TABLE]
