from pathlib import Path

import pandas as pd
import pytest

from analysis.plots.figures import styled
from analysis.plots.saving import save
from analysis.studies.edge_purity import (
    edge_purity_figure,
    edge_purity_table,
    main,
    purity_sentence,
    read_edge_purity,
    render_markdown,
)

HEADER = (
    "neighborhood_size,neighborhood_dilation,color_threshold,edges,kept,pure,different,different_kept,share_kept,purity,"
    "num_images,num_instances,data_digest,short_side,color_temperature\n"
)
ORIGIN = "3,7,00000000000000a1,160,2\n"
ROWS = (
    "3,2,0,200,200,150,50,50,1,0.75," + ORIGIN,
    "3,2,0.1,200,100,90,50,10,0.5,0.9," + ORIGIN,
    "3,2,0.3,200,40,38,50,2,0.2,0.95," + ORIGIN,
    "5,1,0,600,600,480,120,120,1,0.8," + ORIGIN,
    "5,1,0.1,600,300,270,120,30,0.5,0.9," + ORIGIN,
    "5,1,0.3,600,0,0,120,0,0,," + ORIGIN,
)


def write(folder: Path, *rows: str) -> Path:
    path = folder / "edge_purity.csv"
    path.write_text(HEADER + "".join(rows))
    return path


@pytest.fixture
def frame(tmp_path: Path) -> pd.DataFrame:
    return read_edge_purity(write(tmp_path, *ROWS))


def test_shares_are_in_percent_of_what_they_divide(frame: pd.DataFrame) -> None:
    table = edge_purity_table(frame)
    assert table.loc[("3×3, dilation 2", 0.1)].tolist() == [50, 90, 20]  # noqa: RUF001
    nothing_kept = table.loc[("5×5, dilation 1", 0.3)]  # noqa: RUF001
    assert nothing_kept["share_kept"] == 0
    assert pd.isna(nothing_kept["purity"])


def test_the_page_shows_every_threshold_and_every_neighborhood(frame: pd.DataFrame) -> None:
    lines = [" ".join(line.split()) for line in render_markdown(frame).splitlines()]
    assert "| 0.1 (paper) | 50.00 | 90.00 | 20.00 |" in lines
    assert "| 0.3 (released code) | 20.00 | 95.00 | 4.00 |" in lines
    assert any(line.endswith("dilation 1 | 100.00 | 80.00 | 50.00 | 90.00 | 0.00 | - |") for line in lines)
    assert any(line.startswith("7 instances with a mask in 3 images, short side 160 px") for line in lines)
    assert lines[-1] == "Expected: purity rises with the threshold. HOLDS for every neighborhood."


def test_a_fall_of_the_purity_is_told(tmp_path: Path) -> None:
    # 90 % at 0.1, then 36 of 40 and 17 of 20: 90 % and 85 %
    falling = ("3,2,0.3,200,40,36,50,4,0.2,0.9," + ORIGIN, "3,2,0.4,200,20,17,50,3,0.1,0.85," + ORIGIN)
    sentence = purity_sentence(edge_purity_table(read_edge_purity(write(tmp_path, *ROWS[:2], *falling, *ROWS[3:]))))
    assert "Holds up to τ = 0.3 for every neighborhood" in sentence
    assert "falls at 1 of 1 steps, by at most 5.00 points" in sentence


@pytest.mark.parametrize(
    ("rows", "message"),
    [
        ((), "no rows"),
        ((ROWS[0], ROWS[0]), "row 3: more than one row for"),
        ((ROWS[1].replace(",90,", ",91,"),), r"row 2: expected pure \+ different_kept = kept"),
        ((ROWS[1].replace(",100,90,", ",x,90,"),), "column kept: expected a number"),
        ((ROWS[0], ROWS[1].replace(",0.9,", ",0.91,")), "row 3: purity is 0.91, but pure / kept is 0.900000"),
        ((ROWS[1].replace(",0.5,", ",0.500002,"),), "row 2: share_kept is 0.500002, but kept / edges is 0.500000"),
        ((ROWS[1].replace(",0.9,", ",,"),), "row 2: purity is nan, but pure / kept is 0.900000"),
        ((ROWS[5].replace(",0,,", ",0,1.0,"),), "row 2: purity is 1.0, but pure / kept is nan"),
    ],
)
def test_malformed_counts_name_file_and_place(tmp_path: Path, rows: tuple[str, ...], message: str) -> None:
    with pytest.raises(ValueError, match=rf"edge_purity\.csv: {message}"):
        read_edge_purity(write(tmp_path, *rows))


def test_missing_files_and_columns_are_named(tmp_path: Path) -> None:
    with pytest.raises(ValueError, match=r"no such file; `python -m experiments\.edge_purity` writes it"):
        read_edge_purity(tmp_path / "edge_purity.csv")
    (tmp_path / "edge_purity.csv").write_text("edges,kept\n1,1\n")
    with pytest.raises(ValueError, match="columns missing: neighborhood_size"):
        read_edge_purity(tmp_path / "edge_purity.csv")


def test_each_panel_has_a_line_for_each_neighborhood(frame: pd.DataFrame) -> None:
    figure = edge_purity_figure(frame)
    labels = [axis.get_legend_handles_labels()[1] for axis in figure.axes]
    assert labels == [["3×3, dilation 2", "5×5, dilation 1"]] * 3  # noqa: RUF001


def test_equal_counts_give_equal_bytes(tmp_path: Path, frame: pd.DataFrame) -> None:
    written = []
    for run in ("one", "two"):
        with styled():
            files = save(edge_purity_figure(frame), tmp_path / run)
        written.append([path.read_bytes() for path in files])
    assert written[0] == written[1]


def test_the_command_writes_table_and_plot_and_says_what_it_lacks(tmp_path: Path, capsys) -> None:
    assert main(["--results", str(tmp_path)]) == 2
    assert "edge_purity.csv: no such file" in capsys.readouterr().err
    write(tmp_path, *ROWS)
    assert main(["--results", str(tmp_path)]) == 0
    names = {path.relative_to(tmp_path).as_posix() for path in tmp_path.rglob("*.*")}
    assert names == {
        "edge_purity.csv",
        "tables/edge_purity.md",
        "tables/edge_purity.csv",
        "plots/edge_purity.png",
        "plots/edge_purity.svg",
    }
    assert "the figure of one photo was not drawn" in capsys.readouterr().out
