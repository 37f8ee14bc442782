"""Two processes of gloo on this machine: what they count together, and that they train as one with twice the batch.

They are started once, do all of `SCENARIOS`, and leave what they found for the tests to look at.
"""

import json
import shutil
import socket
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pytest
import torch
from torch import Tensor, multiprocessing, nn

from core.checkpoints.network import load_network
from core.compute.compute import Compute
from core.compute.workers import ALONE, Workers, torchrun_workers
from core.config import Config
from core.datasets import digest
from core.datasets.annotation_file import AnnotationFile
from core.datasets.coco import (
    CocoDataset,
    build_validation_set,
    load_training_set,
    read_training_file,
    read_validation_file,
)
from core.datasets.loader import BatchLoader
from core.datasets.sources.shapes import generate
from core.evaluation.evaluate import evaluate
from core.model.build import build_model
from core.model.condinst import CondInst
from core.pseudo_masks.ema_teacher import EmaTeacher
from core.pseudo_masks.grabcut import PSEUDO_MASKS
from core.pseudo_masks.teacher import teacher_masks, without_pseudo_masks
from core.structures import Batch
from core.targets.assignment import assign
from core.training import loop as training
from core.training.effective_batch import total_steps
from core.training.epoch import epoch_batches, run_epoch
from core.training.loop import TrainingResult, train
from core.training.optimizer import build_optimizer
from core.training.step import BatchLosses, compute_losses, train_step
from tests.core.training.test_loop import tiny

RELATIVE = 1e-5  # float32 sums of the same numbers in another order, over a few steps
STEPS = 3
MASK_RATIOS = (0.0, 0.5, 1.0)


def build(config: Config, num_classes: int) -> CondInst:
    torch.manual_seed(0)
    model = build_model(config.model, num_classes).train()
    for module in model.modules():  # each worker's batch norm sees its own images: statistics of the batch would differ
        if isinstance(module, nn.BatchNorm2d):
            module.eval()
    return model


def by_steps(root: Path, mask_ratio: float, batch_size: int) -> Config:
    schedule = {"epochs": 12, "optimizer": "sgd", "learning_rate": 0.01, "schedule": "step", "warmup_steps": 0}
    return tiny(
        root,
        training=schedule | {"batch_size": batch_size},
        supervision={"mask_ratio": mask_ratio},
        loss={"pairwise_warmup": 0.1},
    )


def first_steps(config: Config, workers: Workers) -> dict[str, float]:
    """Each loss term of each of the first steps, its mean over the batches of the step that this worker had."""
    dataset = load_training_set(config.data, config.supervision, 0)
    model = build(config, dataset.num_classes)
    optimizer = build_optimizer(model, config.training)
    batch_losses = workers.parallel(BatchLosses(model, config))
    steps = total_steps(config.training, len(dataset), workers.count)
    values = {}
    step, epoch = 0, 0
    while step < STEPS:
        batches = loaded(dataset, config, workers, epoch)
        for i in range(0, len(batches), config.training.accumulation):
            of_step = batches[i : i + config.training.accumulation]
            rest = {"steps": steps, "seed": 0, "workers": workers, "batch_losses": batch_losses}
            losses_of = train_step(model, optimizer, of_step, config, step=step, **rest)
            for name in losses_of[0].weighted:
                values[f"{step} {name}"] = sum(losses.weighted[name].item() for losses in losses_of) / len(losses_of)
            step += 1
        epoch += 1
    return {name: value for name, value in values.items() if int(name.split()[0]) < STEPS}


def loaded(dataset: CocoDataset, config: Config, workers: Workers, epoch: int = 0) -> list[Batch]:
    """The batches of a worker in an epoch."""
    indices = epoch_batches(len(dataset), config.training, workers, seed=0, epoch=epoch)
    return list(BatchLoader(dataset, 0).load(indices, epoch))


def each_worker(root: Path, **training: Any) -> Config:
    """As all recipes on COCO: half of the images with masks, mask terms by each worker's own counts."""
    return tiny(root, supervision={"mask_ratio": 0.5}, loss={"mask_normalizer": "each_worker"}, training=training)


def terms(model: CondInst, batch: Batch, config: Config, workers: Workers) -> dict[str, float]:
    losses = compute_losses(model, batch, config, step=0, steps=10, batch_seed=0, workers=workers)
    return {name: value.item() for name, value in losses.unweighted.items()}


# What the two processes do. Each returns what JSON holds.


def steps_together(workers: Workers, device: str, root: Path, folder: Path) -> dict[str, dict[str, float]]:
    return {str(ratio): first_steps(by_steps(root, ratio, batch_size=2), workers) for ratio in MASK_RATIOS}


def one_batch_each(workers: Workers, device: str, root: Path, folder: Path) -> list[dict[str, float]]:
    """Terms of this worker's first batch, scored together and as if it were alone."""
    config = each_worker(root)
    dataset = load_training_set(config.data, config.supervision, 0)
    model = build(config, dataset.num_classes)
    batch = loaded(dataset, config, workers)[0]
    return [terms(model, batch, config, who) for who in (workers, ALONE)]


class _Pair(nn.Module):
    """Two layers, of which each call uses one."""

    def __init__(self, first: nn.Module, second: nn.Module) -> None:
        super().__init__()
        self.first, self.second = first, second

    def forward(self, values: Tensor, *, first: bool) -> Tensor:
        return (self.first if first else self.second)(values)


def counted_together(workers: Workers, device: str, root: Path, folder: Path) -> list[Any]:
    mean = workers.mean(torch.tensor(float(workers.rank + 1)))
    layer = nn.Linear(2, 1)
    both = workers.parallel(_Pair(layer, nn.Linear(2, 1)))
    both(torch.tensor([[3.0, 5.0]]), first=workers.rank == 0).sum().backward()  # of rank 1, the layer has no part in it
    with torch.no_grad():
        layer.weight.fill_(workers.rank)
    workers.copy_from_first(layer)
    return [float(mean), layer.weight.grad.tolist(), layer.weight.tolist(), workers.gather(workers.rank)]


def told_once(workers: Workers, device: str, root: Path, folder: Path) -> list[bool]:
    return [workers.first_to_print("no such file"), workers.first_to_print(f"image {workers.rank}")]


def files_of(root: Path) -> tuple[AnnotationFile, AnnotationFile]:
    data = tiny(root).data
    return read_training_file(data), read_validation_file(data)


def digest_in_shares(workers: Workers, device: str, root: Path, folder: Path) -> dict[str, Any]:
    read, original = [], digest._digest_of
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(digest, "_digest_of", lambda file, image: read.append(image.file_name) or original(file, image))
        return {"digest": digest.data_digest(*files_of(root), workers), "read": read}


def student(root: Path) -> Config:
    return tiny(
        root,
        supervision={"pseudo_masks": "teacher"},
        training={"epochs": 2, "batch_size": 1, "evaluate_every": None},
        inference={"score_threshold": 0.0},
    )


def train_together(workers: Workers, device: str, root: Path, folder: Path) -> dict[str, Any]:
    """A whole training, with a teacher before it."""
    epochs, shares = [], []

    def counted(model: nn.Module, dataset: CocoDataset, *arguments: Any, **settings: Any) -> dict[int, dict]:
        shares.append(dataset.image_ids)
        return teacher_masks(model, dataset, *arguments, **settings)

    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(training, "teacher_masks", counted)
        result = train(student(root), 0, Compute(device, workers), folder=folder, on_epoch=epochs.append)
    found = result.evaluation
    return {
        "curves": without_seconds(result),
        "metrics": found.metrics,
        "box_results": found.box_results,
        "mask_results": found.mask_results,
        "epochs": len(epochs),
        "shares": shares,
    }


def resume_together(workers: Workers, device: str, root: Path, folder: Path) -> dict[str, Any]:
    """The same training on the same masks, killed in its second epoch and started again."""
    killed = folder.with_name("killed")
    if workers.writes:
        killed.mkdir()
        shutil.copy(folder / PSEUDO_MASKS, killed)
    workers.gather(None)  # until it is there
    result = killed_and_resumed(student(root), Compute(device, workers), killed)
    return {"curves": without_seconds(result), "metrics": result.evaluation.metrics}


def killed_and_resumed(config: Config, compute: Compute, folder: Path) -> TrainingResult:
    def kill(*arguments: Any, epoch: int, **others: Any) -> dict[str, Any]:
        if epoch == 1:
            raise KeyboardInterrupt
        return run_epoch(*arguments, epoch=epoch, **others)

    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(training, "run_epoch", kill)
        with pytest.raises(KeyboardInterrupt):
            train(config, 0, compute, folder=folder)
    return train(config, 0, compute, folder=folder)


def follow_together(workers: Workers, device: str, root: Path, folder: Path) -> list[Any]:
    """A training that learns from a moving average in its second epoch, whole and killed before it; the averages."""
    config = tiny(
        root,
        supervision={"ema_teacher": {"start": 0.5}},
        loss={"dice": 0, "ema_masks": 1.0},
        training={"epochs": 2, "batch_size": 1, "evaluate_every": None},
    )
    teachers, original = [], EmaTeacher.of
    compute = Compute(device, workers)
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(EmaTeacher, "of", lambda *arguments: teachers.append(original(*arguments)) or teachers[-1])
        whole = train(config, 0, compute, folder=folder.with_name("followed"))
        resumed = killed_and_resumed(config, compute, folder.with_name("followed_again"))
    sums = [{n: float(t.double().sum()) for n, t in teacher.model.state_dict().items()} for teacher in teachers]
    return [without_seconds(whole), without_seconds(resumed), sums[0], sums[-1]]


def without_seconds(result: TrainingResult) -> list[dict[str, Any]]:
    return [{name: value for name, value in numbers.items() if name != "seconds"} for numbers in result.curves]


SCENARIOS = (
    steps_together,
    one_batch_each,
    counted_together,
    told_once,
    digest_in_shares,
    train_together,
    resume_together,
    follow_together,
)


@dataclass(frozen=True)
class Together:
    root: Path  # of the data
    folder: Path  # of the training of `train_together`
    found: list[dict[str, Any]]  # by rank and scenario

    def of(self, scenario: Callable) -> list[Any]:
        """What each process found in a scenario."""
        return [of_rank[scenario.__name__] for of_rank in self.found]


@pytest.fixture(scope="module")
def together(tmp_path_factory: pytest.TempPathFactory) -> Together:
    folder = tmp_path_factory.mktemp("workers")
    generate(folder / "shapes", {"train": 6, "val": 3}, seed=7, size=96)
    multiprocessing.spawn(_process, (free_port(), folder), nprocs=2)
    found = [json.loads((folder / f"{rank}.json").read_text()) for rank in range(2)]
    return Together(folder / "shapes", folder / "run", found)


def free_port() -> int:
    with socket.socket() as found:
        found.bind(("127.0.0.1", 0))
        return found.getsockname()[1]


def _process(rank: int, port: int, folder: Path) -> None:
    torch.set_num_threads(1)
    with pytest.MonkeyPatch.context() as patch:
        for name, value in {"WORLD_SIZE": 2, "RANK": rank, "LOCAL_RANK": rank, "MASTER_PORT": port}.items():
            patch.setenv(name, str(value))
        patch.setenv("MASTER_ADDR", "127.0.0.1")
        with torchrun_workers("cpu") as (workers, device):
            found = {each.__name__: each(workers, device, folder / "shapes", folder / "run") for each in SCENARIOS}
    (folder / f"{rank}.json").write_text(json.dumps(found))


@pytest.mark.parametrize("mask_ratio", MASK_RATIOS)
def test_two_workers_of_two_images_train_as_one_of_four(together: Together, mask_ratio: float) -> None:
    alone = first_steps(by_steps(together.root, mask_ratio, batch_size=4), ALONE)
    first, second = (of_rank[str(mask_ratio)] for of_rank in together.of(steps_together))
    assert {name: (first[name] + second[name]) / 2 for name in alone} == pytest.approx(alone, rel=RELATIVE)
    assert any(first[name] != second[name] for name in alone)  # each had images of its own


def test_mask_terms_go_by_each_workers_own_counts_and_the_others_by_the_counts_of_both(together: Together) -> None:
    ratios = []
    for joint, alone in together.of(one_batch_each):
        assert {"dice", "projection", "pairwise"} <= joint.keys()
        for name in joint.keys() - {"class", "box", "centerness"}:
            assert joint[name] == alone[name]
        ratios.append({name: joint[name] / alone[name] for name in ("class", "box", "centerness")})
    for name, first in ratios[0].items():
        # With n and m positives: 2n / (n + m) and 2m / (n + m).
        assert first + ratios[1][name] == pytest.approx(2, rel=RELATIVE)
        assert first != pytest.approx(1, rel=1e-3)
    assert all(of_rank["class"] == pytest.approx(of_rank["centerness"], rel=RELATIVE) for of_rank in ratios)


@dataclass(frozen=True)
class Rehearsed(Workers):
    """One of several workers, all of them played by this process: `take` gives the mean of what each would count."""

    take: Callable[[Tensor], Tensor] = lambda value: value

    def mean(self, value: Tensor) -> Tensor:
        return self.take(value)


def scored_as(count: int, batches: list[Batch], model: CondInst, config: Config) -> list[dict[str, float]]:
    """Terms of each batch in a step of `count` workers, which take the batches by turns."""
    scored = []
    for low in range(0, len(batches), count):
        group = batches[low : low + count]
        counts: list[list[Tensor]] = [[] for _ in group]  # by rank, in the order in which they are asked for
        for rank, batch in enumerate(group):
            terms(model, batch, config, Rehearsed(rank, count, take=lambda v, of=counts[rank]: of.append(v) or v))
        means = [torch.stack(values).float().mean(0) for values in zip(*counts, strict=True)]
        for rank, batch in enumerate(group):
            recalled = iter(means)
            scored.append(terms(model, batch, config, Rehearsed(rank, count, take=lambda v, of=recalled: next(of))))
    return scored


def test_accumulation_2_with_2_workers_is_1_with_4_but_for_whom_positives_are_counted_with(together: Together) -> None:
    # Mask terms are by each batch's own counts: the same. Class, box and centerness terms are by the mean count of the
    # workers at one time: of two batches here, of four there. Times that count they are the same.
    config = each_worker(together.root, batch_size=1)
    dataset = load_training_set(config.data, config.supervision, 0)
    model = build(config, dataset.num_classes)
    batches = loaded(dataset, config, ALONE)[:4]
    two, four = (scored_as(count, batches, model, config) for count in (2, 4))
    positives = torch.tensor([num_positives(model, batch, config) for batch in batches], dtype=torch.float64)
    with_two = positives.view(2, 2).mean(1).repeat_interleave(2).tolist()
    assert with_two[0] != with_two[2]
    for accumulated, at_once, count in zip(two, four, with_two, strict=True):
        for name in accumulated.keys() - {"class", "box", "centerness"}:
            assert accumulated[name] == at_once[name]
        for name in ("class", "centerness"):
            expected = at_once[name] * positives.mean().item() / count
            assert accumulated[name] == pytest.approx(expected, rel=RELATIVE)
        assert accumulated["class"] != pytest.approx(at_once["class"], rel=1e-3)


def num_positives(model: CondInst, batch: Batch, config: Config) -> int:
    predictions = model(batch.images, batch.image_sizes)
    assignment = assign(predictions, batch.annotations, config.assignment)
    return len(assignment.positives()[0])


def test_means_gradients_and_weights_are_those_of_all_workers(together: Together) -> None:
    # mean of 1 and 2; half of the gradient (3, 5) and half of none; the first worker's weights; both ranks
    assert together.of(counted_together) == [[1.5, [[1.5, 2.5]], [[0.0, 0.0]], [0, 1]]] * 2


def test_what_both_have_to_tell_is_told_by_one_and_its_own_by_each(together: Together) -> None:
    common, own = zip(*together.of(told_once), strict=True)
    assert sorted(common) == [False, True]
    assert own == (True, True)


def test_the_digest_is_that_of_one_reader_and_each_image_is_read_once(together: Together) -> None:
    first, second = together.of(digest_in_shares)
    assert first["digest"] == second["digest"] == digest.data_digest(*files_of(together.root))
    names = [path.name for split in ("train", "val") for path in (together.root / split).iterdir()]
    assert sorted(first["read"] + second["read"]) == sorted(names)
    assert (len(first["read"]), len(second["read"])) == (5, 4)  # 3 and 3 of 6, 2 and 1 of 3


def test_the_evaluation_in_shares_is_that_of_the_checkpoint_alone(together: Together) -> None:
    first, second = together.of(train_together)
    assert repr(first["metrics"]) == repr(second["metrics"])  # as text: NaN equals NaN
    config = student(together.root)
    file = read_validation_file(config.data)
    validation_set = build_validation_set(file, config.data)
    assert len(validation_set) == 3  # two for one worker, one for the other
    model = load_network(together.folder / "checkpoint.pt", config.model, validation_set.categories, device="cpu")
    alone = evaluate(model, validation_set, file, config.inference, Compute())
    assert len(alone.box_results) > 3
    for name in ("box_results", "mask_results"):
        assert getattr(alone, name) == first[name] == second[name]
    assert repr(alone.metrics) == repr(first["metrics"])


def test_only_the_first_worker_writes_and_reports(together: Together) -> None:
    assert [of_rank["epochs"] for of_rank in together.of(train_together)] == [2, 0]
    assert {path.name for path in together.folder.iterdir()} == {"checkpoint.pt", PSEUDO_MASKS, "teacher"}


def test_two_workers_killed_and_resumed_end_equal_to_the_bit(together: Together) -> None:
    for whole, resumed in zip(together.of(train_together), together.of(resume_together), strict=True):
        assert [numbers["epoch"] for numbers in resumed["curves"]] == [1, 2]
        assert repr(resumed["metrics"]) == repr(whole["metrics"])
    whole, resumed = together.of(train_together)[0], together.of(resume_together)[0]
    assert repr(resumed["curves"]) == repr(whole["curves"])


def test_another_number_of_workers_does_not_go_on_from_their_checkpoint(together: Together) -> None:
    config = without_pseudo_masks(student(together.root))
    with pytest.raises(ValueError, match="written with 2 images per step, expected 1"):
        train(config, 0, Compute(), folder=together.folder / "teacher")


def test_pseudo_masks_are_made_in_shares_and_are_those_of_one_maker(together: Together) -> None:
    config = student(together.root)
    dataset = load_training_set(config.data, config.supervision, 0)
    (first,), (second,) = (of_rank["shares"] for of_rank in together.of(train_together))
    assert [len(first), len(second)] == [3, 3]
    assert sorted(first + second) == sorted(dataset.image_ids)
    path = together.folder / "teacher" / "checkpoint.pt"
    teacher = load_network(path, config.model, dataset.categories, device="cpu")
    alone = teacher_masks(teacher, dataset, config, Compute())
    written = json.loads((together.folder / PSEUDO_MASKS).read_text())["annotations"]
    assert {each["id"]: each["segmentation"]["counts"] for each in written} == {
        annotation_id: mask["counts"].decode() for annotation_id, mask in alone.items()
    }


def test_without_torchrun_there_is_one_worker() -> None:
    with torchrun_workers("cpu") as (workers, device):
        assert (workers, device) == (ALONE, "cpu")
    value = torch.tensor(3.0)
    assert ALONE.mean(value) is value
    assert ALONE.gather("item") == ["item"]


def test_more_workers_on_a_machine_than_gpus_are_refused(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(torch.cuda, "device_count", lambda: 4)
    for name, value in {"WORLD_SIZE": "16", "LOCAL_WORLD_SIZE": "8", "LOCAL_RANK": "0"}.items():
        monkeypatch.setenv(name, value)
    message = r"8 workers on this machine, but torch finds 4 GPU\(s\)"
    with pytest.raises(ValueError, match=message), torchrun_workers("cuda"):
        pass


def test_all_workers_have_the_same_moving_average_and_resume_with_it_to_the_bit(together: Together) -> None:
    (whole, resumed, average, average_resumed), (_, _, of_second, _) = together.of(follow_together)
    assert resumed == whole
    assert average_resumed == average == of_second
    assert whole[0]["loss/ema_masks"] == 0 < whole[1]["loss/ema_masks"]
