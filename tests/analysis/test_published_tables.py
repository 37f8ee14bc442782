from analysis.published import read_published
from analysis.published_tables import COMPARISONS, comparison_files, main, published_rows, table_files
from analysis.study_data import read_study_data


def test_a_row_holds_all_metrics_of_a_model_with_their_status():
    rows = published_rows(read_published(), "main").set_index("row")
    condinst = rows.loc["condinst_r101_3x"]
    assert (condinst["mask_AP"], condinst["mask_AP_status"]) == (39.1, "V")
    assert (condinst["mask_APl"], condinst["mask_APl_status"]) == (50.9, "M")


def test_every_published_row_stands_in_its_table():
    published = read_published()
    for name in COMPARISONS:
        own = published[published["table"] == name]
        assert len(published_rows(published, name)) == len(own.drop_duplicates(["row", "split"])) > 0


def test_unconfirmed_numbers_are_marked_and_explained():
    text = table_files("main", read_published(), None)["main.md"]
    assert "57.0 M" in text
    assert "M = recalled from memory, not confirmed in any text; do not rely on it" in text
    assert "Ours: none" in text


def test_ours_stand_beside_the_paper_s_with_their_scale(tmp_path, write_results, write_records, study):
    write_results(tmp_path, {"both": [50.0, 52.0], "full": [60.0, 60.0]})
    write_records(tmp_path)
    data = read_study_data(tmp_path / "studies" / "loss_terms.yaml", tmp_path)
    files = table_files("main", read_published(), data)
    assert "| ours, BoxInst (boxes): projection + pairwise |" in files["main.md"]
    assert "51.0 ± 1.4" in files["main.md"]
    assert "on generated shapes, not comparable: Recipe `shapes`" in files["main.md"]
    assert "ours_both" in files["main.csv"]
    assert r"51.0 $\pm$ 1.4" in files["main.tex"]
    assert "ours_both" not in table_files("voc", read_published(), data)["voc.csv"]


def test_all_comparisons_are_written_as_markdown_csv_and_latex(tmp_path, capsys):
    assert main(["--results", str(tmp_path)]) == 0
    assert {path.name for path in (tmp_path / "tables").iterdir()} == set(comparison_files(tmp_path, tmp_path))
    assert len(list((tmp_path / "tables").iterdir())) == 12
    (tmp_path / "loss_terms.csv").write_text("arm\n")
    assert main(["--results", str(tmp_path)]) == 2
    assert "columns missing" in capsys.readouterr().err
