"""Every comparison of arms that the studies of a folder make, with its interval and p: what "told apart" rests on."""

from collections.abc import Mapping

import pandas as pd

from analysis.comparisons import Comparisons, Pair
from analysis.plain_text import table_csv
from analysis.study import Study
from analysis.tables.study_table import markdown_table, number, p_in_words, span

COMPARISONS = "comparisons"  # name of the table
NOTE = (
    "Differences in AP, paired by seed. The interval is of one difference alone, not corrected: Student's over seeds, "
    "given these validation images, or over seeds and resampled images. Two arms are told apart where p, after Holm's "
    "correction over the comparisons of the study, is below 5 %."
)


def comparison_table(compared: Mapping[str, tuple[Study, Comparisons]]) -> pd.DataFrame:
    """One row per comparison, unrounded; `p_holm` is that after Holm's correction over the study's comparisons."""
    rows = []
    for study, (_, comparisons) in compared.items():
        for found in comparisons:
            pair, difference = found.pair, found.difference
            on = "" if pair.metric == "mask_AP" else f" on {pair.metric}"
            low, high = difference.interval or (None, None)
            rows.append(
                {
                    "comparison": f"{study}: {pair.arm} - {pair.other}{on}",
                    "difference": difference.mean,
                    "low": low,
                    "high": high,
                    "n": difference.n,
                    "p": difference.p_value,
                    "p_holm": found.p_holm,
                    "told_apart": "yes" if found.told_apart else "no",
                    "over_images": "yes" if found.images else "no",
                    "smallest_gap": found.smallest_gap(),
                }
            )
    columns = ["difference", "low", "high", "n", "p", "p_holm", "told_apart", "over_images", "smallest_gap"]
    return pd.DataFrame(rows, columns=["comparison", *columns]).set_index("comparison")


def pair_label(study: Study, pair: Pair) -> str:
    """The two arms of a comparison for readers, with the metric if it is not mask AP."""
    on = "" if pair.metric == "mask_AP" else f", {pair.metric}"
    return f"{study.label(pair.arm)} - {study.label(pair.other)}{on}"


def comparison_files(compared: Mapping[str, tuple[Study, Comparisons]]) -> dict[str, str]:
    """The table by file name: Markdown for readers, unrounded CSV."""
    cells = []
    for name, (study, comparisons) in compared.items():
        for found in comparisons:
            difference = found.difference
            interval = span(*difference.interval, sign="+") if difference.interval else "-"
            untold = "one seed" if difference.n else "no trial"
            apart = untold if pd.isna(found.p_holm) else "yes" if found.told_apart else "no"
            p = "-" if pd.isna(found.p_holm) else p_in_words(found.p_holm).removeprefix("p ").removeprefix("= ")
            cells.append(
                [name.replace("_", " "), pair_label(study, found.pair)]
                + [number(difference.mean, sign="+"), interval, str(difference.n)]
                + ["-" if difference.interval is None else "yes" if found.images else "no", p, apart]
            )
    header = ["study", "arms", "difference", "95 % interval", "n", "over images", "p (Holm)", "told apart"]
    text = f"# Every comparison of arms\n\n{NOTE}\n\n{markdown_table(header, cells, left=2)}\n"
    return {f"{COMPARISONS}.md": text, f"{COMPARISONS}.csv": table_csv(comparison_table(compared))}
