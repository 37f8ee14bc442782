"""Training end to end on a few generated images: it learns, repeats to the bit, resumes exactly, stops on NaN."""

import json
from collections import Counter
from pathlib import Path
from typing import Any

import pytest
import torch
from torch import nn

from core.checkpoints.checkpoint import load_trained
from core.datasets.annotation_file import AnnotationFile
from core.datasets.coco import CocoDataset
from core.training import loop as training
from tests.core.training.tiny_training import comparable, root, run, tiny

__all__ = ["root"]  # a fixture


def test_loss_falls_when_six_images_are_learned_by_heart(root: Path, tmp_path: Path) -> None:
    config = tiny(root, training={"epochs": 12}, supervision={"mask_ratio": 1.0})
    curves = run(config, tmp_path).curves
    assert curves[-1]["loss/total"] < 0.6 * curves[0]["loss/total"]
    assert curves[-1]["loss/dice"] < curves[0]["loss/dice"]


def test_the_same_trial_twice_is_equal_to_the_bit(root: Path, tmp_path: Path) -> None:
    config = tiny(root)
    assert comparable(run(config, tmp_path / "a")) == comparable(run(config, tmp_path / "b"))


@pytest.mark.parametrize(
    "supervision", [{}, {"mask_ratio": 0.5, "boxes_first": 0.5}, {"pseudo_masks": "grabcut"}], ids=repr
)
def test_each_annotation_file_is_read_once(
    root: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, supervision: dict
) -> None:
    opened, original = Counter(), Path.open

    def counted(path: Path, *given: Any, **other: Any) -> Any:
        opened[path.name] += 1
        return original(path, *given, **other)

    monkeypatch.setattr(Path, "open", counted)
    run(tiny(root, supervision=supervision, training={"epochs": 2, "evaluate_every": 1}), tmp_path)
    assert (opened["instances_train.json"], opened["instances_val.json"]) == (1, 1)


def test_the_seed_alone_decides_the_initial_weights(
    root: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    def stop(model: nn.Module, *given: Any, **other: Any) -> None:
        weights.append(torch.cat([parameter.flatten() for parameter in model.parameters()]).clone())
        raise KeyboardInterrupt

    weights: list[torch.Tensor] = []
    monkeypatch.setattr(training, "run_epoch", stop)
    for place, seed in enumerate((0, 0, 1)):
        torch.manual_seed(place)  # the global generator plays no part, and is left as it was
        state = torch.get_rng_state()
        with pytest.raises(KeyboardInterrupt):
            run(tiny(root), tmp_path / str(place), seed=seed)
        assert torch.equal(torch.get_rng_state(), state)
    first, same, other = weights
    assert torch.equal(first, same)
    assert (first != other).sum() > 0.9 * len(first)  # the others, such as biases, start from a constant


def test_every_evaluation_is_of_the_validation_set_in_the_precision_of_the_training(
    root: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    seen, original = [], training.evaluate

    def recorded(model: nn.Module, dataset: CocoDataset, file: AnnotationFile, *given: Any, **other: Any) -> Any:
        seen.append((dataset.annotation_path.name, file.path.name, other["precision"]))
        return original(model, dataset, file, *given, **other)

    monkeypatch.setattr(training, "evaluate", recorded)
    settings = {
        "training": {"epochs": 3, "evaluate_every": 2, "precision": "bfloat16"},
        "inference": {"score_threshold": 0.0},
    }
    first = run(tiny(root, **settings), tmp_path)
    again = run(tiny(root, **settings), tmp_path)  # finished: evaluated, and nothing else
    # after the epochs 2 and 3, and again
    assert seen == 3 * [("instances_val.json", "instances_val.json", "bfloat16")]
    for result in (first, again):  # 2 images in the validation set, 6 in the training set
        assert {found["image_id"] for found in result.evaluation.box_results} == {1, 2}


def test_another_seed_gives_another_training(root: Path, tmp_path: Path) -> None:
    config = tiny(root, training={"epochs": 1})
    assert comparable(run(config, tmp_path / "a", seed=0)) != comparable(run(config, tmp_path / "b", seed=1))


def test_killed_at_half_and_resumed_is_equal_to_the_bit(root: Path, tmp_path: Path) -> None:
    config = tiny(root, training={"precision": "bfloat16"})
    whole = run(config, tmp_path / "whole")

    def kill_after_two(numbers: dict) -> None:
        if numbers["epoch"] == 2:
            raise KeyboardInterrupt

    with pytest.raises(KeyboardInterrupt):
        run(config, tmp_path / "killed", on_epoch=kill_after_two)
    seen: list[int] = []
    resumed = run(config, tmp_path / "killed", on_epoch=lambda numbers: seen.append(numbers["epoch"]))
    assert seen == [1, 2, 3, 4]
    assert comparable(resumed) == comparable(whole)


def test_a_finished_training_is_only_evaluated_again(root: Path, tmp_path: Path) -> None:
    config = tiny(root, training={"epochs": 1})
    assert comparable(run(config, tmp_path)) == comparable(run(config, tmp_path))


def test_a_loss_that_is_not_finite_stops_with_its_name(root: Path, tmp_path: Path, monkeypatch) -> None:
    original = training.CondInst.predict_masks

    def broken(self, *arguments):
        return original(self, *arguments) * float("nan")

    monkeypatch.setattr(training.CondInst, "predict_masks", broken)
    with pytest.raises(FloatingPointError, match="projection, pairwise is not finite, images"):
        run(tiny(root), tmp_path)


@pytest.mark.parametrize("supervised", [0.0, 1.0])
def test_images_without_boxes_and_boxes_that_vanish_train_and_evaluate(
    root: Path, tmp_path: Path, supervised: float
) -> None:
    for split in ("train", "val"):
        content = json.loads((root / f"instances_{split}.json").read_text())
        for annotation in content["annotations"]:
            x, y, _, _ = annotation["bbox"]
            # between two samples of the mask grid, which lie at 2, 6, 10, ...: no cell of any mask
            left, top = 4 * (x // 4) + 3.2, 4 * (y // 4) + 3.2
            annotation["bbox"] = [left, top, 1.5, 1.5]
            annotation["segmentation"] = [[left, top, left + 1.5, top, left + 1.5, top + 1.5, left, top + 1.5]]
        first = content["images"][0]["id"]
        content["annotations"] = [a for a in content["annotations"] if a["image_id"] != first]
        (tmp_path / f"{split}.json").write_text(json.dumps(content))
    config = tiny(
        root,
        data={"train_annotations": str(tmp_path / "train.json"), "val_annotations": str(tmp_path / "val.json"),
              "drop_images_without_boxes": False},
        supervision={"mask_ratio": supervised},
        training={"epochs": 1},
    )  # fmt: skip
    result = run(config, tmp_path / "run")
    assert result.curves[-1]["loss/total"] > 0


def test_one_class_is_enough(root: Path, tmp_path: Path) -> None:
    for split in ("train", "val"):
        content = json.loads((root / f"instances_{split}.json").read_text())
        content["categories"] = [{"id": 44, "name": "thing"}]
        for annotation in content["annotations"]:
            annotation["category_id"] = 44
        (tmp_path / f"{split}.json").write_text(json.dumps(content))
    config = tiny(root, training={"epochs": 1}, data={"train_annotations": str(tmp_path / "train.json"),
                                                     "val_annotations": str(tmp_path / "val.json")})  # fmt: skip
    assert list(run(config, tmp_path / "run").evaluation.per_class) == ["thing"]
    assert load_trained(tmp_path / "run" / "checkpoint.pt", "cpu")[1]["category_ids"] == [44]
