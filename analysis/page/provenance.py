"""Where the numbers of a study come from: keys, runs, digests and versions of its trials, and settings of its arms."""

from dataclasses import dataclass
from typing import Any

import pandas as pd
import yaml

from analysis.scale import machine
from analysis.study import Study
from core.config.dotted import leaves
from core.record import Record

UNKNOWN = "not recorded"


@dataclass(frozen=True)
class TrialOrigin:
    """One trial as text for readers; fields from the record have defaults, in case it was not stored.

    `record_path` is relative to the results folder.
    """

    seed: int
    mask_ap: str  # all digits of the CSV; empty for a hole
    reason: str  # of a hole
    key: str
    record_path: str = ""
    mlflow_run: str = ""  # its id; empty if not recorded
    seconds: str = UNKNOWN
    device: str = UNKNOWN
    data_digest: str = UNKNOWN
    code: str = UNKNOWN
    git_revision: str = UNKNOWN


@dataclass(frozen=True)
class ArmOrigin:
    """`differing` holds the settings in which the arms of the study differ, `config` all settings as YAML.

    `configs_differ` is True if the trials of this arm have several configs; the first is shown.
    """

    arm: str
    label: str
    anchor: str
    differing: dict[str, str]
    config: str
    configs_differ: bool
    trials: tuple[TrialOrigin, ...]


def arm_origins(results: pd.DataFrame, study: Study, records: dict[str, Record]) -> tuple[ArmOrigin, ...]:
    """The origins of all arms in the study's order, from the records by trial key, including failed trials."""
    configs = {
        arm: [records[key].config for key in results.loc[results["arm"] == arm, "trial_key"] if key in records]
        for arm in study.arms
    }
    differing = _differing_settings([found[0] for found in configs.values() if found])
    origins = []
    for arm in study.arms:
        own = results[results["arm"] == arm].sort_values("seed")
        config = configs[arm][0] if configs[arm] else {}
        settings = leaves(config)
        origins.append(
            ArmOrigin(
                arm=arm,
                label=study.label(arm),
                anchor=f"{study.name}-{study.arms.index(arm) + 1}",
                differing={name: _text(settings[name]) for name in differing if name in settings},
                config=_yaml(config) if config else "",
                configs_differ=any(other != config for other in configs[arm]),
                trials=tuple(_trial(row, records.get(row.trial_key), study) for row in own.itertuples()),
            )
        )
    return tuple(origins)


def _differing_settings(configs: list[dict[str, Any]]) -> list[str]:
    flat = [leaves(config) for config in configs]
    names = dict.fromkeys(name for settings in flat for name in settings)
    return [name for name in names if any(settings.get(name) != flat[0].get(name) for settings in flat)]


def _trial(row: Any, record: Record | None, study: Study) -> TrialOrigin:
    mask_ap = "" if pd.isna(row.mask_AP) else f"{row.mask_AP:.4f}"
    if record is None:
        return TrialOrigin(row.seed, mask_ap, row.reason, row.trial_key)
    revision = record.git_revision
    return TrialOrigin(
        seed=row.seed,
        mask_ap=mask_ap,
        reason=row.reason,
        key=row.trial_key,
        record_path=f"{study.name}/trials/{row.trial_key}.json",
        mlflow_run=record.mlflow_run_id or "",
        seconds=UNKNOWN if record.seconds is None else f"{record.seconds:.0f}",
        device=machine(record),
        data_digest=record.data_digest,
        code=record.code,
        git_revision=(revision[:10] + ("+" if record.git_dirty else "")) if revision else UNKNOWN,
    )


def versions(records: dict[str, Record]) -> list[str]:
    """Each distinct set of versions as one line; usually there is only one."""
    found = (record.versions for record in records.values())
    lines = (", ".join(f"{name} {number}" for name, number in sorted(versions.items())) for versions in found)
    return [line for line in dict.fromkeys(lines) if line]


class _Dumper(yaml.SafeDumper):
    """One setting per line; lists are not broken."""


_Dumper.add_representer(
    list, lambda dumper, items: dumper.represent_sequence("tag:yaml.org,2002:seq", items, flow_style=True)
)


def _yaml(config: dict[str, Any]) -> str:
    return yaml.dump(config, Dumper=_Dumper, sort_keys=False, width=200)


def _text(value: Any) -> str:
    return "none" if value is None else str(value)
