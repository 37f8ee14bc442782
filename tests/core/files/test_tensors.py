"""Files of tensors from elsewhere: what is read, and that nothing in them runs."""

import os
import pickle
import subprocess
import sys
from collections import Counter, OrderedDict
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch

from core.files.tensors import read_tensors, read_torch_file

ARRAYS = {
    "a.weight": np.arange(6, dtype=np.float32).reshape(2, 3),
    "b": np.asfortranarray(np.ones((2, 2))),
    "c": np.array(7),
}


def pickled(path: Path, content: Any, protocol: int = 2) -> Path:
    path.write_bytes(pickle.dumps(content, protocol))
    return path


class Called:
    """Has a function called by whoever unpickles it and obeys."""

    def __init__(self, function: Callable, *arguments: Any) -> None:
        self.function, self.arguments = function, arguments

    def __reduce__(self) -> tuple:
        return self.function, self.arguments


class Forged(Called):
    """Has the result given a state, too."""

    def __init__(self, function: Callable, *arguments: Any, state: tuple) -> None:
        super().__init__(function, *arguments)
        self.state = state

    def __reduce__(self) -> tuple:
        return self.function, self.arguments, self.state


RECONSTRUCT = np.zeros(0).__reduce__()[0]


def forged_array(shape: Any, numbers: Any, content: Any, made_with: tuple = (0,)) -> Forged:
    return Forged(RECONSTRUCT, np.ndarray, made_with, b"b", state=(1, shape, numbers, False, content))


@pytest.mark.parametrize("protocol", [0, 1, 2, 3, 4])
@pytest.mark.parametrize("wrap", [
    lambda arrays: arrays,
    lambda arrays: {"model": arrays, "__author__": "somebody", "matching_heuristics": True},
    lambda arrays: {"blobs": OrderedDict(arrays) | {"a.weight_momentum": np.zeros(3)}, "cfg": "TRAIN: 1"},
])  # fmt: skip
def test_a_pickle_of_arrays_is_read_alone_and_as_detectron2_and_caffe2_wrap_it(
    tmp_path: Path, wrap: Callable, protocol: int
) -> None:
    tensors = read_tensors(pickled(tmp_path / "w.pkl", wrap(ARRAYS), protocol))
    assert list(tensors) == list(ARRAYS)
    for name, array in ARRAYS.items():
        np.testing.assert_array_equal(tensors[name].numpy(), array)
        assert tensors[name].numpy().dtype == array.dtype


def test_a_pickle_of_python_2_and_numpy_1_is_read(tmp_path: Path) -> None:
    # Written by hand as Python 2 did: byte strings, and numpy's module under its old name.
    content = (
        b"\x80\x02}U\x01wcnumpy.core.multiarray\n_reconstruct\ncnumpy\nndarray\nK\x00\x85U\x01b\x87R(K\x01K\x02\x85"
        b"cnumpy\ndtype\nU\x02f4K\x00K\x01\x87R(K\x03U\x01<NNNJ\xff\xff\xff\xffJ\xff\xff\xff\xffK\x00tb"
        b"\x89U\x08\x00\x00\x80?\x00\x00\x00\xc0tbs."
    )
    (tmp_path / "old.pkl").write_bytes(content)
    assert read_tensors(tmp_path / "old.pkl")["w"].tolist() == [1, -2]


@pytest.mark.parametrize("name", ["w.pkl", "w.pth"])
@pytest.mark.parametrize("write", [pickled, lambda path, content: torch.save(content, path)])
def test_a_function_in_the_file_is_refused_by_name_and_not_called(tmp_path: Path, name: str, write: Callable) -> None:
    intruder = Called(os.mkdir, str(tmp_path / "ran"))
    write(tmp_path / name, {"model": {"a": intruder}, "b": ARRAYS})
    with pytest.raises(ValueError, match=rf"{name}: not a .* that holds only"):
        read_tensors(tmp_path / name)
    assert not (tmp_path / "ran").exists()


def test_the_refused_function_is_named(tmp_path: Path) -> None:
    pickled(tmp_path / "w.pkl", Called(os.system, "true"))
    with pytest.raises(ValueError, match=r"it refers to (posix|nt)\.system, expected only numpy arrays"):
        read_tensors(tmp_path / "w.pkl")
    torch.save(Called(os.system, "true"), tmp_path / "w.pth")
    with pytest.raises(ValueError, match=r"holds only tensors: it refers to (posix|nt)\.system$"):
        read_tensors(tmp_path / "w.pth")


@pytest.mark.parametrize("content", [
    Called(eval, "1"), Called(getattr, "", "join"), Called(np.load, "w"), Counter("ab"), Path("w"),
    {"a": np.float64(1)},
])  # fmt: skip
def test_nothing_but_arrays_and_containers_comes_out_of_a_pickle(tmp_path: Path, content: Any) -> None:
    with pytest.raises(ValueError, match=r"w\.pkl: not a pickle that holds only numpy arrays: it refers to "):
        read_tensors(pickled(tmp_path / "w.pkl", content))


def test_bytes_through_another_codec_are_refused(tmp_path: Path) -> None:
    (tmp_path / "w.pkl").write_bytes(b"c_codecs\nencode\n(Vabc\nVrot13\ntR.")
    with pytest.raises(ValueError, match="encoding is 'rot13', expected 'latin1'"):
        read_tensors(tmp_path / "w.pkl")


def test_bytes_that_would_become_pointers_are_refused_and_the_process_lives(tmp_path: Path) -> None:
    # Eight bytes, declared as a record of one object: whoever builds that array follows the pointer on its removal.
    record = Forged(np.dtype, "V8", False, True, state=(3, "|", None, ("a",), {"a": (np.dtype("O"), 0)}, 8, 1, 1))
    pickled(tmp_path / "w.pkl", {"a": forged_array((1,), record, b"\x41" * 8)})
    command = "import sys; from core.files.tensors import read_tensors; read_tensors(sys.argv[1])"
    arguments = [sys.executable, "-c", command, tmp_path / "w.pkl"]
    done = subprocess.run(arguments, capture_output=True, text=True, cwd=Path(__file__).parents[3])
    assert done.returncode == 1  # of an exception, not of a signal
    assert "w.pkl: not a pickle that holds only numpy arrays: an array has dtype 'V8', expected" in done.stderr


def test_only_the_byte_order_of_a_forged_number_type_counts(tmp_path: Path) -> None:
    fields = (3, ">", None, ("a",), {"a": (np.dtype("i2"), 0)}, 8, 1, 1)
    numbers = Forged(np.dtype, "i2", False, True, state=fields)
    pickled(tmp_path / "w.pkl", {"a": forged_array((2,), numbers, b"\x00\x01\x00\x02")})
    assert read_tensors(tmp_path / "w.pkl")["a"].tolist() == [1, 2]
    pickled(tmp_path / "w.pkl", {"a": forged_array((2,), Forged(np.dtype, "i2", state=(3, "x")), b"")})
    with pytest.raises(ValueError, match=r"w\.pkl: not a pickle .*: a byte order is 'x', expected one of"):
        read_tensors(tmp_path / "w.pkl")


def test_no_memory_is_taken_for_a_shape_that_the_bytes_do_not_fill(tmp_path: Path) -> None:
    pickled(tmp_path / "w.pkl", {"a": forged_array((2,), np.dtype("u1"), b"\x01\x02", made_with=(2**60,))})
    assert read_tensors(tmp_path / "w.pkl")["a"].tolist() == [1, 2]
    pickled(tmp_path / "w.pkl", {"a": forged_array((2**30, 2**20), np.dtype("f4"), b"\x01\x02")})
    with pytest.raises(ValueError, match=r"under 'a' has 2 bytes for the shape .* of float32, expected 4503599627"):
        read_tensors(tmp_path / "w.pkl")


@pytest.mark.parametrize(("array", "found"), [
    (forged_array((-1,), np.dtype("f4"), b""), r"the shape \(-1,\), expected integers of at least 0"),
    (forged_array((0, 2**80), np.dtype("f4"), b""), r"the shape \(0, 1208925819614629174706176\), expected integers"),
    (forged_array(("1",), np.dtype("f4"), b"1234"), r"the shape \('1',\), expected integers"),
    (forged_array(1, np.dtype("f4"), b"1234"), "no shape, dtype and bytes"),
    (forged_array((1,), "f4", b"1234"), "no shape, dtype and bytes"),
    (forged_array((1,), np.dtype("f4"), [1.0]), "no shape, dtype and bytes"),
    (Called(RECONSTRUCT, np.ndarray, (1,), b"b"), "no shape, dtype and bytes"),
])  # fmt: skip
def test_an_array_that_makes_no_sense_is_named(tmp_path: Path, array: Called, found: str) -> None:
    with pytest.raises(ValueError, match=rf"w\.pkl: the array under 'a' has {found}"):
        read_tensors(pickled(tmp_path / "w.pkl", {"a": array}, protocol=4))


@pytest.mark.parametrize("numbers", [">f4", "<f8", "f2", ">i2", "u1", "i8"])
def test_numbers_of_either_byte_order_are_read(tmp_path: Path, numbers: str) -> None:
    pickled(tmp_path / "w.pkl", {"a": np.arange(6, dtype=numbers).reshape(2, 3)})
    assert read_tensors(tmp_path / "w.pkl")["a"].tolist() == [[0, 1, 2], [3, 4, 5]]


@pytest.mark.parametrize("array", [np.array([None, {}]), np.array(["text"]), np.zeros(1, "c8"), np.zeros(1, "M8[s]")])
def test_arrays_of_anything_but_numbers_are_refused(tmp_path: Path, array: np.ndarray) -> None:
    with pytest.raises(ValueError, match=r"w\.pkl: not a pickle .*: an array has dtype '\w+', expected numbers"):
        read_tensors(pickled(tmp_path / "w.pkl", {"a": array}))


@pytest.mark.parametrize(("content", "found"), [
    ({"a": np.array([True])}, "an array of bool under 'a'"),
    ({"a": 3}, "int under 'a'"),
    ({3: np.zeros(1)}, "an array of float64 under 3"),
])  # fmt: skip
def test_what_is_no_tensor_is_named(tmp_path: Path, content: Any, found: str) -> None:
    with pytest.raises(ValueError, match=rf"expected a state dict, tensors by name, found {found}"):
        read_tensors(pickled(tmp_path / "w.pkl", content))


@pytest.mark.parametrize("content", [np.zeros(3), {}, {"model": {}}, [1, 2], "text"])
def test_a_file_without_named_tensors_is_refused(tmp_path: Path, content: Any) -> None:
    with pytest.raises(ValueError, match="expected a state dict, tensors by name, or one under 'model'"):
        read_tensors(pickled(tmp_path / "w.pkl", content))


@pytest.mark.parametrize("name", ["none.pkl", "none.pth"])
def test_missing_empty_and_cut_files_are_named(tmp_path: Path, name: str) -> None:
    path = tmp_path / name
    with pytest.raises(ValueError, match=rf"{name}: cannot be read \(No such file or directory\)"):
        read_tensors(path)
    for content in (b"", b"hello", pickle.dumps(ARRAYS, 2)[:50]):
        path.write_bytes(content)
        with pytest.raises(ValueError, match=rf"{name}: not a "):
            read_tensors(path)


def test_a_torch_file_keeps_what_is_no_tensor(tmp_path: Path) -> None:
    torch.save({"step": 3, "state": [torch.ones(2)]}, tmp_path / "w.pth")
    content = read_torch_file(tmp_path / "w.pth")
    assert content["step"] == 3
    assert content["state"][0].tolist() == [1, 1]
