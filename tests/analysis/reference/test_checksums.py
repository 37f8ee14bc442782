import subprocess

import pytest

from analysis.reference.checksums import check_checksums, main, write_checksums


@pytest.fixture
def folder(tmp_path):
    (tmp_path / "trials").mkdir()
    (tmp_path / "trials/a.json").write_text('{"seconds": 1.5}')
    (tmp_path / "table.md").write_text("| 1.0 |")
    (tmp_path / "README.md").write_text("about")
    write_checksums(tmp_path)
    return tmp_path


def test_an_untouched_folder_has_no_lines(folder):
    assert check_checksums(folder) == []


def test_the_file_is_what_sha256sum_reads(folder):
    done = subprocess.run(
        ["sha256sum", "--check", "SHA256SUMS"], cwd=folder, capture_output=True, text=True, check=True
    )
    assert done.stdout.splitlines() == ["table.md: OK", "trials/a.json: OK"]


def test_an_edited_digit_a_removed_and_an_added_file_are_each_named(folder):
    (folder / "trials/a.json").write_text('{"seconds": 1.6}')
    (folder / "table.md").unlink()
    (folder / "new.csv").write_text("1")
    edited = [line.split(" ")[0].removeprefix(f"{folder}/") for line in check_checksums(folder)]
    assert edited == ["new.csv:", "table.md:", "trials/a.json:"]
    assert "edited" in check_checksums(folder)[2]


def test_the_readme_may_be_edited(folder):
    (folder / "README.md").write_text("about, in other words")
    assert check_checksums(folder) == []


def test_a_folder_without_checksums_is_no_verified_folder(folder):
    (folder / "SHA256SUMS").unlink()
    assert check_checksums(folder) == [f"{folder}/SHA256SUMS: missing, so edits of this folder cannot be detected"]


def test_a_malformed_line_is_named(folder):
    (folder / "SHA256SUMS").write_text("abc table.md\n")
    with pytest.raises(ValueError, match=r"SHA256SUMS, line 1: found 'abc table.md', expected a SHA-256 sum"):
        check_checksums(folder)


def test_the_command_seals_a_folder_anew(folder, capsys):
    (folder / "table.md").write_text("| 2.0 |")
    assert main([str(folder)]) == 0
    assert "2 files" in capsys.readouterr().out
    assert check_checksums(folder) == []
    assert main([str(folder / "nowhere")]) == 2
