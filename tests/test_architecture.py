"""The arrows of the design: who may import whom, and which files alone touch Ray and MLflow."""

import ast
import subprocess
import sys
from pathlib import Path

import pytest

ROOT = Path(__file__).parent.parent
SOURCES = sorted(
    path for package in ("core", "boxinst", "experiments", "analysis") for path in (ROOT / package).rglob("*.py")
)


def imported_modules(path: Path) -> set[str]:
    """Dotted names that a file imports, `from a.b import c` as a.b; also inside functions."""
    names = set()
    for node in ast.walk(ast.parse(path.read_text())):
        if isinstance(node, ast.Import):
            names |= {alias.name for alias in node.names}
        elif isinstance(node, ast.ImportFrom):
            names.add(node.module or "")
    return names


def imports_any(path: Path, packages: tuple[str, ...]) -> list[str]:
    return [name for name in imported_modules(path) if any(name == p or name.startswith(f"{p}.") for p in packages)]


def below(*folders: str) -> list[Path]:
    return [path for path in SOURCES if any(path.is_relative_to(ROOT / folder) for folder in folders)]


FORBIDDEN = [
    (below("core"), ("boxinst", "experiments", "analysis", "ray", "mlflow", "dvc")),
    (below("boxinst"), ("experiments", "analysis", "ray", "mlflow", "dvc")),
    (below("experiments"), ("analysis", "boxinst")),
    (below("analysis"), ("experiments", "boxinst", "torch")),
    (below("core/model"), ("core.losses", "core.targets", "core.datasets", "core.training", "core.evaluation")),
    (below("core/losses"), ("core.model", "core.targets", "core.datasets", "core.training", "core.evaluation")),
    ([path for path in below("core/losses") if path.name != "criterion.py"], ("core.compute", "core.config")),
    (below("core/targets"), ("core.model", "core.losses", "core.datasets", "core.training", "core.evaluation")),
    (below("core/datasets"), ("core.model", "core.losses", "core.targets", "core.training", "core.evaluation")),
]


@pytest.mark.parametrize(("paths", "packages"), FORBIDDEN, ids=lambda value: str(value[0]))
def test_imports_point_one_way(paths: list[Path], packages: tuple[str, ...]) -> None:
    assert paths
    wrong = {str(path.relative_to(ROOT)): found for path in paths if (found := imports_any(path, packages))}
    assert wrong == {}


def test_the_analysis_shares_the_record_and_its_tools_with_the_others_and_nothing_else_of_core() -> None:
    shared = {
        "core.record",  # what the sweep leaves
        "core.result_tables",  # what it leaves beside records
        "core.compute.command",  # how a command ends
        "core.config.file",  # the reader of YAML, and the nearest of known names
        "core.config.names",  # what studies, arms and recipes may be called
        "core.config.study_file",  # what a study file says, and its arms
        "core.config.expectation",  # the orders that a study expects
        "core.config.dotted",  # settings by name, as two records are compared
        "core.config.loss",  # the terms of the mask loss, by which curves are labeled
        "core.files.atomic",  # files that appear whole
        "core.files.json_file",  # damaged files, by name
        "core.files.shown",  # a value in a message
    }
    assert {name for path in below("analysis") for name in imports_any(path, ("core",))} == shared


def test_neither_the_record_nor_the_analysis_loads_torch() -> None:
    analysis = [path.relative_to(ROOT).with_suffix("") for path in below("analysis") if path.stem != "__main__"]
    names = ["core.record", *(".".join(path.parts).removesuffix(".__init__") for path in analysis)]
    code = f"import sys, {', '.join(names)}; print([name for name in sys.modules if name.startswith('torch')])"
    done = subprocess.run([sys.executable, "-c", code], cwd=ROOT, capture_output=True, text=True, check=True)
    assert done.stdout.strip() == "[]"


@pytest.mark.parametrize(
    ("packages", "only"),
    [
        (
            ("ray",),
            [
                "parallel/described.py",
                *(f"parallel/nodes/{name}.py" for name in ("cluster", "joining", "probe", "watch")),
                *(
                    f"parallel/{name}.py"
                    for name in ("placement", "relay", "session", "start", "sweep", "trainable", "tuning")
                ),
            ],
        ),
        (("mlflow",), [f"tracking/{name}.py" for name in ("database", "machine", "runs", "server", "trial_run")]),
        (("alembic", "sqlalchemy"), ["tracking/database.py", "tracking/server.py"]),
    ],
)
def test_few_files_import_a_service(packages: tuple[str, ...], only: list[str]) -> None:
    importers = [path.relative_to(ROOT / "experiments") for path in SOURCES if imports_any(path, packages)]
    assert [str(path) for path in importers] == only


def test_no_file_is_a_drawer() -> None:
    drawers = [path.name for path in SOURCES if path.stem in {"utils", "util", "common", "misc", "helpers"}]
    assert drawers == []
