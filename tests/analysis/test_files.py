from analysis.files import write_text


def test_a_file_appears_whole_in_a_folder_that_is_made(tmp_path):
    write_text(tmp_path / "tables" / "x.md", "τ")
    write_text(tmp_path / "tables" / "x.md", "θ")
    assert [path.name for path in (tmp_path / "tables").iterdir()] == ["x.md"]
    assert (tmp_path / "tables" / "x.md").read_text() == "θ"
