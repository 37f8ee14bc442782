"""What a study would take: counted by hand, and told without data, weights or training."""

import math
import os
import shutil
import subprocess
import sys
from dataclasses import replace
from pathlib import Path

import pytest

from core.config.file import build_config
from core.config.recipe import load_recipe
from core.record import trial_key
from experiments.planning import data_facts, plan
from experiments.planning import network_size as sizes
from experiments.planning.arm_cost import ArmCosts, schedule
from experiments.planning.data_facts import KnownData, read_facts
from experiments.planning.network_size import network_size
from experiments.planning.plan import PLAN, PUBLISHED_CSV, describe_study, device_hours, print_plan, published_numbers
from experiments.planning.remembered import Remembered
from experiments.provenance import provenance
from experiments.run import main
from experiments.store import Store
from experiments.study import Study, load_study
from tests.experiments.conftest import write_params

HEAD = "table,row,method,backbone,schedule,split,metric,value,status,status_meaning,source,note\n"
ROWS = """pair,a,x,R-50,1x,COCO test-dev,mask_AP,32.5,M,recalled,s,
pair,a,x,R-50,1x,COCO test-dev,mask_AP50,55.3,M,recalled,s,
zoo,adelaidet_a,x,R-50,1x,COCO val2017,mask_AP,32.2,V,verified,s,
pair,b,x,R-50,1x,COCO val2017,mask_AP,,none,nothing known,s,
other,a,x,R-50,1x,COCO val2017,mask_AP,99,V,verified,s,
"""


def test_the_key_of_a_trial_takes_no_torch(study: Study) -> None:
    code = (
        "import sys; import experiments.run, experiments.planning.plan, experiments.parallel.session; "
        "from core.config import Config; from core.record import trial_key; "
        "from experiments.planning.data_facts import KnownData; config = Config.model_validate_json(sys.argv[1]); "
        "print(trial_key(config, 0, data_digest=KnownData().facts(config.data).digest, code='c')); "
        "print([name for name in sys.modules if name.partition('.')[0] in ('torch', 'torchvision', 'mlflow')])"
    )
    config = study.trials[0].config
    command = [sys.executable, "-c", code, config.model_dump_json()]
    done = subprocess.run(command, cwd=Path(plan.__file__).parents[2], capture_output=True, text=True, check=True)
    key, loaded = done.stdout.splitlines()
    assert loaded == "[]"
    assert key == trial_key(config, 0, data_digest=read_facts(config.data).digest, code="c")


@pytest.fixture
def published(tmp_path: Path) -> Path:
    path = tmp_path / "published.csv"
    path.write_text(HEAD + ROWS)
    return path


@pytest.fixture
def costs() -> ArmCosts:
    """Of arms, found out anew."""
    return ArmCosts(KnownData(), Remembered(), code="")


@pytest.fixture
def elsewhere(study: Study) -> Study:
    """The study on data that is not there."""

    def moved(trial):
        data = trial.config.data.model_copy(update={"root": "nowhere"})
        return replace(trial, config=trial.config.model_copy(update={"data": data}))

    return replace(study, trials=tuple(map(moved, study.trials)))


def test_hours_are_samples_times_three_forward_passes() -> None:
    # 1.44 M x 3 x 0.4 TFLOP / 20 TFLOP/s = 86,400 s
    assert device_hours(1_440_000, 400_000_000_000, 20) == pytest.approx(24)
    with pytest.raises(ValueError, match="--teraflops is 0, expected more than 0"):
        device_hours(1, 1, 0)


def test_published_numbers_come_with_split_and_status(published: Path) -> None:
    assert published_numbers(published, "pair", "a") == [
        ("32.5 on COCO test-dev (M)", "M: recalled"),
        ("32.2 on COCO val2017 (V)", "V: verified"),
    ]
    assert published_numbers(published, "pair", "b") == []
    with pytest.raises(ValueError, match=r"none\.csv: cannot be read as a table of published numbers"):
        published_numbers(published.parent / "none.csv", "pair", "a")


@pytest.mark.parametrize("name", ["main", "voc"])
def test_every_row_of_the_tables_on_coco_and_voc_has_a_published_number(name: str) -> None:
    for arm in load_study(name, {}, (0,)).arms:
        assert published_numbers(PUBLISHED_CSV, name, arm), arm


def test_an_arm_is_told_with_its_difference_size_hours_and_number(study: Study, published: Path, costs) -> None:
    told = describe_study(replace(study, seeds=(0, 1)), costs, 20.0, published)
    first, second = told.split("\na: ")[1].split("\nb: ")
    assert first.startswith("recipe tiny\n    4 images x 1 accumulated x 1 workers = 4 images per step: 4 steps, ")
    assert "16 samples seen\n" in first  # 2 epochs of 8 images
    assert "published mask AP: 32.5 on COCO test-dev (M); 32.2 on COCO val2017 (V)" in first
    assert "differs from a: loss.dice=2.0\n" in second
    assert "published mask AP: none known" in second
    assert " M parameters with 4 classes, " in first
    model = study.trials[0].config.model
    hours = device_hours(16, network_size(model, 4, 64, 64).forward_flops, 20)
    assert f"at 64x64 px, {hours:.3g} device-hours" in first
    assert f"2 arms x 2 seeds: {4 * hours:.3g} device-hours = samples seen x 3 x forward FLOP" in told
    assert told.endswith("M: recalled\nV: verified")


def test_a_teacher_is_trained_too(study: Study, costs: ArmCosts) -> None:
    config = study.trials[1].config
    supervision = config.supervision.model_copy(update={"pseudo_masks": "teacher"})
    taught = replace(study.trials[1], config=config.model_copy(update={"supervision": supervision}))
    told = describe_study(replace(study, trials=(study.trials[0], taught)), costs, 20.0)
    hours = [float(line.split()[-2 if line.endswith("hours") else -5]) for line in told.splitlines() if "GFLOP" in line]
    assert hours[1] == pytest.approx(2 * hours[0], rel=0.01)
    assert "device-hours including its teacher\n" in told


def test_epochs_of_data_that_is_not_there_have_no_length(elsewhere: Study, costs: ArmCosts) -> None:
    assert schedule(elsewhere.trials[0].config, None) == ("2 epochs: no data to count their steps", None)
    told = describe_study(elsewhere, costs, 20.0)
    assert "with 80 classes, device-hours unknown" in told
    assert "2 arms x 1 seeds: device-hours unknown = samples seen" in told


def test_hours_that_are_not_all_known_say_so(study: Study, elsewhere: Study, costs: ArmCosts) -> None:
    told = describe_study(replace(study, trials=(study.trials[0], elsewhere.trials[1])), costs, 20.0)
    assert "device-hours without the 1 unknown = samples seen" in told


def test_the_trials_to_run_are_listed_and_nothing_is_written_to_the_store(
    study: Study, tmp_path: Path, capsys, monkeypatch
) -> None:
    monkeypatch.chdir(tmp_path)
    print_plan([study], Store(tmp_path / "store"), teraflops=20.0, fresh=False)
    trials = [line.split() for line in capsys.readouterr().out.splitlines() if "pair/" in line]
    assert [(words[0], words[1], words[3], words[4]) for words in trials] == [
        ("to", "run", "pair/a-seed0", "loss.dice=0.0"),
        ("to", "run", "pair/b-seed0", "loss.dice=2.0"),
    ]
    assert not list((tmp_path / "store").glob("*"))


def test_without_data_the_plan_is_told_all_the_same(elsewhere: Study, tmp_path: Path, capsys, monkeypatch) -> None:
    monkeypatch.chdir(tmp_path)
    print_plan([elsewhere], Store(tmp_path / "store"), teraflops=20.0, fresh=False)
    lines = capsys.readouterr().out.splitlines()
    assert lines[-1].startswith("cannot determine which trials are finished: data.root 'nowhere': no such folder")


def test_the_command_needs_neither_data_nor_ray(tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys) -> None:
    monkeypatch.chdir(tmp_path)
    monkeypatch.setattr("experiments.parallel.start.ray.init", lambda **_: pytest.fail("Ray was started"))
    write_params(Path(), recipe="voc_r50", studies="[voc]")
    assert main(["voc", "--dry-run", "--teraflops", "40"]) == 0
    told = capsys.readouterr().out
    assert "boxinst_r101: recipe voc_r101\n    differs from boxinst_r50: model.backbone.name=resnet101, " in told
    assert "144000 steps, learning rate 0.00125, warm-up 800 steps, pairwise warm-up 8000 steps" in told
    hours = [float(line.split()[-2]) for line in told.splitlines() if "GFLOP" in line]
    flops = network_size(build_config(load_recipe("voc_r50"), "x").model, 80, 800, 1216).forward_flops
    assert math.isclose(hours[0], 288_000 * 3 * flops / 40e12 / 3600, rel_tol=0.005)
    assert {path.name for path in tmp_path.iterdir()} == {"params.yaml", "experiments", str(PLAN)}


@pytest.mark.parametrize("changed", ["nothing", "image", "time", "code", "memory"])
def test_a_plan_is_told_again_from_memory_unless_something_changed(
    study: Study, shapes: Path, tmp_path: Path, capsys, monkeypatch, changed: str
) -> None:
    root = tmp_path / "data"
    shutil.copytree(shapes, root)

    def moved(trial):
        data = trial.config.data.model_copy(update={"root": str(root)})
        return replace(trial, config=trial.config.model_copy(update={"data": data}))

    monkeypatch.chdir(tmp_path)
    study, store = replace(study, trials=tuple(map(moved, study.trials))), Store(tmp_path / "store")
    print_plan([study], store, teraflops=20.0, fresh=False)
    told = capsys.readouterr().out
    image = next((root / "train").iterdir())
    read, sized = [], []
    monkeypatch.setattr(data_facts, "read_facts", lambda data: read.append(data.root) or read_facts(data))
    monkeypatch.setattr(sizes, "network_size", lambda *network: sized.append(network) or network_size(*network))
    if changed == "image":
        image.write_bytes((root / "train" / sorted(path.name for path in (root / "train").iterdir())[-1]).read_bytes())
    elif changed == "time":
        os.utime(image, ns=(0, 0))
    elif changed == "code":
        monkeypatch.setattr(plan, "provenance", lambda: replace(provenance(), code="other"))
    elif changed == "memory":
        PLAN.write_text("{damaged")
    print_plan([study], store, teraflops=20.0, fresh=False)
    assert (capsys.readouterr().out == told) is (changed not in ("image", "code"))
    assert len(read) == (changed in ("image", "time", "memory"))
    assert len(sized) == (changed in ("code", "memory"))


def test_a_plan_that_is_remembered_loads_neither_torch_nor_ray_nor_mlflow(
    study: Study, tmp_path: Path, monkeypatch, shapes: Path
) -> None:
    monkeypatch.chdir(tmp_path)
    write_params(Path(), recipe="tiny", studies="[warmup]")
    Path("datasets").mkdir()
    Path("datasets/mine").symlink_to(shapes)
    code = (
        "import sys; from experiments.run import main; main(['--all', '--dry-run']); "
        "print([name for name in ('torch', 'ray', 'mlflow') if name in sys.modules])"
    )
    environment = os.environ | {"PYTHONPATH": str(Path(plan.__file__).parents[2])}
    for loaded in ("['torch']", "[]"):
        done = subprocess.run(
            [sys.executable, "-c", code], env=environment, capture_output=True, text=True, check=True
        ).stdout.splitlines()
        assert "to run" in done[-2]
        assert done[-1] == loaded
