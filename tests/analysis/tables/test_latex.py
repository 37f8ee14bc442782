import pandas as pd

from analysis.tables.latex import latex_table, latex_text


def test_characters_that_latex_reads_otherwise_are_escaped():
    assert latex_text("50 % of a_b & `c` # $ {x} ~ ^ \\") == (
        r"50 \% of a\_b \& c \# \$ \{x\} \textasciitilde{} \textasciicircum{} \textbackslash{}"
    )
    assert latex_text("τ < 0.3 ± 1") == r"$\tau$ $<$ 0.3 $\pm$ 1"


def test_the_table_has_rules_caption_label_and_minus_signs():
    cells = pd.DataFrame({"arm": ["τ = 0", "full"], "AP_x": ["-6.1 to -5.0", "-"], "box AP": ["1", "2"]})
    assert latex_table(cells, caption="50 % of it.", label="tab:x") == "\n".join(
        [
            r"% \usepackage{adjustbox,booktabs}",
            r"\begin{table*}[t]",
            r"\centering",
            r"\caption{50 \% of it.}",
            r"\label{tab:x}",
            r"\footnotesize\setlength{\tabcolsep}{3pt}",
            r"\begin{adjustbox}{max width=\textwidth,max totalheight=0.85\textheight}",
            r"\begin{tabular}{lr}",
            r"\toprule",
            r"arm & AP\_x \\",
            r"\midrule",
            r"$\tau$ = 0 & $-$6.1 to $-$5.0 \\",
            r"full & - \\",
            r"\bottomrule",
            r"\end{tabular}",
            r"\end{adjustbox}",
            r"\end{table*}",
            "",
        ]
    )
    assert "box AP" in latex_table(cells, caption="", label="tab:x", leave_out=())


def test_two_rows_may_have_the_same_name():
    cells = pd.DataFrame({"method": ["BoxInst", "BoxInst"], "AP": ["1", "2"]})
    assert latex_table(cells, caption="", label="tab:x").count("BoxInst &") == 2
