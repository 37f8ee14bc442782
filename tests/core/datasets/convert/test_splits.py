from collections import Counter
from pathlib import Path

import pytest

from core.datasets.convert.labeled import LabeledImage
from core.datasets.convert.splits import assign_splits, split_in, splits_by_folder


def images(*splits: str | None) -> list[LabeledImage]:
    return [LabeledImage(Path(f"{i}.png"), 40, 24, [], Path("x"), split) for i, split in enumerate(splits)]


def names(splits: dict[str, list[LabeledImage]]) -> dict[str, list[str]]:
    return {split: [image.path.stem for image in chosen] for split, chosen in splits.items()}


def test_words_of_a_name_mean_a_split():
    assert split_in("instances_val2017.json") == "val"
    assert split_in("Training") == "train"
    assert split_in("obj_valid_data") == "val"
    assert split_in("trained") is None
    assert split_in("trainval") is None
    assert split_in("train_and_val") is None


def test_folders_mean_splits_only_if_there_is_one_to_train_and_one_to_validate_on():
    paths = [Path("images/train/a.png"), Path("images/val/val_train.png"), Path("bus/train.png")]
    assert splits_by_folder(paths) == dict(zip(paths, ["train", "val", None], strict=True))
    assert set(splits_by_folder(paths[::2]).values()) == {None}  # photos of trains and buses


def test_the_split_of_the_labels_is_kept():
    notes = Counter()
    splits, how = assign_splits(images("val", "train", None, "test", "train"), None, 0, notes)
    assert names(splits) == {"train": ["1", "4"], "val": ["0"], "test": ["3"]}
    assert how == "as the labels say"
    assert notes == {"images that the labels' own split does not name are left out": 1}


def test_a_share_is_drawn_where_there_is_no_split_or_it_is_asked_for():
    drawn, how = assign_splits(images(*[None] * 10), None, 0, Counter())
    assert [len(chosen) for chosen in drawn.values()] == [8, 2]
    assert how == "drawn at random: --val-share 0.2 --seed 0"
    assert names(drawn) == names(assign_splits(images(*[None] * 10), None, 0, Counter())[0])
    assert names(drawn) != names(assign_splits(images(*[None] * 10), None, 1, Counter())[0])
    again, _ = assign_splits(images("train", "val", "val", "test"), 0.5, 0, Counter())
    assert {split: len(chosen) for split, chosen in again.items()} == {"train": 1, "val": 2, "test": 1} or {
        split: len(chosen) for split, chosen in again.items()
    } == {"train": 2, "val": 1, "test": 1}
    assert all(image.split == split for split, chosen in again.items() for image in chosen)


@pytest.mark.parametrize("share", [0.001, 0.999])
def test_each_split_has_an_image(share):
    splits, _ = assign_splits(images(None, None), share, 0, Counter())
    assert [len(chosen) for chosen in splits.values()] == [1, 1]


def test_too_few_images_and_wrong_shares_are_refused():
    with pytest.raises(ValueError, match="1 images to train and validate on, expected at least 2"):
        assign_splits(images("test", None), None, 0, Counter())
    for share in (0.0, 1.0, -1.0, float("nan")):
        with pytest.raises(ValueError, match=r"--val-share is .*, expected a number between 0 and 1"):
            assign_splits(images(None, None), share, 0, Counter())
