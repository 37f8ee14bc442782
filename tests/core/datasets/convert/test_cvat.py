import numpy as np
import pytest
from pycocotools import mask as coco_mask

from core.datasets.convert.cvat import read
from tests.core.datasets.convert.conftest import boxes

LABELS = "<labels><label><name>dog</name></label><label><name>cat</name></label></labels>"


def xml(shapes: str, attributes: str = 'name="a.png" width="40" height="24"', labels: str = LABELS) -> str:
    meta = f"<meta><task><id>1</id>{labels}</task></meta>"
    return f'<annotations><version>1.1</version>{meta}\n<image id="0" {attributes}>\n{shapes}\n</image></annotations>'


def box(x1=4, y1=8, x2=20, y2=16, more="", inside="") -> str:
    return f'<box label="cat" xtl="{x1}" ytl="{y1}" xbr="{x2}" ybr="{y2}" {more}>{inside}</box>'


def test_boxes_are_continuous_and_classes_in_the_order_of_the_task(folder):
    found = read(folder({"annotations.xml": xml(box(0, 0, "40.00", "23.5"))}))
    assert boxes(found) == {"a.png": [("cat", 0, 0, 40, 23.5)]}
    assert found.classes == ["dog", "cat"]


def test_a_turned_box_is_the_upright_one_around_it(folder):
    # 12 x 4 about its middle (10, 10), turned by 90 degrees: 4 x 12
    found = read(folder({"annotations.xml": xml(box(4, 8, 16, 12, 'rotation="90.00"'))}))
    assert boxes(found) == {"a.png": [("cat", 8, 4, 12, 16)]}
    assert found.images[0].objects[0].segmentation is None


def test_polygons_are_masks_and_those_of_a_group_one_object(folder):
    parts = "".join(
        f'<polygon label="dog" group_id="{group}" points="{points}"/>'
        for group, points in ((0, "0,0;4,0;4,4"), (2, "0,0;4,0;4,4"), (2, "10.5,10;14,10;14,12"), (0, "0,0;4,0;4,4"))
    )
    found = read(folder({"annotations.xml": xml(parts)})).images[0].objects
    assert [one.segmentation for one in found] == [
        [[0, 0, 4, 0, 4, 4]],
        [[0, 0, 4, 0, 4, 4], [10.5, 10, 14, 10, 14, 12]],
        [[0, 0, 4, 0, 4, 4]],
    ]
    assert found[1].box == (0, 0, 14, 12)


def test_a_mask_is_run_lengths_along_the_rows_of_its_box(folder):
    # 1 off, 2 on, 2 off, 1 on in rows of 3: .xx / ..x
    given = folder(
        {"annotations.xml": xml('<mask label="cat" rle="1, 2, 2, 1" left="5" top="7" width="3" height="2"/>')}
    )
    (one,) = read(given).images[0].objects
    expected = np.zeros((24, 40))
    expected[7:9, 5:8] = [[0, 1, 1], [0, 0, 1]]
    np.testing.assert_array_equal(coco_mask.decode(one.segmentation), expected)
    assert one.box == (6, 7, 8, 9)


def test_a_mask_may_be_one_pixel(folder):
    given = folder({"annotations.xml": xml('<mask label="cat" rle="0, 1" left="39" top="23" width="1" height="1"/>')})
    assert boxes(read(given)) == {"a.png": [("cat", 39, 23, 40, 24)]}


def test_an_ellipse_is_the_box_around_it(folder):
    shapes = [f'<ellipse label="cat" cx="10" cy="10" rx="6" ry="2" {more}/>' for more in ("", 'rotation="90"')]
    found = read(folder({"annotations.xml": xml("".join(shapes))}))
    assert boxes(found) == {"a.png": [("cat", 4, 8, 16, 12), ("cat", 8, 4, 12, 16)]}


def test_marked_objects_are_crowds_and_shapes_without_area_are_counted(folder):
    marks = '<attribute name="color">red</attribute><attribute name="ignore">true</attribute>'
    found = read(folder({"annotations.xml": xml(box(inside=marks) + box() + '<points label="dog" points="1,1"/>')}))
    assert [one.crowd for one in found.images[0].objects] == [True, False]
    assert found.notes == {"shapes of type 'points' are left out": 1}


def test_subsets_are_splits(folder):
    images = xml("", 'name="a.png" subset="Train"').replace(
        "</annotations>", '<image id="1" name="b.png" subset="default"/></annotations>'
    )
    found = read(folder({"annotations.xml": images}, ("images/a.png", "images/b.png")))
    assert [(str(image.path), image.split) for image in found.images] == [
        ("images/a.png", "train"),
        ("images/b.png", None),
    ]


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("<annotation/>", "<annotation>, expected <annotations> as in CVAT for images 1.1"),
        (xml("").replace("<image", "<track/><image"), "has tracks, so it is CVAT for video"),
        (xml("", labels=""), "has no <labels>"),
        (xml("", 'name="b.png"'), "image 'b.png' is not in"),
        (xml("", 'name="a.png" width="41" height="24"'), "labels are for 41 x 24 pixels, but a.png has 40 x 24"),
        (xml('<box label="cow"/>'), r"label is 'cow', expected one of \['dog', 'cat'\]"),
        (xml('<box label="cat" xtl="1"/>'), "ytl is None, expected a number"),
        (xml('<heap label="cat"/>'), "<heap>, expected a shape of CVAT for images 1.1"),
        (xml('<polygon label="cat" points="1,2;3"/>'), "points are '1,2;3', expected x,y;x,y;..."),
        (xml('<polygon label="cat" points="1,2;3,4"/>'), "polygon has 2 points"),
        (xml('<polygon label="cat"/>'), "a coordinate is '', expected a number"),
        (
            xml('<mask label="cat" rle="1,2" left="0" top="0" width="3" height="2"/>'),
            "rle adds up to 3 pixels, .* 3 x 2",
        ),
        (xml('<mask label="cat" rle="-1,7" left="0" top="0" width="3" height="2"/>'), "rle adds up to 6 pixels"),
        (
            xml('<mask label="cat" rle="6" left="0" top="0" width="3000000000000" height="2"/>'),
            "width is '3000000000000'",
        ),
        (
            xml('<mask label="cat" rle="6" left="0" top="0" width="41" height="2"/>'),
            "mask has 41 x 2 pixels, in an image",
        ),
        (xml('<mask label="cat" rle="0,6" left="38" top="0" width="3" height="2"/>'), "mask reaches from .*, outside"),
    ],
)
def test_what_is_wrong_is_named(folder, text, message):
    given = folder({"annotations.xml": text})
    with pytest.raises(ValueError, match=rf"given/annotations\.xml(, line \d+)?: .*{message}"):
        read(given)


@pytest.mark.parametrize(
    ("mask", "message"),
    [
        ('rle="1.5,4.5" width="3" height="2"', "rle adds up to 6 pixels, expected whole numbers that add up to 3 x 2"),
        ('rle="1,4.5,.5" width="3" height="2"', "rle adds up to 6 pixels, expected whole numbers that add up to 3 x 2"),
        ('rle="0" width="0" height="2"', "mask has 0 x 2 pixels, in an image of 40 x 24"),
        ('rle="0" width="1" height="0"', "mask has 1 x 0 pixels, in an image of 40 x 24"),
    ],
)
def test_a_mask_is_made_of_whole_pixels(folder, mask, message):
    given = folder({"annotations.xml": xml(f'<mask label="cat" left="0" top="0" {mask}/>')})
    with pytest.raises(ValueError, match=message):
        read(given)


def test_two_files_must_have_the_same_classes(folder):
    other = xml("", 'name="b.png"', labels=LABELS.replace("dog", "cow"))
    with pytest.raises(
        ValueError, match=r"b\.xml: labels are \['cow', 'cat'\], expected those of the other file: \['dog'"
    ):
        read(folder({"a.xml": xml(""), "b.xml": other}, ("a.png", "b.png")))


def test_no_image_at_all(folder):
    with pytest.raises(ValueError, match="found no <image> in an XML file"):
        read(folder({}))
