"""A recipe may lie anywhere: a path in place of its name, which extends a recipe of the project."""

from pathlib import Path

import pytest

from core.config.recipe import load_recipe


def test_a_recipe_at_a_path_extends_one_of_the_project_and_is_named_by_its_file(tmp_path: Path) -> None:
    (tmp_path / "best.yaml").write_text("extends: shapes\nloss.color_threshold: 0.2\n")
    settings = load_recipe(str(tmp_path / "best.yaml"))
    expected = load_recipe("shapes") | {"name": "best"}
    assert settings == expected | {"loss": expected["loss"] | {"color_threshold": 0.2}}


@pytest.mark.parametrize(
    ("name", "text", "message"),
    [
        ("none.yaml", None, r"none\.yaml: cannot be read \(No such file"),
        ("a b.yaml", "extends: shapes\n", "recipe 'a b': expected letters"),
        ("best.yaml", "extends: shape\n", r"best\.yaml: extends: recipe 'shape': .*\(did you mean 'shapes'\?\)"),
        ("best.yaml", "extends: other.yaml\n", r"best\.yaml: extends: recipe 'other\.yaml': expected letters"),
        (
            "best.yaml",
            "extends: shapes\nloss.dise: 1\n",
            r"best\.yaml \(on shapes\.yaml\): .*\(did you mean 'loss\.dice'",
        ),
    ],
)
def test_a_wrong_file_is_named(tmp_path: Path, name: str, text: str | None, message: str) -> None:
    if text is not None:
        (tmp_path / name).write_text(text)
    with pytest.raises(ValueError, match=message):
        load_recipe(str(tmp_path / name))
