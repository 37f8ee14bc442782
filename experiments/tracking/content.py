"""What MLflow shows of a study and its trials, as plain data under stable names."""

import json
from pathlib import Path
from typing import Any

from core.checkpoints.checkpoint import CHECKPOINT
from core.config.dotted import leaves
from core.config.loss import MASK_TERMS
from core.record import Record
from experiments.jobs import Job
from experiments.search.stopped_early import is_stopped_early
from experiments.study import Study

LONGEST_TAG = 5000  # characters, accepted by every server
PARENT = "mlflow.parentRunId"  # this tag and those below have a meaning in MLflow
DESCRIPTION = "mlflow.note.content"
GIT_COMMIT = "mlflow.source.git.commit"
TABLES = "mlflow.loggedArtifacts"
SOURCE = {"mlflow.source.name": "experiments.run"}


def describe_study(study: Study) -> str:
    """Question, expectation and source of a study, in Markdown."""
    parts = [study.question, f"Expected: {study.expectation}", f"Source: {study.source}"]
    compared = [f"Compared with: {study.reference_arm}"] if study.reference_arm is not None else []
    return "\n\n".join([*parts, *compared])


def parameters(job: Job) -> dict[str, str]:
    """Every setting of a trial by dotted name, its arm and its seed.

    The seed and the values that the study varies stand beside it as `arm.<name>`: MLflow's Compare sorts by name, so
    these come first.
    """
    settings = leaves(job.trial.config.model_dump(mode="json"))
    of_arm = {f"arm.{name}": value for name, value in ({"seed": job.trial.seed} | job.trial.varied).items()}
    own = {"arm": job.trial.arm, "seed": job.trial.seed}
    return {name: str(value)[:LONGEST_TAG] for name, value in (settings | own | of_arm).items()}


def tags_at_start(job: Job, parent_id: str) -> dict[str, str]:
    """Tags of a trial before it runs; arm, seed and the values that its study varies are tags too, to be columns."""
    made_from, trial = job.provenance, job.trial
    varied = {name: str(value)[:LONGEST_TAG] for name, value in trial.varied.items()}
    return {
        **varied,
        PARENT: parent_id,
        "arm": trial.arm,
        "seed": str(trial.seed),
        "recipe": trial.config.name,
        GIT_COMMIT: made_from.git_revision or "none",
        "git_dirty": str(made_from.git_dirty),
        "data_digest": job.data_digest,
        "code_digest": made_from.code,
    }


def tags_at_end(record: Record, folder: Path) -> dict[str, str]:
    """Tags of a trial that has a record; they may differ from the start if the record comes from the store."""
    return {
        "status": "stopped_early" if is_stopped_early(record) else record.status,
        "reason": record.reason[:LONGEST_TAG],
        "device": record.device or "unknown",
        "precision": record.precision or "unknown",
        "checkpoint": str(Path(folder.parent.name, folder.name, CHECKPOINT)),  # in the project, which may be moved
        "host": record.host or "unknown",
        "process": str(record.process or "unknown"),
        "rank": str(record.rank if record.rank is not None else "unknown"),
        GIT_COMMIT: record.git_revision or "none",
        "git_dirty": str(record.git_dirty),
    }


def epoch_metrics(numbers: dict[str, float | None]) -> dict[str, float | None]:
    """The numbers of one epoch, and the share of the pairwise term in the mask loss, if there is such a term.

    loss/<term> is weighted, including warm-up; loss/<term>_unweighted is not; pairwise_warmup is the factor.
    """
    terms = {name: numbers.get(f"loss/{name}") for name in MASK_TERMS}
    present = {name: value for name, value in terms.items() if value is not None}
    pairwise = [value for name, value in present.items() if MASK_TERMS[name].pairwise]
    total = sum(present.values())
    return numbers | ({"pairwise_share": sum(pairwise) / total} if pairwise and total > 0 else {})


def final_metrics(record: Record) -> dict[str, float | None]:
    """final/<metric>, final/seconds, final/peak_memory_mb, and class/<class name>, its mask AP in percent."""
    return {
        **{f"final/{name}": value for name, value in record.metrics.items()},
        **{f"class/{plain_name(name)}": value for name, value in record.per_class.items()},
        "final/seconds": record.seconds,
        "final/peak_memory_mb": record.peak_memory_mb,
    }


def class_rows(record: Record) -> list[dict[str, Any]]:
    """Mask AP in percent, one row per class; None for a class without annotations."""
    return [{"class": name, "mask_AP": value} for name, value in record.per_class.items()]


def as_table(rows: list[dict[str, Any]]) -> str:
    """JSON of rows with equal keys in pandas' `split` format, which MLflow shows as a table."""
    columns = list(rows[0])
    return json.dumps({"columns": columns, "data": [[row[column] for column in columns] for row in rows]})


def table_tag(name: str) -> str:
    """The value of the tag `TABLES` that lets MLflow show `<name>.json` as a table."""
    return json.dumps([{"path": f"{name}.json", "type": "table"}])


def plain_name(name: str) -> str:
    """A name of a class or an arm with only the characters that MLflow accepts in a metric name."""
    return "".join(letter if letter.isalnum() or letter in " _-." else "_" for letter in name)
