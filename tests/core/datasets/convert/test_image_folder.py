import os
from pathlib import Path

import pytest
from PIL import Image

from core.datasets.convert.image_folder import ImageFolder


def test_hidden_files_and_linked_folders_are_not_among_the_images(folder, tmp_path):
    given = folder({"notes.txt": ""}, ("a.png", ".hidden.png", "__MACOSX/b.png", ".cache/c.png", "d/e.JPG"))
    (tmp_path / "elsewhere").mkdir()
    os.symlink(tmp_path / "elsewhere", given.root / "linked")
    assert [str(path) for path in ImageFolder(given.root).images] == ["a.png", "d/e.JPG"]


def test_a_folder_without_images_or_none_at_all_is_refused(tmp_path):
    with pytest.raises(ValueError, match="found no image; put the images into the folder"):
        ImageFolder(tmp_path)
    with pytest.raises(ValueError, match="none: no such folder"):
        ImageFolder(tmp_path / "none")
    (tmp_path / "export.zip").write_bytes(b"PK")
    with pytest.raises(ValueError, match=r"export\.zip: no such folder, .*; unpack it"):
        ImageFolder(tmp_path / "export.zip")


def test_as_much_as_possible_of_a_name_must_agree(folder):
    given = folder({}, ("x/1/a.png", "x/2/a.png", "y/2/a.png", "b.png"))
    assert given.find("1/a.png", "here") == Path("x/1/a.png")
    assert given.find("C:\\data\\x\\2\\a.png", "here") == Path("x/2/a.png")
    assert given.find("../../b.png", "here") == Path("b.png")
    assert given.find("a.png", "here", beside=Path("y/2/a.json")) == Path("y/2/a.png")
    assert given.find("../1/a.png", "here", beside=Path("x/json/a.json")) == Path("x/1/a.png")
    assert given.find("nothing.bmp", "here", stem="b") == Path("b.png")
    with pytest.raises(ValueError, match=r"here: image '2/a.png' may be x/2/a.png or y/2/a.png, expected one"):
        given.find("2/a.png", "here")


@pytest.mark.parametrize("name", ["", ".", "..", "../outside.png", "/etc/passwd", "c.png", "\x00"])
def test_what_is_not_in_the_folder_is_never_found(folder, name):
    given = folder({})
    Image.new("RGB", (4, 4)).save(given.root.parent / "outside.png")
    with pytest.raises(ValueError, match=r"here: image .* is not in .*given, expected all images there"):
        given.find(name, "here", beside=Path("a.json"))


def test_the_size_is_that_which_the_labels_refer_to(folder):
    given = folder({})
    exif = Image.Exif()
    exif[0x0112] = 6  # viewers turn it by 90 degrees
    Image.new("RGB", (40, 24)).save(given.root / "turned.jpg", exif=exif)
    turned = Path("turned.jpg")
    assert given.size(turned, "here") == (24, 40)
    assert given.size(turned, "here", (24, 40)) == (24, 40)
    assert given.size(turned, "here", (40, 24)) == (40, 24)
    with pytest.raises(ValueError, match=r"here: labels are for 20 x 12 pixels, but turned.jpg has 24 x 40"):
        given.size(turned, "here", (20, 12))
    (given.root / "a.png").write_bytes(b"none")
    with pytest.raises(ValueError, match=r"a\.png: cannot be read as an image"):
        given.size(Path("a.png"), "here")


def test_texts_are_utf_8(folder):
    given = folder({"labels.txt": "\ufeffKöln \r\n\n"})
    assert given.lines(Path("labels.txt")) == ["Köln", ""]
    (given.root / "labels.txt").write_bytes(b"K\xf6ln")
    with pytest.raises(ValueError, match=r"labels\.txt: is not UTF-8 at byte 1; save the file as UTF-8"):
        given.lines(Path("labels.txt"))
    with pytest.raises(ValueError, match=r"none\.txt: cannot be read \(No such file"):
        given.lines(Path("none.txt"))
