"""The check of a GPU, without one: its parts run on the CPU, see what is wrong, and lose nothing in a crash."""

import json
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest
import torch

from core.losses.dice import dice_loss
from tests import gpu_check
from tests.gpu import marked, mask_parts
from tests.gpu.case import Case
from tests.gpu.components import COMPONENTS, components, difference
from tests.gpu.learning import LENGTH, SMALL
from tests.gpu.loading import loading
from tests.gpu.speed import Extent, speed
from tests.gpu.synchronizations import synchronizations

ROOT = Path(__file__).parent.parent
ON_CPU = ["--device", "cpu", "--small", "--threads", "1", "--loader-processes", "1"]
WITHOUT_SERVICES = """
import sys
for service in ("ray", "mlflow", "dvc"):
    sys.modules[service] = None  # importing it is an ImportError
from tests.gpu_check import main
status = main(sys.argv[1:])
print(sorted(name for name, module in sys.modules.items() if module and name.split(".")[0] in ("ray", "mlflow", "dvc")))
sys.exit(status)
"""


def test_it_needs_neither_ray_nor_mlflow_nor_dvc(tmp_path: Path) -> None:
    out = tmp_path / "check.json"
    command = [sys.executable, "-c", WITHOUT_SERVICES, *ON_CPU, "--parts", "components", "--out", str(out)]
    done = subprocess.run(command, cwd=ROOT, capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stdout + done.stderr
    assert done.stdout.splitlines()[-1] == "[]"
    record = json.loads(out.read_text())
    assert record["passed"]
    assert record["device"] == "cpu"
    assert record["versions"]["torch"] == torch.__version__
    assert record["parts"]["components"]["components"].keys() == COMPONENTS.keys()


@pytest.mark.slow
def test_all_parts_run_without_a_gpu(tmp_path: Path) -> None:
    out = tmp_path / "check.json"
    assert gpu_check.main([*ON_CPU, "--out", str(out)]) == 0
    record = json.loads(out.read_text())
    assert record["passed"]
    assert tuple(record["parts"]) == gpu_check.PARTS
    assert record["parts"]["tests"]["tests"]["skipped"] > 3
    assert all(each["step"]["peak_memory_mb"] is None for each in record["parts"]["speed"]["figures"].values())
    assert record["parts"]["loading"]["cores_that_feed_a_step"] > 0


def test_each_part_is_on_disk_before_the_next_and_one_that_fails_loses_nothing(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    out, seen = tmp_path / "results" / "check.json", []

    def run_part(name: str, *_: Any) -> dict[str, Any]:
        seen.append(json.loads(out.read_text()) if out.exists() else None)
        if name == "speed":
            raise RuntimeError("CUDA error: an illegal memory access")
        return {"passed": True, "of": name, "ratio": float("nan")}

    monkeypatch.setattr(gpu_check, "run_part", run_part)
    status = gpu_check.main([*ON_CPU, "--out", str(out), "--parts", "components", "speed", "loading"])
    assert status == 1
    assert [None if record is None else list(record["parts"]) for record in seen] == [
        None,
        ["components"],
        ["components", "speed"],
    ]
    assert seen[1]["passed"] is None  # not done yet
    record = json.loads(out.read_text())
    assert record["passed"] is False
    assert record["parts"]["speed"]["error"] == "RuntimeError: CUDA error: an illegal memory access"
    assert record["parts"]["loading"]["of"] == "loading"
    assert record["parts"]["loading"]["ratio"] is None


def test_a_device_that_is_not_there_is_named(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    assert gpu_check.main(["--device", "cuda:99", "--out", str(tmp_path / "check.json")]) == 2
    assert "device is cuda:99" in capsys.readouterr().err


@pytest.mark.parametrize("name", COMPONENTS)
def test_a_component_has_something_to_compare(name: str) -> None:
    found = COMPONENTS[name][0](Case("cpu", small=True))
    assert found
    for key, values in found.items():
        assert values.numel(), key
        assert values.isfinite().all(), key
        assert values.any(), key


def test_a_wrong_gradient_is_seen(monkeypatch: pytest.MonkeyPatch) -> None:
    calls = []

    def on_the_device(*inputs: torch.Tensor) -> tuple[torch.Tensor, int]:
        calls.append(inputs)
        total, count = dice_loss(*inputs)
        return (total, count) if len(calls) == 1 else (total.detach() + 1.01 * (total - total.detach()), count)

    monkeypatch.setattr(mask_parts, "dice_loss", on_the_device)
    (compared,) = components("cpu", small=True, names=["dice loss"])["components"].values()
    assert not compared["passed"]
    assert compared["differences"]["value"]["relative"] == 0
    assert compared["differences"]["gradient of logits"]["relative"] == pytest.approx(0.01, rel=1e-3)


def test_a_component_that_raises_has_failed_and_the_others_go_on(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(mask_parts, "dice_loss", None)
    found = components("cpu", small=True, names=["dice loss", "box masks"])
    assert not found["passed"]
    assert found["components"]["dice loss"]["error"].startswith("TypeError")
    assert found["components"]["box masks"]["passed"]


def test_differences_are_the_largest_the_relative_and_the_share() -> None:
    numbers = difference(torch.tensor([3.0, 4.5]), torch.tensor([3.0, 4.0]))
    assert numbers == {"absolute": 0.5, "relative": pytest.approx(0.1), "differing": 0.0}  # 0.5 over the norm 5
    assert difference(torch.tensor([1, 2, 3, 4]), torch.tensor([1, 2, 3, 5]))["differing"] == 0.25
    assert difference(torch.zeros(2), torch.zeros(3))["differing"] == 1
    assert difference(torch.tensor([float("nan")]), torch.zeros(1))["relative"] == float("inf")


def test_operators_that_would_wait_are_counted_with_their_lines() -> None:
    mask, numbers = torch.tensor([True, False, True]), torch.arange(3)
    with synchronizations("cpu") as found:
        mask.nonzero_static(size=2)
        numbers.repeat_interleave(numbers, output_size=3)
        numbers[numbers]
    assert not found
    with synchronizations("cpu") as found:
        numbers[mask]
        mask.nonzero()
        numbers.repeat_interleave(numbers)
        bool(mask.any())
        numbers.tolist()
        torch.tensor([1], device="cpu")
        numbers.to("cpu")
    assert found.total() == 7
    assert all(line.startswith("tests/test_gpu_check.py:") for line in found)
    assert any(line.endswith("numbers[mask] (index)") for line in found)


def test_tests_that_are_marked_are_counted(tmp_path: Path) -> None:
    (tmp_path / "tests").mkdir()
    mark = f"import pytest\n@{marked.MARK}\n"
    (tmp_path / "tests" / "test_it.py").write_text(
        f"{mark}def test_good(): pass\n{mark}def test_bad(): assert False\ndef test_other(): pass\n"
    )
    (tmp_path / "tests" / "test_of_a_service.py").write_text("import no_such_service\ndef test_it(): pass\n")
    found = marked.marked_tests(tmp_path)
    assert not found["passed"]
    assert found["tests"] == {"passed": 1, "failed": 1, "skipped": 0}
    assert found["files"] == ["tests/test_it.py"]
    assert "test_bad" in found["failed_tests"][0]


@pytest.mark.slow
def test_a_step_and_an_inference_are_timed() -> None:
    extent = Extent(64, 64, 2, (1,), 0.0, 1, "resnet18")
    found = speed("cpu", small=True, extent=extent)
    assert found["passed"]
    assert found["figures"].keys() == {f"{precision}, batch 1" for precision in ("float32", "tf32", "bfloat16")}
    step = found["figures"]["float32, batch 1"]["step"]
    assert 0 < step["share_in_convolutions"] < 1
    assert step["images_per_second"] * step["seconds"] == pytest.approx(1)
    assert step["host_synchronizations"] > 0
    assert gpu_check.step_rate(found) == max(each["step"]["images_per_second"] for each in found["figures"].values())


def test_what_does_not_fit_into_memory_is_null(monkeypatch: pytest.MonkeyPatch) -> None:
    def figures(device: str, extent: Extent, precision: str, batch_size: int) -> dict[str, Any]:
        if batch_size > 2:
            raise torch.OutOfMemoryError("CUDA out of memory")
        return {"step": {"images_per_second": 1.0}}

    monkeypatch.setattr("tests.gpu.speed._figures", figures)
    found = speed("cpu", small=False)
    assert found["passed"]
    assert [name for name, each in found["figures"].items() if each is None] == [
        f"{precision}, batch 16" for precision in ("float32", "tf32", "bfloat16")
    ]


def test_the_cores_that_feed_a_step_are_its_images_over_those_of_a_core() -> None:
    found = loading("cpu", small=True, processes=1, images_per_second=1e6)
    assert found["passed"]
    assert found["cores_that_feed_a_step"] == -(-1e6 // found["images_per_second_and_core"])
    assert not found["pinned_memory"]


def test_the_ap_that_a_training_must_reach_is_stated() -> None:
    assert LENGTH.steps == 300
    assert LENGTH.mask_ap > SMALL.mask_ap > 1
