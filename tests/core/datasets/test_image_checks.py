"""Names and sizes of images, and names of classes: which are taken and what is said of the others."""

from pathlib import Path
from typing import Any

import pytest

from core.datasets.image_checks import class_problems, image_problem, is_missing
from core.datasets.photo import MAX_PIXELS


def image(**fields: Any) -> dict[str, Any]:
    return {"id": 7, "file_name": "a.png", "width": 40, "height": 24} | fields


@pytest.mark.parametrize(
    ("name", "message"),
    [
        (5, "file_name is 5, expected a string"),
        (None, "file_name is None, expected a string"),
        ("", "file_name is '', expected a path inside the image folder"),
        (".", "file_name is '.', expected a path inside"),
        ("/etc/passwd", "file_name is '/etc/passwd', expected a path inside"),
        ("a/../../b.png", "file_name is 'a/../../b.png', expected a path inside"),
        ("a\\b.png", r"file_name is 'a\\b.png', expected / between folders, not \\"[:-1]),
        ("a\0.png", r"file_name is 'a\x00.png', expected no control characters"),
        ("a\n.png", r"file_name is 'a\n.png', expected no control characters"),
        ("a\ud800.png", r"file_name is 'a\ud800.png', expected no control characters"),
        ("x" * 256, "expected names of at most 255 bytes"),
        ("\u00e4" * 128 + "/a.png", "expected names of at most 255 bytes"),
    ],
)
def test_a_file_name_that_cannot_be_one_is_quoted(name: Any, message: str) -> None:
    problem = image_problem(image(file_name=name))
    assert problem.startswith("image 7: file_name is ")
    assert message in problem
    assert problem.isprintable()


@pytest.mark.parametrize("name", ["a.png", "a/b.png", "..png", "a b'$(x);<>.png", "\u5199\u771f\u3000\u00e4.png"])
def test_any_other_name_is_taken(name: str) -> None:
    assert image_problem(image(file_name=name)) is None


@pytest.mark.parametrize(
    ("width", "height"), [(0, 5), (-1, 5), (True, 5), (40.0, 24), ("40", 24), (None, 24), (float("nan"), 24), ([], 24)]
)
def test_a_size_is_two_positive_integers(width: Any, height: Any) -> None:
    message = f"image 7 (a.png): width and height are {width!r} x {height}, expected the file's size in pixels"
    assert image_problem(image(width=width, height=height)) == message


def test_a_size_beyond_the_limit_of_photos_is_refused_before_anything_is_allocated() -> None:
    assert image_problem(image(width=MAX_PIXELS, height=1)) is None
    for width, height in ((MAX_PIXELS + 1, 1), (13_000, 13_000), (10**400, 10**400)):
        assert f"expected at most {MAX_PIXELS} pixels" in image_problem(image(width=width, height=height))


def test_names_of_classes_are_texts_of_their_own() -> None:
    names = ["cat", 5, None, "", "  ", True, "a\nb", "\ud800", "x" * 201, "cat", " cat ", "5", "\u00e4 & <b>", "Cat"]
    problems = class_problems([{"id": i, "name": name} for i, name in enumerate(names)])
    assert [problem.split(":")[1] for problem in problems] == [f" id {i}" for i in range(1, 11)]
    assert problems[0] == (
        "categories: id 1: name is 5, expected a text of 1 to 200 characters, none of them a control character"
    )
    assert problems[8] == "categories: id 9: name is 'cat' as that of id 0, expected a name of its own"
    assert all(problem.isprintable() for problem in problems)


def test_a_file_behind_a_link_is_there_and_a_folder_or_a_name_too_long_is_none(tmp_path: Path) -> None:
    (tmp_path / "cache").write_bytes(b"photo")
    (tmp_path / "folder").mkdir()
    for name, target in (("link", "cache"), ("broken", "gone"), ("loop", "loop")):
        (tmp_path / name).symlink_to(tmp_path / target)
    names = ["cache", "link", "folder", "broken", "loop", "x" * 300, "cache/below", "a\0b"]
    assert [is_missing(tmp_path / name) for name in names] == [False, False] + [True] * 6
