import pytest

from core.datasets.convert.voc_xml import read
from tests.core.datasets.convert.conftest import boxes


def xml(*objects: tuple, size=(40, 24), filename="a.png", more="") -> str:
    described = "".join(
        f"<object><name>{name}</name>{more}<bndbox><xmin>{x1}</xmin><ymin>{y1}</ymin><xmax>{x2}</xmax>"
        f"<ymax>{y2}</ymax></bndbox><part><bndbox><xmin>9</xmin></bndbox></part></object>\n"
        for name, x1, y1, x2, y2 in objects
    )
    width, height = size
    return (
        f"<annotation>\n<filename>{filename}</filename><path>C:\\photos\\{filename}</path>"
        f"<size><width>{width}</width><height>{height}</height><depth>3</depth></size>\n{described}</annotation>"
    )


def test_pixels_count_from_one_and_the_last_is_inside(folder):
    # the whole image, and its top left pixel
    found = read(folder({"a.xml": xml(("dog", 1, 1, 40, 24), ("cat", 1, 1, 1, 1))}))
    assert boxes(found) == {"a.png": [("dog", 0, 0, 40, 24), ("cat", 0, 0, 1, 1)]}
    assert found.classes == ["cat", "dog"]


def test_a_zero_shows_that_a_tool_counted_from_zero(folder):
    files = {"a.xml": xml(("dog", 0, 0, 40, 24)), "b.xml": xml(("dog", 4, 8, 20, 16), filename="b.png")}
    found = read(folder(files, ("a.png", "b.png")))
    assert boxes(found) == {"a.png": [("dog", 0, 0, 40, 24)], "b.png": [("dog", 4, 8, 20, 16)]}
    assert next(iter(found.notes)).startswith("note: a box begins at pixel 0")


def test_difficult_objects_are_crowds(folder):
    found = read(folder({"a.xml": xml(("dog", 1, 1, 9, 9), more="<difficult>1</difficult>")}))
    assert [one.crowd for one in found.images[0].objects] == [True]
    found = read(folder({"a.xml": xml(("dog", 1, 1, 9, 9), more="<difficult>0</difficult>")}))
    assert [one.crowd for one in found.images[0].objects] == [False]


def test_the_layout_of_the_challenge_has_lists_of_splits(folder):
    images = tuple(f"VOC2007/JPEGImages/{name}.png" for name in "abc")
    files = {f"VOC2007/Annotations/{name}.xml": xml(("dog", 1, 1, 9, 9), filename=f"{name}.png") for name in "abc"}
    lists = {"Main/train.txt": "a", "Main/val.txt": "b\n", "Main/dog_train.txt": "b 1", "Segmentation/train.txt": "c"}
    files |= {f"VOC2007/ImageSets/{name}": text for name, text in lists.items()}
    assert [image.split for image in read(folder(files, images)).images] == ["train", "val", None]


def test_an_image_with_another_ending_is_that_of_the_name_of_the_file(folder):
    found = read(folder({"a.xml": xml(("dog", 1, 1, 9, 9), filename="a.bmp", size=(0, 0))}))
    assert list(boxes(found)) == ["a.png"]


def test_classes_are_in_the_order_of_a_list_beside_the_labels(folder):
    files = {"a.xml": xml(("dog", 1, 1, 9, 9)), "labels.txt": "__ignore__\n_background_\nzebra\ndog\n"}
    assert read(folder(files)).classes == ["zebra", "dog"]
    with pytest.raises(ValueError, match=r"labels\.txt: class 'dog' is used but not listed"):
        read(folder(files | {"labels.txt": "zebra"}))


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("", "not valid XML: no element found"),
        ("<annotation>", "not valid XML"),
        ("<annotations/>", "<annotations>, expected <annotation> as in Pascal VOC"),
        (xml(("dog", 9, 1, 4, 9)), r"box reaches from \(8, 0\) to \(4, 9\), expected the top left corner first"),
        (xml(("dog", "", 1, 4, 9)), "xmin is '', expected a number"),
        (xml(("dog", "inf", 1, 4, 9)), "xmin is 'inf', expected a number"),
        (xml(("dog", 50, 30, 60, 40)), r"\(49, 29\) to \(60, 40\), outside the image of 40 x 24 pixels"),
        (xml(("", 1, 1, 4, 9)), "class is '', expected a text"),
        (xml(("dog", 1, 1, 4, 9), size=(80, 48)), "labels are for 80 x 48 pixels, but a.png has 40 x 24"),
        (xml(filename="b.png").replace("a.xml", ""), None),
        (xml(("dog", 1, 1, 4, 9)).replace("bndbox", "box"), "<object> has no <bndbox>"),
    ],
)
def test_what_is_wrong_is_named(folder, text, message):
    given = folder({"a.xml": text})
    if message is None:  # another name, but the file's own name is that of an image
        assert boxes(read(given)) == {"a.png": []}
        return
    with pytest.raises(ValueError, match=rf"given/a\.xml(, line \d+)?: .*{message}"):
        read(given)


def test_missing_images_and_files_are_named(folder):
    with pytest.raises(ValueError, match=r"b\.xml: image 'b.png' is not in .*given, expected all images there"):
        read(folder({"b.xml": xml(filename="b.png")}))
    (given := folder({})).with_ending(".xml")
    (given.root / "b.xml").unlink()
    with pytest.raises(ValueError, match="found no XML file, expected one for each image"):
        read(folder({}))
    with pytest.raises(ValueError, match=r"ImageSets/Main/val\.txt, line 2: image 'z' has no XML file"):
        read(folder({"a.xml": xml(), "ImageSets/Main/train.txt": "", "ImageSets/Main/val.txt": "a\nz"}))
