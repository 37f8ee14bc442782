"""The table of a study: one row per arm, our numbers beside the published ones."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import pandas as pd

from analysis.comparisons import LEVEL, Comparisons, Pair, compare_arms
from analysis.plain_text import markdown_text
from analysis.published import STATUS_MEANINGS, published_for, same_setting
from analysis.results import finished, holes
from analysis.statistics import Summary, paired_difference, summarize_arm
from analysis.study import Study
from core.record import METRICS

PLAIN_METRICS = tuple(metric for metric in METRICS if metric != "mask_AP")  # shown without sd


@dataclass(frozen=True)
class OwnColumns:
    """Additional columns of one study's table, indexed by arm; `notes` explain them."""

    numbers: pd.DataFrame  # unrounded, for the CSV
    cells: pd.DataFrame  # text, for readers
    notes: tuple[str, ...]


def arm_table(
    results: pd.DataFrame,
    study: Study,
    published: pd.DataFrame,
    configs: Mapping[str, dict[str, Any]] | None = None,
    own_columns: OwnColumns | None = None,
    compared: Comparisons | None = None,
) -> pd.DataFrame:
    """Unrounded numbers of each arm, indexed by arm in the study's order; NaN or empty if missing.

    `share_of_reference` is the mean mask AP as a percentage of the reference arm's; `difference_*` compare the arm with
    it (see `analysis.comparisons`; `compared` is by default what the results alone give), `difference_p` after Holm's
    correction, below 0.05 if they are told apart.
    `published_*` are published numbers for the same arm, and their percentage of the published reference arm;
    `published_difference` is ours minus published, if the arm's settings in `configs` match the published row.
    `trial_keys` lists the trials of the row, `holes` why trials have no result.
    """
    compared = compared or compare_arms(results, study)
    theirs = published_for(published, study.name, "mask_AP")
    rows = []
    for arm in study.arms:
        own = results[results["arm"] == arm]
        mask_ap = summarize_arm(results, arm, "mask_AP")
        low, high = mask_ap.interval or (None, None)
        row: dict[str, Any] = {
            "arm": arm,
            "label": study.label(arm),
            "n": mask_ap.n,
            "mask_AP": mask_ap.mean,
            "mask_AP_sd": mask_ap.sd,
            "mask_AP_low": low,
            "mask_AP_high": high,
            **{metric: summarize_arm(results, arm, metric).mean for metric in PLAIN_METRICS},
        }
        if study.reference_arm is not None:
            itself = arm == study.reference_arm
            found = None if itself else compared[Pair(arm, study.reference_arm)]
            difference = paired_difference(results, arm, arm, "mask_AP") if found is None else found.difference
            reference = summarize_arm(results, study.reference_arm, "mask_AP")
            row["share_of_reference"] = _share(mask_ap.mean, reference.mean)
            row["difference"], row["difference_sd"], row["difference_n"] = difference.mean, difference.sd, difference.n
            row["difference_low"], row["difference_high"] = difference.interval or (None, None)
            row["difference_p"] = float("nan") if found is None else found.p_holm
            row["difference_over_images"] = None if found is None else found.images
        if len(theirs):
            their_ap = theirs["value"].get(arm, float("nan"))
            row["published_mask_AP"] = their_ap
            row["published_share"] = _share(their_ap, theirs["value"].get(study.reference_arm, float("nan")))
            row["published_status"] = theirs["status"].get(arm, "none")
            row["published_source"] = theirs["source"].get(arm, "")
            config = (configs or {}).get(arm)
            comparable = config is not None and arm in theirs.index and same_setting(config, theirs.loc[arm])
            row["published_difference"] = mask_ap.mean - their_ap if comparable else float("nan")
        row["trial_keys"] = " ".join(finished(own)["trial_key"])
        row["holes"] = "; ".join(f"seed {hole.seed}: {hole.reason}" for hole in holes(own).itertuples())
        rows.append(row)
    table = pd.DataFrame(rows).set_index("arm")
    return table if own_columns is None else table.join(own_columns.numbers)


def _share(value: float, reference: float) -> float:
    return 100 * value / reference if reference else float("nan")


def render_markdown(
    table: pd.DataFrame,
    study: Study,
    *,
    scale: str,
    verdict: str,
    published: pd.DataFrame,
    gap: str = "",
    own_columns: OwnColumns | None = None,
) -> str:
    """The table for readers: APs to 0.1, mean ± sd with n; then verdict, holes and sources of the published numbers.

    `gap` says which gap the seeds could show.
    """
    cells = reader_table(table, study, own_columns)
    lines = [f"# {study.name.replace('_', ' ')}", ""]
    lines += [text + "\n" for text in (markdown_text(study.question), scale) if text]
    lines += [markdown_table(list(cells), cells.to_numpy().tolist()), "", markdown_text(verdict), ""]
    lines += [markdown_text(gap), ""] if gap else []
    missing = table[table["holes"] != ""]
    if len(missing):
        lines += ["Trials without a result:", ""]
        lines += [f"- {markdown_text(f'{row.label}: {row.holes}')}" for row in missing.itertuples()]
        lines += [""]
    if own_columns is not None:
        lines += [markdown_text(note) + "\n" for note in own_columns.notes]
    if "published_mask_AP" in table:
        lines += [_published_note(table, study, published), ""]
    lines += [reading_note(table)]
    return "\n".join(lines) + "\n"


def reader_table(table: pd.DataFrame, study: Study, own_columns: OwnColumns | None = None) -> pd.DataFrame:
    """The table as text for readers, one row per arm; `-` if there is no number."""
    rows = []
    for row in table.itertuples():
        ap = Summary(row.mask_AP, row.mask_AP_sd, row.n, None)
        cells = {"arm": row.label, "mask AP": spread(ap), "95 % interval": span(row.mask_AP_low, row.mask_AP_high)}
        cells |= {"n": str(row.n), "AP50": number(row.mask_AP50), "AP75": number(row.mask_AP75)}
        cells |= {"APs": number(row.mask_APs), "APm": number(row.mask_APm), "APl": number(row.mask_APl)}
        cells |= {"box AP": number(row.box_AP), "mask area / box area": number(row.mask_to_box_area, 2)}
        if own_columns is not None:
            cells |= own_columns.cells.loc[row.Index].to_dict()
        if study.reference_arm is not None:
            name = study.label(study.reference_arm)
            itself = row.Index == study.reference_arm
            difference = Summary(row.difference, row.difference_sd, row.difference_n, None)
            cells[f"share of {name}"] = number(row.share_of_reference, 0, " %")
            cells[f"difference to {name}"] = "-" if itself else spread(difference, sign="+")
            cells["its 95 % interval"] = "-" if itself else span(row.difference_low, row.difference_high, sign="+")
            cells["its n"] = "-" if itself else str(row.difference_n)
            cells["told apart"] = "-" if itself or not row.difference_n else _told_apart(row.difference_p)
        if "published_mask_AP" in table:
            cells["published AP"] = number(row.published_mask_AP)
            if table["published_share"].notna().any():
                cells["published share"] = number(row.published_share, 0, " %")
            cells["status"] = row.published_status
            if table["published_difference"].notna().any():
                cells["ours - published"] = number(row.published_difference, sign="+")
        rows.append(cells)
    return pd.DataFrame(rows)


def _told_apart(p: float) -> str:
    return "one seed" if pd.isna(p) else f"{'yes' if p < LEVEL else 'no'}, {p_in_words(p)}"


def reading_note(table: pd.DataFrame) -> str:
    """Explain the columns of every study's table."""
    sizes = {"mask_APs": "small", "mask_APm": "medium", "mask_APl": "large"}
    empty = [word for column, word in sizes.items() if table.loc[table["n"] > 0, column].isna().all()]
    note = (
        "AP in percent. n is the number of seeds, ± the standard deviation over seeds; the 95 % interval of the mean "
        "is Student's. Both are omitted for n = 1. Differences are paired by seed; arms are told apart where p, after "
        "Holm's correction over the study's comparisons, is below 5 %."
    )
    if "difference_over_images" in table:
        over_images = table["difference_over_images"][table["difference_n"] > 0].dropna().astype(bool).all()
        covered = "other seeds and validation images" if over_images else "other seeds, given these validation images"
        note += f" The interval of a difference is of that one alone, not corrected; it is for {covered}."
    return f"{note} The validation images contain no {' and no '.join(empty)} objects." if empty else note


def _published_note(table: pd.DataFrame, study: Study, published: pd.DataFrame) -> str:
    theirs = published_for(published, study.name, "mask_AP")
    scales = " and ".join(dict.fromkeys(f"{row.split}, {row.backbone} {row.schedule}" for row in theirs.itertuples()))
    used = [status for status in STATUS_MEANINGS if status in set(table["published_status"])]
    legend = "; ".join(f"{status}: {STATUS_MEANINGS[status]}" for status in used)
    known = theirs[(theirs["status"] != "none") & theirs.index.isin(study.arms)]
    sources = [
        f"{', '.join(study.label(arm) for arm in rows.index)}: {source}"
        for source, rows in known.groupby("source", sort=False)
    ]
    notes = [f"{_their_name(row, study)}: {_remark(row, study)}" for row in theirs.itertuples() if row.note]
    lines = [f"Published numbers are for {scales}. Status {legend}."]
    lines += ["Sources:", "", *(f"- {source}" for source in sources)] if sources else []
    lines += ["", "Remarks:", "", *(f"- {note}" for note in notes)] if notes else []
    return "\n".join(lines)


def _their_name(row: Any, study: Study) -> str:
    """The arm of a published number; its published name if the study has no such arm."""
    if row.Index in study.arms or row.Index in study.labels:
        return study.label(row.Index)
    return f"{row.method}, {row.backbone} {row.schedule}"


def _remark(row: Any, study: Study) -> str:
    """The note of a published number, preceded by the number if the table does not show it."""
    shown = row.Index in study.arms or pd.isna(row.value)
    return row.note if shown else f"{row.value:g} ({row.status}), {row.note}"


def number(value: float, digits: int = 1, unit: str = "", sign: str = "") -> str:
    return "-" if pd.isna(value) else f"{value:{sign}.{digits}f}{unit}"


def difference_in_words(difference: Summary, p: float = float("nan")) -> str:
    """`+1.2 AP (95 % interval +0.3 to +2.0, n = 3, p = 0.02)`; `p` is that after Holm's correction."""
    interval = f"95 % interval {span(*difference.interval, sign='+')}, " if difference.interval else ""
    shown = "" if pd.isna(p) else f", {p_in_words(p)}"
    return f"{number(difference.mean, sign='+')} AP ({interval}n = {difference.n}{shown})"


def p_in_words(p: float) -> str:
    """`p = 0.013`, with two digits that count; never rounded to below or above what 5 % decides."""
    if p < 0.001:
        return "p < 0.001"
    text = f"{p:.2g}"
    return f"p = {f'{p:.3g}' if (float(text) < 0.05) != (p < 0.05) else text}"


def spread(summary: Summary, sign: str = "") -> str:
    """`mean ± sd`; only the mean if there is one seed."""
    mean = number(summary.mean, sign=sign)
    return mean if pd.isna(summary.sd) else f"{mean} ± {summary.sd:.1f}"


def span(low: float | None, high: float | None, digits: int = 1, sign: str = "") -> str:
    """An interval as text, `51.0 to 53.1`."""
    return "-" if pd.isna(low) else f"{number(low, digits, sign=sign)} to {number(high, digits, sign=sign)}"


def markdown_table(header: Sequence[str], rows: Sequence[Sequence[str]], left: int = 1) -> str:
    """A table aligned as plain text too: the first `left` columns left, the others right. Cells are plain text."""
    cells = [[markdown_text(cell).replace("|", "\\|") for cell in row] for row in (header, *rows)]
    widths = [max(3, *(len(row[i]) for row in cells)) for i in range(len(header))]
    lines = [
        [cell.ljust(w) if i < left else cell.rjust(w) for i, (cell, w) in enumerate(zip(row, widths, strict=True))]
        for row in cells
    ]
    rule = [("-" * w) if i < left else ("-" * (w - 1) + ":") for i, w in enumerate(widths)]
    return "\n".join(f"| {' | '.join(line)} |" for line in (lines[0], rule, *lines[1:]))
