from pathlib import Path

import pytest

from analysis.reference.readme import CLAIMS, Tables, corrected, main, readme_differences

ROOT = Path(__file__).parents[3]
README = """# Suite

## What we measured

| trained with | mask AP |
|---|---:|
| both | 53.0 ± 1.3 | 88 % |

On shapes boxes reach
88 % of masks (+1.9 over nothing). Chosen by hand: 7.5 s.

## Other

99.9
"""
PHRASES = """# phrases
## What we measured
| both | {shapes/terms/both} | {shapes/terms/both/share:.0f} % |
boxes reach {shapes/terms/both % full} % of masks ({shapes/terms/both/gain:+.1f} over nothing)
<!-- of the literature -->
Chosen by hand: 7.5 s
"""


@pytest.fixture
def root(tmp_path):
    (tmp_path / "shapes/tables").mkdir(parents=True)
    (tmp_path / "shapes/tables/terms.csv").write_text(
        "arm,mask_AP,mask_AP_sd,share,gain\nboth,53.04,1.349,88.1,1.86\nfull,60.2,,100,\n"
    )
    (tmp_path / CLAIMS).write_text(PHRASES)
    (tmp_path / "README.md").write_text(README)
    return tmp_path


def differences(root, old="", new=""):
    text = README.replace(old, new) if old else README
    assert text != README or not old
    (root / "README.md").write_text(text)
    return [line.removeprefix(f"{root}/README.md, section ") for line in readme_differences(root / "README.md", root)]


def test_numbers_that_the_tables_give_pass(root):
    assert differences(root) == []


@pytest.mark.parametrize(
    ("old", "new", "told"),
    [
        ("53.0 ±", "59.0 ±", "says 59.0 ± 1.3 in '| both | 59.0 ± 1.3 | 88 % |', the records give 53.0 ± 1.3"),
        ("1.3 |", "1.4 |", "the records give 53.0 ± 1.3 (shapes/terms/both)"),
        ("\n88 %", "\n86 %", "says 86 in 'boxes reach 86 % of masks (+1.9 over nothing)', the records give 88"),
        ("+1.9", "+2.9", "the records give +1.9 (shapes/terms/both/gain:+.1f)"),
    ],
)
def test_a_changed_number_is_named_with_the_one_of_the_records(root, old, new, told):
    (line,) = differences(root, old, new)
    assert told in line


def test_a_phrase_that_is_gone_and_a_number_that_no_phrase_has_are_named(root):
    lines = differences(root, "boxes reach", "boxes come to")
    assert "'What we measured': does not say 'boxes reach {shapes/terms/both % full} % of masks" in lines[0]
    assert "'What we measured': 88 % in '88 % of masks (+1.9 over nothing). Chosen by hand" in lines[1]
    assert any(
        "12.5 in 'It took 12.5 h.'" in line for line in differences(root, "\n## Other", "It took 12.5 h.\n## Other")
    )
    assert "no such section" in differences(root, "## What we measured", "## What was measured")[0]


def test_places_that_are_in_no_table_are_errors(root):
    tables = Tables(root)
    assert tables.value("shapes/terms/full") == "60.2"  # one seed
    for place, message in (
        ("shapes/terms/none", "no row 'none', expected one of both, full"),
        ("shapes/terms/both/none", "no column 'none'"),
        ("shapes/warmup/both", "warmup.csv: no such file"),
        ("shapes/terms", "expected {set/study/arm}"),
    ):
        with pytest.raises(ValueError, match=message.replace("{", r"\{").replace("}", r"\}")):
            tables.value(place)


def test_the_command_corrects_the_numbers_and_nothing_else(root, capsys):
    wrong = README.replace("53.0 ± 1.3", "59.0").replace("\n88 %", "\n1 %")
    assert corrected(wrong, root) == README
    (root / "README.md").write_text(wrong)
    assert main(["--readme", str(root / "README.md"), "--reference", str(root)]) == 0
    assert (root / "README.md").read_text() == README
    (root / "README.md").write_text(README.replace("Chosen", "Taken"))
    assert main(["--readme", str(root / "README.md"), "--reference", str(root)]) == 1


def test_every_number_of_this_project_s_readme_is_given_by_its_records():
    assert list(readme_differences(ROOT / "README.md", ROOT / "reference")) == []
