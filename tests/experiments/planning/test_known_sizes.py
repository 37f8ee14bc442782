"""The first plan of a shipped set takes no torch: the sizes of its networks are known, as they are measured."""

import shutil
import subprocess
import sys
from pathlib import Path

import pytest

from experiments.planning import known_sizes
from experiments.planning.known_sizes import KNOWN, NUM_CLASSES, ROOT, SETS, arms_of, size_of
from experiments.planning.network_size import network_size
from experiments.planning.remembered import Remembered

WAY_OUT = "the network has changed: run `python -m experiments.planning.known_sizes`"


@pytest.mark.parametrize("set_name", SETS)
def test_the_network_of_each_arm_is_known(set_name: str, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(known_sizes, "_find_out", lambda *given: pytest.fail(WAY_OUT))
    known = Remembered(KNOWN)
    for config in arms_of(set_name):
        for num_classes in NUM_CLASSES:
            assert size_of(config, num_classes, known).parameters > 0


def test_what_is_known_is_what_is_measured() -> None:
    config = arms_of("smoke")[0]
    known = size_of(config, 4, Remembered(KNOWN))
    measured = network_size(config.model, 4, known.height, known.width)
    assert (known.parameters, known.forward_flops) == (measured.parameters, measured.forward_flops)


def test_another_network_or_image_size_is_found_out(monkeypatch: pytest.MonkeyPatch) -> None:
    found = []
    monkeypatch.setattr(known_sizes, "_find_out", lambda *given: (found.append(given), known)[1])
    config, remembered = arms_of("smoke")[0], Remembered(KNOWN)
    known = size_of(config, 4, remembered)
    assert found == []
    size_of(config, 5, remembered)
    data = config.data.model_copy(update={"val_short_side": 32})
    size_of(config.model_copy(update={"data": data}), 4, remembered)
    monkeypatch.setattr(known_sizes, "network_code", lambda: "of another network")
    size_of(config, 4, remembered)
    assert len(found) == 3


@pytest.mark.parametrize("set_name", SETS)
def test_the_first_plan_takes_no_torch(set_name: str, tmp_path: Path) -> None:
    shutil.copytree(ROOT / "experiments" / "sets", tmp_path / "experiments" / "sets")
    (tmp_path / "params.yaml").write_text(f"set: {set_name}\n")
    code = (
        "import sys; from experiments.run import main; status = main(['--all', '--dry-run']); "
        "print(status, [name for name in sys.modules if name.partition('.')[0] in ('torch', 'torchvision', 'mlflow')])"
    )
    command = [sys.executable, "-c", f"import sys; sys.path.insert(0, {str(ROOT)!r}); {code}"]
    done = subprocess.run(command, cwd=tmp_path, capture_output=True, text=True, check=True)
    assert done.stdout.splitlines()[-1] == "0 []"
    assert "device-hours" in done.stdout
