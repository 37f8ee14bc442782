import errno
import hashlib
import shutil
import socket
from collections import namedtuple
from collections.abc import Iterator
from pathlib import Path

import numpy as np
import pytest

from core.datasets.sources.fetch import fetch
from tests.core.datasets.file_server import FileServer, serving

CONTENT = np.random.default_rng(0).bytes(1_000_000)
MD5 = hashlib.md5(CONTENT).hexdigest()


@pytest.fixture
def server(monkeypatch: pytest.MonkeyPatch) -> Iterator[FileServer]:
    monkeypatch.setenv("no_proxy", "127.0.0.1")
    with serving({"/a.zip": CONTENT}) as running:
        yield running


def names(folder: Path) -> set[str]:
    return {path.name for path in folder.iterdir()}


def starts(server: FileServer) -> list[int]:
    return [start for _, start in server.requests]


@pytest.mark.parametrize(("size", "md5"), [(len(CONTENT), MD5), (None, None), (None, MD5), (len(CONTENT), None)])
def test_a_file_arrives_whole(server: FileServer, tmp_path: Path, size: int | None, md5: str | None) -> None:
    fetch(f"{server.url}/a.zip", tmp_path / "new" / "a.zip", size=size, md5=md5)
    assert (tmp_path / "new" / "a.zip").read_bytes() == CONTENT
    assert names(tmp_path / "new") == {"a.zip"}


def test_a_file_that_is_there_is_not_fetched_again(server: FileServer, tmp_path: Path) -> None:
    (tmp_path / "a.zip").write_bytes(CONTENT)
    fetch(f"{server.url}/a.zip", tmp_path / "a.zip", size=len(CONTENT), md5=MD5)
    assert server.requests == []


def test_a_file_that_is_there_but_wrong_is_refused_and_stays(server: FileServer, tmp_path: Path) -> None:
    (tmp_path / "a.zip").write_bytes(CONTENT[:10])
    with pytest.raises(ValueError, match=r"a\.zip: has 10 bytes, expected 1000000; remove it"):
        fetch(f"{server.url}/a.zip", tmp_path / "a.zip", size=len(CONTENT))
    assert names(tmp_path) == {"a.zip"}


def test_a_broken_connection_is_taken_up_where_it_broke(server: FileServer, tmp_path: Path) -> None:
    server.breaks = [300_000, 200_000]
    fetch(f"{server.url}/a.zip", tmp_path / "a.zip", size=len(CONTENT), md5=MD5)
    assert (tmp_path / "a.zip").read_bytes() == CONTENT
    assert starts(server) == [0, 300_000, 500_000]


def test_a_download_that_gets_no_further_is_kept_for_the_next_call(server: FileServer, tmp_path: Path) -> None:
    server.breaks = [300_000, 0]
    with pytest.raises(
        ConnectionError, match=r"/a\.zip: connection lost after 300000 of 1000000 bytes; run the same command"
    ):
        fetch(f"{server.url}/a.zip", tmp_path / "a.zip", size=len(CONTENT), md5=MD5)
    assert names(tmp_path) == {"a.zip.partial"}
    fetch(f"{server.url}/a.zip", tmp_path / "a.zip", size=len(CONTENT), md5=MD5)
    assert (tmp_path / "a.zip").read_bytes() == CONTENT
    assert starts(server) == [0, 300_000, 300_000]


def test_a_truncated_answer_of_untold_length_is_not_taken_for_whole(server: FileServer, tmp_path: Path) -> None:
    server.tells_length, server.breaks = False, [400_000, 0]
    with pytest.raises(ConnectionError, match="after 400000 of 1000000 bytes"):
        fetch(f"{server.url}/a.zip", tmp_path / "a.zip", size=len(CONTENT))
    assert names(tmp_path) == {"a.zip.partial"}


def test_an_answer_in_chunks_is_whole_when_its_last_chunk_came(server: FileServer, tmp_path: Path) -> None:
    server.chunked = True
    fetch(f"{server.url}/a.zip", tmp_path / "a.zip")
    assert (tmp_path / "a.zip").read_bytes() == CONTENT


def test_an_answer_in_chunks_that_breaks_off_is_not_taken_for_whole(server: FileServer, tmp_path: Path) -> None:
    server.chunked, server.breaks = True, [600_000, 0]
    with pytest.raises(ConnectionError, match=r"/a\.zip: connection lost after \d+ of an unknown number of bytes; run"):
        fetch(f"{server.url}/a.zip", tmp_path / "a.zip")
    assert names(tmp_path) == {"a.zip.partial"}
    fetch(f"{server.url}/a.zip", tmp_path / "a.zip")
    assert (tmp_path / "a.zip").read_bytes() == CONTENT
    first, second, third = starts(server)
    assert first == 0 < second == third < 600_000


def test_the_rest_of_another_version_is_not_put_to_the_first_part_of_one(server: FileServer, tmp_path: Path) -> None:
    server.etag, server.breaks = '"first"', [300_000, 0]
    with pytest.raises(ConnectionError, match="connection lost after 300000"):
        fetch(f"{server.url}/a.zip", tmp_path / "a.zip")
    assert names(tmp_path) == {"a.zip.partial", "a.zip.partial.etag"}
    server.etag, server.files = '"second"', {"/a.zip": CONTENT[::-1]}
    fetch(f"{server.url}/a.zip", tmp_path / "a.zip")
    assert (tmp_path / "a.zip").read_bytes() == CONTENT[::-1]
    assert starts(server) == [0, 300_000, 300_000]
    assert server.conditions == [None, '"first"', '"first"']
    assert names(tmp_path) == {"a.zip"}


def test_the_rest_of_the_same_version_is(server: FileServer, tmp_path: Path) -> None:
    server.etag, server.breaks = '"first"', [300_000, 200_000]
    fetch(f"{server.url}/a.zip", tmp_path / "a.zip")
    assert (tmp_path / "a.zip").read_bytes() == CONTENT
    assert starts(server) == [0, 300_000, 500_000]
    assert names(tmp_path) == {"a.zip"}


@pytest.mark.parametrize(("etag", "md5"), [('W/"first"', None), ('"first"', MD5), (None, None)])
def test_a_weak_version_is_no_condition_and_beside_a_checksum_none_is_needed(
    server: FileServer, tmp_path: Path, etag: str | None, md5: str | None
) -> None:
    server.etag, server.breaks = etag, [300_000]
    fetch(f"{server.url}/a.zip", tmp_path / "a.zip", md5=md5)
    assert (tmp_path / "a.zip").read_bytes() == CONTENT
    assert server.conditions == [None, None]
    assert names(tmp_path) == {"a.zip"}


def test_a_server_without_ranges_sends_everything_anew(server: FileServer, tmp_path: Path) -> None:
    (tmp_path / "a.zip.partial").write_bytes(b"x" * 300_000)
    server.knows_ranges = False
    fetch(f"{server.url}/a.zip", tmp_path / "a.zip", size=len(CONTENT), md5=MD5)
    assert (tmp_path / "a.zip").read_bytes() == CONTENT
    assert starts(server) == [300_000]


def test_a_server_without_ranges_that_breaks_at_one_place_is_given_up(server: FileServer, tmp_path: Path) -> None:
    server.knows_ranges, server.breaks = False, [300_000] * 9
    with pytest.raises(ConnectionError, match="after 300000 of 1000000"):
        fetch(f"{server.url}/a.zip", tmp_path / "a.zip")
    assert len(server.requests) == 2


def test_a_whole_partial_file_is_put_in_place_without_a_request(server: FileServer, tmp_path: Path) -> None:
    (tmp_path / "a.zip.partial").write_bytes(CONTENT)
    fetch(f"{server.url}/a.zip", tmp_path / "a.zip", size=len(CONTENT), md5=MD5)
    assert server.requests == []
    assert names(tmp_path) == {"a.zip"}


@pytest.mark.parametrize("size", [None, len(CONTENT)])
def test_a_partial_file_longer_than_the_file_is_begun_anew(
    server: FileServer, tmp_path: Path, size: int | None
) -> None:
    (tmp_path / "a.zip.partial").write_bytes(b"x" * 1_000_001)
    fetch(f"{server.url}/a.zip", tmp_path / "a.zip", size=size)
    assert (tmp_path / "a.zip").read_bytes() == CONTENT


def test_a_wrong_checksum_removes_the_download(server: FileServer, tmp_path: Path) -> None:
    with pytest.raises(ValueError, match=rf"/a\.zip: has MD5 {MD5}, expected {'0' * 32}; the download was removed"):
        fetch(f"{server.url}/a.zip", tmp_path / "a.zip", md5="0" * 32)
    assert names(tmp_path) == set()


def test_a_file_that_changed_between_two_attempts_is_removed(server: FileServer, tmp_path: Path) -> None:
    (tmp_path / "a.zip.partial").write_bytes(b"x" * 300_000)
    with pytest.raises(ValueError, match="has MD5"):
        fetch(f"{server.url}/a.zip", tmp_path / "a.zip", size=len(CONTENT), md5=MD5)
    assert names(tmp_path) == set()


def test_an_answer_of_another_size_is_refused_before_it_is_read(server: FileServer, tmp_path: Path) -> None:
    (tmp_path / "a.zip.partial").write_bytes(CONTENT[:300_000])
    with pytest.raises(ValueError, match=r"/a\.zip: has 1000000 bytes, expected 1000001"):
        fetch(f"{server.url}/a.zip", tmp_path / "a.zip", size=1_000_001)
    assert (tmp_path / "a.zip.partial").read_bytes() == CONTENT[:300_000]


def test_too_little_room_is_told_before_anything_is_written(
    server: FileServer, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    usage = namedtuple("usage", "total used free")
    monkeypatch.setattr(shutil, "disk_usage", lambda _: usage(10**6, 10**6 - 999_999, 999_999))
    with pytest.raises(OSError, match=r"not enough disk space: 0\.00 GiB needed, 0\.00 GiB free"):
        fetch(f"{server.url}/a.zip", tmp_path / "a.zip")
    assert names(tmp_path) == set()
    (tmp_path / "a.zip.partial").write_bytes(CONTENT[:2])  # two bytes less to come
    fetch(f"{server.url}/a.zip", tmp_path / "a.zip")
    assert (tmp_path / "a.zip").read_bytes() == CONTENT


def test_a_disk_that_fills_up_meanwhile_is_told_and_what_came_is_kept(server: FileServer, tmp_path: Path) -> None:
    full = Path("/dev/full")
    if not full.is_char_device():
        pytest.skip("this system has no /dev/full")
    (tmp_path / "a.zip.partial").symlink_to(full)
    with pytest.raises(OSError, match=r"a\.zip\.partial: the disk is full") as raised:
        fetch(f"{server.url}/a.zip", tmp_path / "a.zip")
    assert raised.value.errno == errno.ENOSPC
    assert names(tmp_path) == {"a.zip.partial"}


def test_a_missing_file_is_told_with_its_url(server: FileServer, tmp_path: Path) -> None:
    with pytest.raises(ConnectionError, match=rf"{server.url}/b\.zip: server returned 404"):
        fetch(f"{server.url}/b.zip", tmp_path / "b.zip")
    assert names(tmp_path) == set()


def test_a_server_that_is_not_there_is_told_with_its_url(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("no_proxy", "127.0.0.1")
    with socket.create_server(("127.0.0.1", 0)) as unused:
        port = unused.getsockname()[1]
    with pytest.raises(ConnectionError, match=rf":{port}/a\.zip: cannot be reached .*refused"):
        fetch(f"http://127.0.0.1:{port}/a.zip", tmp_path / "a.zip")


def test_a_silent_server_is_given_up(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("no_proxy", "127.0.0.1")
    with socket.create_server(("127.0.0.1", 0)) as silent:
        url = f"http://127.0.0.1:{silent.getsockname()[1]}/a.zip"
        with pytest.raises(ConnectionError, match="timed out"):
            fetch(url, tmp_path / "a.zip", timeout=0.2)


@pytest.mark.parametrize("url", ["file:///etc/hostname", "ftp://127.0.0.1/a.zip", "a.zip"])
def test_only_http_is_spoken(tmp_path: Path, url: str) -> None:
    with pytest.raises(ValueError, match="expected a URL that begins with http"):
        fetch(url, tmp_path / "a.zip")


def test_redirects_are_followed_with_the_range_but_only_to_http(server: FileServer, tmp_path: Path) -> None:
    server.redirects = {"/old.zip": f"{server.url}/a.zip", "/ftp.zip": "ftp://127.0.0.1/a.zip"}
    (tmp_path / "a.zip.partial").write_bytes(CONTENT[:300_000])
    fetch(f"{server.url}/old.zip", tmp_path / "a.zip", md5=MD5)
    assert server.requests == [("/old.zip", 300_000), ("/a.zip", 300_000)]
    with pytest.raises(ConnectionError, match="unknown url type"):
        fetch(f"{server.url}/ftp.zip", tmp_path / "b.zip")
