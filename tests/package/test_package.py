"""The installed package: `core` lies inside `boxinst` and says so, and works from any folder without the suite."""

import ast
import os
import re
import subprocess
import sys
import tomllib
from pathlib import Path
from venv import EnvBuilder

import pytest
from PIL import Image

from boxinst.__main__ import COMMANDS
from package.renaming import COMMANDS as RENAMED_COMMANDS
from package.renaming import renamed, write_package
from tests.boxinst.conftest import noise, write_checkpoint

ROOT = Path(__file__).parents[2]
SUITE = ("ray", "mlflow", "dvc", "pandas", "experiments", "analysis")
SEES = f"""
import boxinst, importlib.util, sys
import boxinst.core.config.recipe as recipe
assert recipe.load_recipe('own')['name'] == 'own'
assert importlib.util.find_spec('core') is None
print(boxinst.__file__, [name for name in {(*SUITE, "core")} if name in sys.modules])
"""


@pytest.fixture(scope="module")
def installed(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A folder like site-packages, with what a wheel contains."""
    folder = tmp_path_factory.mktemp("site-packages")
    write_package(ROOT, folder / "boxinst")
    return folder


@pytest.fixture
def elsewhere(tmp_path: Path) -> Path:
    """A folder outside of the repository, with a checkpoint and photos where the README has them."""
    (tmp_path / "runs" / "own").mkdir(parents=True)
    write_checkpoint(tmp_path / "runs" / "own", class_prior=0.9)
    (tmp_path / "photos").mkdir()
    for name in ("a.jpg", "b.jpg"):
        Image.fromarray(noise(240, 160)).save(tmp_path / "photos" / name)
    return tmp_path


def python(code: str, folder: Path, *, path: Path | None = None, executable: str = sys.executable) -> str:
    """What the code prints, run in a folder, with `path` among those that Python searches."""
    environment = os.environ | {"PYTHONPATH": str(path or "")}
    done = subprocess.run([executable, "-c", code], cwd=folder, env=environment, capture_output=True, text=True)
    assert done.returncode == 0, done.stderr
    return done.stdout


def example() -> str:
    """The lines of the README that show the library."""
    (code,) = re.findall(
        r"```python\n(from boxinst import Predictor\n.*?)```", (ROOT / "README.md").read_text(), re.DOTALL
    )
    return code


@pytest.mark.parametrize(
    ("source", "expected"),
    [
        ("from core.config import Config", "from boxinst.core.config import Config"),
        ("import core.train", "import boxinst.core.train"),
        ("from core import train", "from boxinst.core import train"),
        ("-m core.train", "-m boxinst.core.train"),
        ("run `python -m core.datasets.check`", "run `boxinst check`"),
        ("python -m core.datasets.sources.shapes", "python -m boxinst.core.datasets.sources.shapes"),
        ("numpy.core.multiarray", "numpy.core.multiarray"),
        ("`core` imports; core/model; core. Then", "`core` imports; core/model; core. Then"),
        ("hardcore.mode", "hardcore.mode"),
    ],
)
def test_names_of_modules_and_commands_are_renamed_and_nothing_else(source: str, expected: str) -> None:
    assert renamed(source) == expected


def test_messages_recommend_the_commands_that_there_are() -> None:
    modules = {name: module.removesuffix(".__main__") for name, (module, _) in COMMANDS.items()}
    assert {f"python -m {module}": f"boxinst {name}" for name, module in modules.items()} == RENAMED_COMMANDS


def test_the_package_has_every_file_and_no_import_of_core(installed: Path) -> None:
    ours = {path.relative_to(ROOT) for path in (ROOT / "core").rglob("*") if path.is_file()}
    theirs = {path.relative_to(installed / "boxinst") for path in (installed / "boxinst" / "core").rglob("*")}
    assert {path for path in ours if path.suffix != ".pyc"} <= theirs
    assert [path.name for path in installed.iterdir()] == ["boxinst"]
    for path in installed.rglob("*.py"):
        for node in ast.walk(ast.parse(path.read_text())):
            names = [alias.name for alias in node.names] if isinstance(node, ast.Import) else []
            names += [node.module] if isinstance(node, ast.ImportFrom) else []
            assert [name for name in names if name.split(".")[0] in ("core", "experiments", "analysis")] == [], path


def test_the_example_of_the_readme_runs_from_an_installed_package(installed: Path, elsewhere: Path) -> None:
    found = python(example() + SEES, elsewhere, path=installed).splitlines()
    assert found[-1] == f"{installed / 'boxinst' / '__init__.py'} []"
    assert re.fullmatch(r"(cat|dog) 0\.\d+ \[.*\] \d+", found[0])


def test_an_editable_installation_reads_the_repository_itself(tmp_path: Path) -> None:
    install = f"import renaming; renaming.install({str(ROOT)!r})"
    assert python(install + SEES, tmp_path, path=ROOT / "package") == f"{ROOT / 'boxinst' / '__init__.py'} []\n"


def test_an_editable_installation_leaves_no_bytecode_under_the_other_name(tmp_path: Path) -> None:
    repository = tmp_path / "repository"
    for name, content in {"boxinst": "", "core": "from core.part import NAME"}.items():
        (repository / name).mkdir(parents=True)
        (repository / name / "__init__.py").write_text(content)
    (repository / "core" / "part.py").write_text("NAME = __name__")
    install = f"import renaming; renaming.install({str(repository)!r}); "
    through = python(install + "import boxinst.core; print(boxinst.core.NAME)", tmp_path, path=ROOT / "package")
    assert through == "boxinst.core.part\n"
    assert list(repository.rglob("*.pyc")) == []
    assert python("import core; print(core.NAME)", repository) == "core.part\n"


def names_of(requirements: list[str]) -> dict[str, str]:
    """Version bounds by the name of the package, of lines such as `ray[tune]==2.60.0  # why`."""
    parsed = [re.match(r"([\w-]+)(\[\w+\])?([^#\s]*)", line) for line in requirements]
    return {match[1]: match[3] for match in parsed if match}


def test_the_package_asks_for_the_packages_of_the_suite_in_their_versions() -> None:
    project = tomllib.loads((ROOT / "pyproject.toml").read_text())["project"]
    library, suite = names_of(project["dependencies"]), names_of(project["optional-dependencies"]["suite"])
    locked = names_of((ROOT / "requirements.in").read_text().splitlines())
    tools = {"beartype", "hypothesis", "pytest", "pytest-xdist", "ruff", "codespell"}  # of the tests
    assert locked.keys() - tools == library.keys() | suite.keys()
    assert {name: locked[name] for name in suite} == suite
    assert library.keys().isdisjoint(SUITE)


def test_the_library_asks_for_all_that_it_imports() -> None:
    imported = set()
    for path in [*(ROOT / "core").rglob("*.py"), *(ROOT / "boxinst").rglob("*.py")]:
        for node in ast.walk(ast.parse(path.read_text())):
            names = [alias.name for alias in node.names] if isinstance(node, ast.Import) else []
            names += [node.module] if isinstance(node, ast.ImportFrom) else []
            imported |= {name.split(".")[0] for name in names}
    modules = {"PIL": "pillow", "yaml": "pyyaml", "cv2": "opencv-python-headless"}
    needed = {
        modules.get(name, name).replace("_", "-") for name in imported - sys.stdlib_module_names - {"core", "boxinst"}
    }
    project = tomllib.loads((ROOT / "pyproject.toml").read_text())["project"]
    assert needed == names_of(project["dependencies"]).keys()


@pytest.mark.slow
def test_pip_installs_a_wheel_and_an_editable_package(elsewhere: Path) -> None:
    """Asks the registry for the build backend; takes the other packages from this environment."""
    here = Path(sys.executable).parents[1]
    lend = f"import site; site.addsitedir({next(here.rglob('site-packages')).as_posix()!r})"
    for options, place in (([str(ROOT)], None), (["--editable", str(ROOT)], ROOT / "boxinst")):
        environment = elsewhere / f"environment{len(options)}"
        EnvBuilder(with_pip=True).create(environment)
        packages = next(environment.rglob("site-packages"))
        (packages / "zz_lent.pth").write_text(lend)
        executable = environment / "bin" / "python"
        subprocess.run([executable, "-m", "pip", "install", "--quiet", "--no-deps", *options], check=True)
        found = python(example() + SEES, elsewhere, executable=str(executable)).splitlines()[-1]
        assert found == f"{(place or packages / 'boxinst') / '__init__.py'} []"
        assert not (packages / "core").exists()
        helped = subprocess.run([environment / "bin" / "boxinst", "check", "--help"], capture_output=True, text=True)
        assert helped.stdout.startswith("usage: boxinst check ")
