"""Published numbers of others, each with its status and source (`published.csv`)."""

import re
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import pandas as pd

PUBLISHED_CSV = Path(__file__).parent / "published.csv"
COLUMNS = (
    "table",
    "row",
    "method",
    "backbone",
    "schedule",
    "split",
    "metric",
    "value",
    "status",
    "status_meaning",
    "source",
    "note",
)
STATUS_MEANINGS = {
    "V": "verified in the source named",
    "V2": "a third party quoting the paper",
    "D": "derived by arithmetic from numbers of status V or V2",
    "M": "recalled from memory, not confirmed in any text; do not rely on it",
    "none": "no published number known",
}
RELEASED = "adelaidet_"  # prefix of the rows of AdelaiDet's models
SCHEDULE_STEPS = {"1x": 90_000, "3x": 270_000}
SPLIT_FILES = {  # training and validation annotations
    "COCO val2017": ("instances_train2017.json", "instances_val2017.json"),
    "VOC 2012 val": ("instances_train_aug.json", "instances_val.json"),
}


def read_published(path: str | Path = PUBLISHED_CSV) -> pd.DataFrame:
    """Read and check the published numbers; `value` is a float, NaN if unknown, the other columns are text.

    `table` is the study that the number is shown in, or `main`, `voc`, `zoo`, `rivals`; `row` is the arm of that study.
    APs are in percent.

    Raises:
        ValueError: for a missing column, an unknown status, a row without a source, a value that is no number, or two
            rows with equal (table, row, split, metric); names the file and the row.
    """
    published = pd.read_csv(path, dtype=str, keep_default_na=False)
    missing = [column for column in COLUMNS if column not in published.columns]
    if missing:
        raise ValueError(f"{path}: columns missing: {', '.join(missing)}")
    for index, row in published.iterrows():
        where = f"{path}, row {index + 2} ({row['table']}, {row['row']}, {row['metric']})"
        if STATUS_MEANINGS.get(row["status"]) != row["status_meaning"]:
            raise ValueError(
                f"{where}: status '{row['status']}' with meaning '{row['status_meaning']}', expected one of "
                f"{STATUS_MEANINGS}"
            )
        if not row["source"].strip():
            raise ValueError(f"{where}: no source")
        if (row["value"] == "") != (row["status"] == "none"):
            raise ValueError(f"{where}: value '{row['value']}' with status '{row['status']}'; only 'none' has no value")
    identity = ["table", "row", "split", "metric"]
    if published.duplicated(identity).any():
        twice = published.loc[published.duplicated(identity), identity].iloc[0].tolist()
        raise ValueError(f"{path}: more than one row for {twice}")
    try:
        published["value"] = pd.to_numeric(published["value"].replace("", None))
    except ValueError as error:
        raise ValueError(f"{path}: column value: {error}") from error
    return published


def published_for(published: pd.DataFrame, study: str, metric: str) -> pd.DataFrame:
    """The rows of one study and metric, indexed by arm; empty if nothing is published."""
    chosen = published[(published["table"] == study) & (published["metric"] == metric)]
    return chosen.set_index("row")


def with_released_models(published: pd.DataFrame, study: str, configs: Mapping[str, Mapping[str, Any]]) -> pd.DataFrame:
    """The published numbers, with AdelaiDet's model of an arm's name instead of the study's row where it fits better.

    That is where the arm's trials, according to `configs`, have the setting of the model's row and not that of the
    study's own row: the paper's main table is for COCO test-dev, the released models' numbers are for val2017.
    """
    is_same = pd.Series(
        [same_setting(configs.get(row["row"].removeprefix(RELEASED), {}), row) for row in published.to_dict("records")],
        index=published.index,
        dtype=bool,
    )
    own = published["table"] == study
    released = is_same & (published["table"] == "zoo") & published["row"].str.startswith(RELEASED)
    models = published[released]
    models = models.assign(table=study, row=models["row"].str.removeprefix(RELEASED))
    models = models[~models["row"].isin(published.loc[own & is_same, "row"])]
    return pd.concat([published[~(own & published["row"].isin(models["row"]))], models], ignore_index=True)


def network_name(model: Mapping[str, Any]) -> str:
    """Backbone and pyramid as in published tables, such as `R-101-DCN-BiFPN`; empty if the backbone is no ResNet."""
    backbone = model.get("backbone", {})
    depth = re.fullmatch(r"resnet(\d+)", backbone.get("name", ""))
    if depth is None:
        return ""
    parts = {"DCN": backbone.get("deformable_interval"), "BiFPN": model.get("pyramid") == "bifpn"}
    return "-".join([f"R-{depth[1]}", *(part for part, there in parts.items() if there)])


def split_of(config: Mapping[str, Any]) -> str | None:
    """The published validation split that a trial was evaluated on, according to its annotation files."""
    data = config.get("data", {})
    files = tuple(Path(data.get(f"{part}_annotations", "")).name for part in ("train", "val"))
    return next((split for split, of_split in SPLIT_FILES.items() if files == of_split), None)


def same_setting(config: Mapping[str, Any], row: Mapping[str, Any]) -> bool:
    """Whether a trial with this config has the data, backbone and schedule of the published row, at batch size 16.

    Only then does a difference between the two numbers come from the implementations. The recipe's name does not
    matter.
    """
    training = config.get("training", {})
    # Our schedule is given for this batch size and scaled to the effective one.
    batch_size = training.get("schedule_batch_size") or training.get("batch_size", 0) * training.get("accumulation", 1)
    return (
        row["split"] == split_of(config)
        and row["backbone"] == network_name(config.get("model", {})) != ""
        and config["data"].get("val_short_side") == 800
        and training.get("steps") == SCHEDULE_STEPS.get(row["schedule"], -1)
        and batch_size == 16
    )


def has_published_setting(config: Mapping[str, Any], published: pd.DataFrame) -> bool:
    """Whether any published number has the setting of this trial."""
    settings = published[["split", "backbone", "schedule"]].drop_duplicates().to_dict("records")
    return any(same_setting(config, row) for row in settings)
