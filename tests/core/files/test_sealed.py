"""Files that end in a digest of their content: any change is noticed."""

from pathlib import Path

import pytest

from core.files.sealed import DamagedError, check_seal, is_sealed, sealed

CONTENT = bytes(range(256)) * 3


@pytest.fixture
def path(tmp_path: Path) -> Path:
    with sealed(tmp_path / "a.bin") as file:
        file.write(CONTENT[:100])
        file.write(memoryview(CONTENT)[100:])
    return tmp_path / "a.bin"


def check(path: Path) -> None:
    with path.open("rb") as file:
        check_seal(file, path)
        assert file.tell() == 0


def test_the_content_comes_first_and_its_sha256_last(tmp_path: Path) -> None:
    with sealed(tmp_path / "abc") as file:
        file.write(b"ab")
        file.write(b"c")
    sha256_of_abc = b"ba7816bf8f01cfea414140de5dae2223b00361a396177a9cb410ff61f20015ad"  # FIPS 180-2, example B.1
    assert (tmp_path / "abc").read_bytes() == b"abc\nsha256 " + sha256_of_abc + b"\n"
    assert is_sealed(tmp_path / "abc")
    check(tmp_path / "abc")


def test_every_flipped_bit_is_noticed(path: Path) -> None:
    whole = path.read_bytes()
    for place in range(len(whole)):
        damaged = bytearray(whole)
        damaged[place] ^= 1 << place % 8
        path.write_bytes(damaged)
        if is_sealed(path):
            with pytest.raises(DamagedError, match=r"a\.bin: damaged since it was written"):
                check(path)
        else:
            assert place >= len(CONTENT)  # the seal itself


@pytest.mark.parametrize("content", [b"", b"short", b"x" * 500])
def test_a_file_without_a_seal_is_left_to_its_reader(tmp_path: Path, content: bytes) -> None:
    (tmp_path / "a.bin").write_bytes(content)
    assert not is_sealed(tmp_path / "a.bin")
    check(tmp_path / "a.bin")


def test_a_cut_end_takes_the_seal_along(path: Path) -> None:
    path.write_bytes(path.read_bytes()[:-1])
    assert not is_sealed(path)


def test_an_error_leaves_the_file_before_it(path: Path) -> None:
    before = path.read_bytes()

    def fail() -> None:
        with sealed(path) as file:
            file.write(b"half")
            raise KeyboardInterrupt

    with pytest.raises(KeyboardInterrupt):
        fail()
    assert path.read_bytes() == before
