"""Two processes of gloo on this machine: what they count together, and that they train as one with twice the batch."""

import json

import pytest

from core.checkpoints.network import load_network
from core.compute.compute import Compute
from core.compute.workers import ALONE
from core.datasets import digest
from core.datasets.coco import build_validation_set, load_training_set, read_validation_file
from core.evaluation.evaluate import evaluate
from core.pseudo_masks.grabcut import PSEUDO_MASKS
from core.pseudo_masks.teacher import teacher_masks, without_pseudo_masks
from core.training.loop import train
from tests.core.compute.batches import RELATIVE
from tests.core.compute.two_processes import (
    MASK_RATIOS,
    Together,
    by_steps,
    counted_together,
    digest_in_shares,
    files_of,
    first_steps,
    follow_together,
    one_batch_each,
    resume_together,
    run_two,
    steps_together,
    student,
    told_once,
    train_together,
)


@pytest.fixture(scope="module")
def together(tmp_path_factory: pytest.TempPathFactory) -> Together:
    return run_two(tmp_path_factory.mktemp("workers"))


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


def test_all_workers_have_the_same_moving_average_and_resume_with_it_to_the_bit(together: Together) -> None:
    (whole, resumed, average, average_resumed), (_, _, of_second, _) = together.of(follow_together)
    assert resumed == whole
    assert average_resumed == average == of_second
    assert whole[0]["loss/ema_masks"] == 0 < whole[1]["loss/ema_masks"]
