"""Where a data set keeps its annotation files and photos: as a recipe says, or in one of the usual layouts."""

from dataclasses import dataclass
from pathlib import Path

from core.config import DataConfig

NAMES = ("train_annotations", "train_images", "val_annotations", "val_images")  # in DataConfig; relative to its root
LAYOUTS = (  # after that of the recipe
    ("instances_train.json", "images", "instances_val.json", "images"),
    ("instances_train.json", "train", "instances_val.json", "val"),
    ("annotations/instances_train2017.json", "train2017", "annotations/instances_val2017.json", "val2017"),
)


@dataclass(frozen=True)
class Layout:
    """Names of the files and folders of a data set, relative to its root."""

    train_annotations: str
    train_images: str
    val_annotations: str
    val_images: str

    def settings(self, data: DataConfig) -> dict[str, str]:
        """The settings of `data` that differ from this layout, by dotted name, with the names of the layout."""
        return {f"data.{name}": getattr(self, name) for name in NAMES if getattr(self, name) != getattr(data, name)}


def find_layout(root: Path, data: DataConfig, given: dict[str, str | None]) -> Layout:
    """The first layout whose annotation files and folders of photos are in `root`.

    That of the recipe's `data` comes first, then LAYOUTS. Names that are `given`, by their name in DataConfig, replace
    those of each layout. If there is none, the first whose training set is there: the other may be missing.

    Raises:
        ValueError: if `root` is no folder, or no layout fits; says what was looked for.
    """
    if not root.is_dir():
        raise ValueError(f"{root}: no such folder, expected a data set: instances_train.json beside a folder of photos")
    of_recipe = tuple(getattr(data, name) for name in NAMES)
    layouts = list(
        dict.fromkeys(
            Layout(*(given.get(name) or usual for name, usual in zip(NAMES, names, strict=True)))
            for names in (of_recipe, *LAYOUTS)
        )
    )
    with_training_set = [it for it in layouts if _has(root, it.train_annotations, it.train_images)]
    complete = [it for it in with_training_set if _has(root, it.val_annotations, it.val_images)]
    if complete or with_training_set:
        return [*complete, *with_training_set][0]
    looked_for = ", or ".join(f"{layout.train_annotations} with {layout.train_images}/" for layout in layouts)
    options = "--train-annotations, --train-images, --val-annotations and --val-images"
    labels = "labels of other tools: python -m core.datasets.convert"
    raise ValueError(f"{root}: looked for {looked_for}; found none of them. Other names: {options}; {labels}")


def _has(root: Path, annotations: str, images: str) -> bool:
    return (root / annotations).is_file() and (root / images).is_dir()
