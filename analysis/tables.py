"""A study's table: one row an arm, our numbers beside the published ones, and a caption that names the scale."""

from collections.abc import Sequence
from pathlib import Path
from typing import Any

import pandas as pd

from analysis.published import STATUS_MEANINGS, published_for
from analysis.results import finished, holes
from analysis.statistics import Summary, order_holds, paired_difference, summarize_arm
from analysis.study import Study, arm_label

PLAIN_METRICS = ("mask_AP50", "mask_AP75", "box_AP", "mask_to_box_area")  # shown as means only


def arm_table(results: pd.DataFrame, study: Study, published: pd.DataFrame) -> pd.DataFrame:
    """Numbers of each arm, unrounded, indexed by arm in the study's order; NaN or empty where there is none.

    `share_of_reference` is the arm's mean mask AP in percent of the reference arm's; `difference_*` are paired over
    seeds. `published_*` are others' numbers for the same arm, with their share of their own reference arm.
    `trial_keys` names the trials behind the row, `holes` why trials have no number.
    """
    theirs = published_for(published, study.name, "mask_AP")
    rows = []
    for arm in study.arms:
        own = results[results["arm"] == arm]
        mask_ap = summarize_arm(results, arm, "mask_AP")
        low, high = mask_ap.interval or (None, None)
        row: dict[str, Any] = {
            "arm": arm,
            "label": arm_label(arm),
            "n": mask_ap.n,
            "mask_AP": mask_ap.mean,
            "mask_AP_sd": mask_ap.sd,
            "mask_AP_low": low,
            "mask_AP_high": high,
            **{metric: summarize_arm(results, arm, metric).mean for metric in PLAIN_METRICS},
        }
        if study.reference_arm is not None:
            difference = paired_difference(results, arm, study.reference_arm, "mask_AP")
            reference = summarize_arm(results, study.reference_arm, "mask_AP")
            row["share_of_reference"] = _share(mask_ap.mean, reference.mean)
            row["difference"], row["difference_sd"], row["difference_n"] = difference.mean, difference.sd, difference.n
        if len(theirs):
            number = theirs["value"].get(arm, float("nan"))
            row["published_mask_AP"] = number
            row["published_share"] = _share(number, theirs["value"].get(study.reference_arm, float("nan")))
            row["published_status"] = theirs["status"].get(arm, "none")
            row["published_source"] = theirs["source"].get(arm, "")
        row["trial_keys"] = " ".join(finished(own)["trial_key"])
        row["holes"] = "; ".join(f"seed {hole.seed}: {hole.reason}" for hole in holes(own).itertuples())
        rows.append(row)
    return pd.DataFrame(rows).set_index("arm")


def _share(value: float, reference: float) -> float:
    return 100 * value / reference if reference else float("nan")


def order_sentence(results: pd.DataFrame, study: Study) -> str:
    """Whether the arms' means rise as the study expects, and in how many seeds they do."""
    if not study.expected_order:
        return "The study expects no order."
    chain = " < ".join(arm_label(arm) for arm in study.expected_order)
    means = [summarize_arm(results, arm, "mask_AP").mean for arm in study.expected_order]
    lacking = [arm_label(arm) for arm, mean in zip(study.expected_order, means, strict=True) if pd.isna(mean)]
    if lacking:
        return f"Expected order of mask AP, {chain}: cannot be judged, no result for {', '.join(lacking)}."
    by_seed = results.pivot_table(index="seed", columns="arm", values="mask_AP")[list(study.expected_order)].dropna()
    seeds = sum(order_holds(row) for row in by_seed.to_numpy().tolist())
    verdict = "holds" if order_holds(means) else "DOES NOT HOLD"
    numbers = ", ".join(f"{mean:.1f}" for mean in means)
    return f"Expected order of mask AP, {chain}: {verdict} ({numbers}; in {seeds} of {len(by_seed)} seeds)."


def scale_sentence(record: dict[str, Any] | None) -> str:
    """Name recipe, data, network and length of training, and what such a number can be evidence of."""
    if record is None:
        return "No trial record was found, so recipe and data are unknown."
    config = record["config"]
    backbone, training = config["model"]["backbone"], config["training"]
    length = f"{training['epochs']} epochs" if training.get("epochs") else f"{training['steps']} steps"
    start = "from scratch" if backbone.get("weights") is None else "with pretrained weights"
    sides = config["data"]
    data = (
        f"`{Path(sides['root']).name}` (short side {sides['val_short_side']}, long at most {sides['long_side_max']} px)"
    )
    setting = (
        f"Recipe `{config['name']}`: data {data}, {backbone['name']} {start}, {length}, "
        f"device {record.get('device', 'unknown')}."
    )
    if str(config["name"]).startswith("coco"):
        return f"{setting} The scale is the paper's, so the published numbers may be compared."
    return f"{setting} Evidence about the order of the arms and their gaps at this scale, NOT a COCO number."


def render_markdown(table: pd.DataFrame, study: Study, *, scale: str, order: str, published: pd.DataFrame) -> str:
    """The table for readers: APs to 0.1, mean ± sd with n, then order, holes and where published numbers come from."""
    lines = [f"# {study.name.replace('_', ' ')}", ""]
    lines += [text + "\n" for text in (study.question, scale) if text]
    lines += [markdown_table(*_cells(table, study)), "", order, ""]
    missing = table[table["holes"] != ""]
    if len(missing):
        lines += ["No number, and why:", ""]
        lines += [f"- {row.label}: {row.holes}" for row in missing.itertuples()]
        lines += [""]
    if "published_mask_AP" in table:
        lines += [_published_note(table, study, published), ""]
    lines += ["AP in percent. n counts seeds; ± is the standard deviation over seeds, left out for n = 1."]
    return "\n".join(lines) + "\n"


def _cells(table: pd.DataFrame, study: Study) -> tuple[list[str], list[list[str]]]:
    header = ["arm", "mask AP", "n", "AP50", "AP75", "box AP", "mask area / box area"]
    if study.reference_arm is not None:
        name = arm_label(study.reference_arm)
        header += [f"share of {name}", f"difference to {name}"]
    if "published_mask_AP" in table:
        header += ["*their COCO AP*", "*their share*", "*status*"]
    rows = []
    for row in table.itertuples():
        cells = [row.label, spread(Summary(row.mask_AP, row.mask_AP_sd, row.n, None)), str(row.n)]
        cells += [number(row.mask_AP50), number(row.mask_AP75), number(row.box_AP), number(row.mask_to_box_area, 2)]
        if study.reference_arm is not None:
            difference = Summary(row.difference, row.difference_sd, row.difference_n, None)
            cells += [number(row.share_of_reference, 0, " %"), spread(difference, sign="+")]
        if "published_mask_AP" in table:
            cells += [number(row.published_mask_AP), number(row.published_share, 0, " %"), row.published_status]
        rows.append(cells)
    return header, rows


def _published_note(table: pd.DataFrame, study: Study, published: pd.DataFrame) -> str:
    theirs = published_for(published, study.name, "mask_AP")
    scales = " and ".join(dict.fromkeys(f"{row.split}, {row.backbone} {row.schedule}" for row in theirs.itertuples()))
    used = [status for status in STATUS_MEANINGS if status in set(table["published_status"])]
    legend = "; ".join(f"{status}: {STATUS_MEANINGS[status]}" for status in used)
    known = theirs[theirs["status"] != "none"]
    sources = [
        f"{', '.join(arm_label(arm) for arm in rows.index)}: {source}"
        for source, rows in known.groupby("source", sort=False)
    ]
    return "\n".join(
        [f"*Their* numbers are for {scales}. Status {legend}. Sources:", "", *(f"- {source}" for source in sources)]
    )


def number(value: float, digits: int = 1, unit: str = "", sign: str = "") -> str:
    return "-" if pd.isna(value) else f"{value:{sign}.{digits}f}{unit}"


def spread(summary: Summary, sign: str = "") -> str:
    """`mean ± sd`; the mean alone where there is one seed."""
    mean = number(summary.mean, sign=sign)
    return mean if pd.isna(summary.sd) else f"{mean} ± {summary.sd:.1f}"


def markdown_table(header: Sequence[str], rows: Sequence[Sequence[str]]) -> str:
    """A table aligned in plain text too: first column left, the others right. A `|` in a cell is escaped."""
    cells = [[cell.replace("|", "\\|") for cell in row] for row in (header, *rows)]
    widths = [max(3, *(len(row[i]) for row in cells)) for i in range(len(header))]
    lines = [
        [cell.ljust(w) if i == 0 else cell.rjust(w) for i, (cell, w) in enumerate(zip(row, widths, strict=True))]
        for row in cells
    ]
    rule = [("-" * w) if i == 0 else ("-" * (w - 1) + ":") for i, w in enumerate(widths)]
    return "\n".join(f"| {' | '.join(line)} |" for line in (lines[0], rule, *lines[1:]))
