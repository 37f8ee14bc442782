"""LaTeX tables (booktabs) that a paper can include unchanged."""

from collections.abc import Collection, Sequence

import pandas as pd

from analysis.plain_text import one_line

ESCAPES = {
    "\\": r"\textbackslash{}",
    "&": r"\&",
    "%": r"\%",
    "$": r"\$",
    "#": r"\#",
    "_": r"\_",
    "{": r"\{",
    "}": r"\}",
    "~": r"\textasciitilde{}",
    "^": r"\textasciicircum{}",
    "<": r"$<$",
    ">": r"$>$",
    "|": r"$|$",
    "[": "{[}",  # at the start of a row it would be the argument of the line break before it
    "*": "{*}",  # likewise
    "±": r"$\pm$",
    "\N{MULTIPLICATION SIGN}": r"$\times$",
    "τ": r"$\tau$",
    "θ": r"$\theta$",
    "≥": r"$\geq$",
    "→": r"$\rightarrow$",
    "Δ": r"$\Delta$",
}
LEFT_OUT = ("box AP", "mask area / box area", "published share")  # of a study's table, so that it fits the page width
PACKAGES = "% \\usepackage{adjustbox,booktabs}\n"
BEGIN = (
    "\\footnotesize\\setlength{\\tabcolsep}{3pt}\n"
    "\\begin{adjustbox}{max width=\\textwidth,max totalheight=0.85\\textheight}\n"
)


def latex_text(text: str) -> str:
    """Escape text for LaTeX without symbol packages; Markdown's backquotes are removed."""
    return one_line(text).replace("`", "").translate(str.maketrans(ESCAPES))


def latex_table(
    cells: pd.DataFrame, *, caption: str, label: str, leave_out: Collection[str] = LEFT_OUT, left: int = 1
) -> str:
    """A table over two text columns: the first `left` columns are left-aligned, the others right-aligned.

    It shrinks to fit the page. Negative numbers get a minus sign. `leave_out` names columns that are not printed.
    """
    shown = cells[[column for column in cells if column not in leave_out]]
    shown = shown.rename(columns=latex_text).map(lambda cell: _with_minus(latex_text(cell)))
    text = (
        shown.style.hide(axis="index")
        .to_latex(
            hrules=True,
            column_format="l" * left + "r" * (shown.shape[1] - left),
            environment="table*",
            position="t",
            position_float="centering",
            caption=latex_text(caption),
            label=label,
        )
        .replace("\\begin{tabular}", f"{BEGIN}\\begin{{tabular}}", 1)
        .replace("\\end{tabular}\n", "\\end{tabular}\n\\end{adjustbox}\n", 1)
    )
    return PACKAGES + text


def _with_minus(cell: str) -> str:
    """`-6.1 to -5.0` with minus signs; a lone hyphen, which means no number, is kept."""
    words = [f"$-${word[1:]}" if word[0] == "-" and word[1:2].isdigit() else word for word in cell.split(" ") if word]
    return " ".join(words)


def study_caption(title: str, sentences: Sequence[str]) -> str:
    return " ".join([f"{title[0].upper()}{title[1:]}.", *(sentence for sentence in sentences if sentence)])
