"""Any file of masks beside a sound training file is refused by name, or a training works with it."""

from pathlib import Path
from typing import Any

import pytest
from hypothesis import given, settings

from core.config.identity import training_identity
from core.datasets.annotation_file import AnnotationFile
from core.pseudo_masks.mask_file import read_mask_file, with_masks
from core.training.data_sets import build_data_sets
from tests.fuzz.annotations import BOXES, FILE, Annotations, DataSets, arm_config, train_steps, valid_content
from tests.fuzz.mutations import as_json
from tests.properties.files import check_refused_or_used, damaged_bytes, damaged_trees

MASKS = "masks.json"


class MaskFiles(Annotations):
    """Files of masks; the annotation file that they are for is never damaged."""

    def read(self, path: Path) -> DataSets:
        supervision = BOXES["supervision"] | {"pseudo_masks": {"file": path.name}}
        config = arm_config({"supervision": supervision}, path.parent)
        file, masks = AnnotationFile.read(path.parent / FILE, path.parent / "train"), read_mask_file(config)
        training, validation = build_data_sets(config, 0, file, file, masks)
        training_identity(config, 0, with_masks("0", masks.fingerprint))
        return DataSets(config, file, training, validation, path.parent)

    def use(self, content: DataSets) -> None:
        train_steps(content)


@pytest.fixture(scope="module")
def kind(tmp_path_factory: pytest.TempPathFactory) -> MaskFiles:
    return MaskFiles(tmp_path_factory.mktemp("shared"))


@pytest.fixture(scope="module")
def path(kind: MaskFiles, tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("data")
    kind.link_photos(folder)
    (folder / FILE).write_bytes(as_json(valid_content()))
    return folder / MASKS


def test_the_file_itself_gives_masks(kind: MaskFiles, path: Path) -> None:
    path.write_bytes(as_json(valid_content()))
    content = kind.read(path)
    assert content.training.has_masks
    kind.use(content)


@given(content=damaged_trees(valid_content()))
@settings(max_examples=60)
def test_of_wrong_content(kind: MaskFiles, path: Path, content: Any) -> None:
    path.write_bytes(as_json(content))
    check_refused_or_used(kind, path)


@given(content=damaged_bytes(as_json(valid_content())))
@settings(max_examples=30)
def test_of_damaged_bytes(kind: MaskFiles, path: Path, content: bytes) -> None:
    path.write_bytes(content)
    check_refused_or_used(kind, path)
