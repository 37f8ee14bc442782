"""The quick check before a run: one clean line for what is wrong, and no waiting for torch."""

import subprocess
import sys
from pathlib import Path

import pytest

from experiments.check import main

SOUND = "data: {recipe: shapes, root: photos}\nstudies: [loss_terms]\n"


@pytest.mark.parametrize(
    ("text", "message"),
    [
        (SOUND, "error: data.root 'photos': no such folder"),
        (SOUND + "seed: [0]", "unknown key 'seed' (did you mean 'seeds'?)"),
        (SOUND + "settings: {training.epoch: 3}", "did you mean 'training.epochs'"),
        (SOUND.replace("loss_terms", "loss_term"), "did you mean 'loss_terms'"),
        (SOUND.replace("shapes", "shape"), "did you mean 'shapes'"),
    ],
)
def test_what_is_wrong_is_one_line_and_status_2(tmp_path: Path, monkeypatch, capsys, text: str, message: str) -> None:
    monkeypatch.chdir(tmp_path)
    Path("params.yaml").write_text(text)
    assert main([]) == 2
    captured = capsys.readouterr()
    assert message in captured.err
    assert len(captured.err.splitlines()) == 1


def test_a_sound_request_passes(tmp_path: Path, monkeypatch) -> None:
    monkeypatch.chdir(tmp_path)
    Path("params.yaml").write_text(SOUND)
    Path("photos").mkdir()
    assert main([]) == 0


def test_the_check_loads_neither_torch_nor_ray() -> None:
    code = "import sys, experiments.check; print([name for name in ('torch', 'ray', 'mlflow') if name in sys.modules])"
    root = Path(__file__).parents[2]
    done = subprocess.run([sys.executable, "-c", code], cwd=root, capture_output=True, text=True, check=True)
    assert done.stdout.strip() == "[]"
