"""The command, from labels to a data set that the check passes."""

import json

import pytest

from core.datasets.check.__main__ import main as check
from core.datasets.convert.__main__ import main
from tests.core.datasets.convert import test_cvat, test_label_studio, test_labelme, test_voc_xml

NAMES = [f"{i}.png" for i in range(5)]
VOC = {f"{i}.xml": test_voc_xml.xml(("cell", 5, 9, 20, 16), filename=f"{i}.png") for i in range(5)}
SQUARE = test_labelme.shape("rectangle", [[4, 8], [20, 16]])
LABELS = {
    "yolo": {f"{i}.txt": "0 0.3 0.5 0.4 0.33333333" for i in range(5)} | {"classes.txt": "cell"},
    "voc": VOC,
    "labelme": {f"{i}.json": test_labelme.labels(SQUARE, imagePath=f"{i}.png") for i in range(5)},
    "cvat": {
        "annotations.xml": "<annotations><labels><label><name>cat</name></label></labels>"
        + "".join(f'<image name="{i}.png">{test_cvat.box()}</image>' for i in range(5))
        + "</annotations>"
    },
    "label-studio": {
        "export.json": [
            test_label_studio.task(test_label_studio.rectangle(10, 100 / 3, 40, 100 / 3), image=f"{i}.png", id=i)
            for i in range(5)
        ]
    },
    "coco": {
        "instances.json": {
            "images": [{"id": i, "file_name": f"{i}.png", "width": 40, "height": 24} for i in range(5)],
            "annotations": [{"id": i, "image_id": i, "category_id": 1, "bbox": [4, 8, 16, 8]} for i in range(5)],
            "categories": [{"id": 1, "name": "cell"}],
        }
    },
}


@pytest.mark.parametrize("name", LABELS)
def test_every_format_becomes_the_same_data_set(folder, tmp_path, capsys, name):
    given, root = folder(LABELS[name], NAMES), tmp_path / "own"
    assert main([str(given.root), str(root)]) == 0
    printed = capsys.readouterr().out
    assert f"format: {name}, by " in printed
    assert "split: drawn at random: --val-share 0.2 --seed 0" in printed
    contents = [json.loads((root / f"instances_{split}.json").read_text()) for split in ("train", "val")]
    assert [len(content["images"]) for content in contents] == [4, 1]
    assert {str(one["bbox"]) for content in contents for one in content["annotations"]} == {"[4, 8, 16, 8]"} or {
        str(one["bbox"]) for content in contents for one in content["annotations"]
    } == {"[4.0, 8.0, 16.0, 8.0]"}
    command = next(line for line in printed.splitlines() if line.startswith("next: ")).split()
    assert command[1:4] == ["python", "-m", "core.datasets.check"]
    assert check([*command[4:], "--no-timing", "--sheet", "none"]) == 0
    assert "no problems" in capsys.readouterr().out


def test_notes_say_what_was_left_out_or_marked(folder, tmp_path, capsys):
    marked = {"0.xml": test_voc_xml.xml(("cell", 5, 9, 20, 16), filename="0.png", more="<difficult>1</difficult>")}
    given = folder(VOC | marked, [*NAMES, "unlabeled.png"])
    assert main([str(given.root), str(tmp_path / "own"), "--format", "voc", "--val-share", "0.4", "--seed", "3"]) == 0
    printed = capsys.readouterr().out
    assert "split: drawn at random: --val-share 0.4 --seed 3" in printed
    assert "note: 1 images have no labels and are left out" in printed
    assert "note: 1 objects are crowds (iscrowd 1): not trained on, and ignored in evaluation" in printed
    assert "format:" not in printed


def test_two_labels_for_one_image_are_refused(folder, tmp_path, capsys):
    given = folder(VOC | {"x.xml": VOC["0.xml"]}, NAMES)
    assert main([str(given.root), str(tmp_path / "own")]) == 2
    assert "0.xml and " in (error := capsys.readouterr().err)
    assert "x.xml: labels for 0.png appear twice, expected them once" in error
    assert not (tmp_path / "own").exists()


def test_a_data_set_that_is_there_is_kept(folder, tmp_path, capsys):
    given = folder(VOC, NAMES)
    (tmp_path / "own").mkdir()
    (tmp_path / "own" / "mine.txt").write_text("mine")
    assert main([str(given.root), str(tmp_path / "own")]) == 2
    assert "own: is there already" in capsys.readouterr().err
    assert (tmp_path / "own" / "mine.txt").read_text() == "mine"
