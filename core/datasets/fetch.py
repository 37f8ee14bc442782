"""One file over HTTP: taken up where it broke off, checked, and in its place only when it is whole."""

import errno
import hashlib
import os
import re
from http.client import HTTPException, HTTPResponse
from pathlib import Path
from typing import BinaryIO
from urllib import request
from urllib.error import HTTPError, URLError
from urllib.parse import urlsplit

from tqdm import tqdm

from core.datasets.disk_space import require_space

CHUNK = 2**18  # bytes
PARTIAL = ".partial"  # added to the name until the file is whole
RANGE_NOT_SATISFIABLE = 416  # HTTP: the file has no byte at the place asked for


def fetch(
    url: str,
    target: Path,
    *,
    size: int | None = None,  # bytes; None: what the server says
    md5: str | None = None,  # hexadecimal; None: not checked
    progress: bool = False,
    timeout: float = 60.0,  # seconds without an answer or a byte
) -> None:
    """Download a file, or the rest of it where an earlier download broke off.

    Until it is whole and right it lies beside `target` as `.partial`. A broken connection is taken up again as long
    as each attempt gets further; a server that knows no ranges sends the whole file anew. What already lies at
    `target` is checked, not fetched.

    Raises:
        ValueError: for another scheme than http and https, or content of another size or checksum than expected; a
            downloaded one is removed, one that lay at `target` stays.
        ConnectionError: if the server cannot be reached, refuses, or broke off; what came is kept for the next call.
        OSError: if the disk has no room for it.
    """
    if urlsplit(url).scheme not in ("http", "https"):
        raise ValueError(f"{url}: expected a URL that begins with http:// or https://")
    if target.exists():
        if problem := content_problem(target, size, md5):
            raise ValueError(f"{target}: {problem}; remove it to have it fetched from {url}")
        return
    target.parent.mkdir(parents=True, exist_ok=True)
    partial = target.with_name(target.name + PARTIAL)
    _fetch_bytes(url, partial, size, progress=progress, timeout=timeout)
    if problem := content_problem(partial, size, md5):
        partial.unlink()
        raise ValueError(f"{url}: {problem}; the download was removed")
    os.replace(partial, target)


def content_problem(path: Path, size: int | None, md5: str | None) -> str | None:
    """How a file differs from the size (bytes) and checksum it should have; None if it does not."""
    if size is not None and path.stat().st_size != size:
        return f"has {path.stat().st_size} bytes, expected {size}"
    if md5 is not None:
        with path.open("rb") as file:
            found = hashlib.file_digest(file, "md5").hexdigest()
        if found != md5:
            return f"has MD5 {found}, expected {md5}"
    return None


def _fetch_bytes(url: str, partial: Path, size: int | None, *, progress: bool, timeout: float) -> None:
    """Attempts until `partial` has all its bytes, given up when one brings nothing new."""
    while True:
        before = _num_bytes(partial)
        if size is not None and before == size:
            return
        total = _attempt(url, partial, size, progress=progress, timeout=timeout)
        now = _num_bytes(partial)
        if total is None or now >= total:
            return
        if now <= before:
            advice = f"what came is kept in {partial}, the next call goes on from there"
            raise ConnectionError(f"{url}: broke off after {now} of {total} bytes; {advice}")


def _num_bytes(path: Path) -> int:
    return path.stat().st_size if path.exists() else 0


def _attempt(url: str, partial: Path, size: int | None, *, progress: bool, timeout: float) -> int | None:
    """Receive what one connection brings; returns the bytes of the whole file, None if nobody knows."""
    held = _num_bytes(partial)
    if size is not None and held > size:
        held = 0
    with _open(url, held, timeout) as response:
        start = _first_byte(response)
        if start not in (0, held):
            raise ConnectionError(f"{url}: sent bytes from {start} on, asked for those from {held} on")
        length = response.headers.get("Content-Length")
        total = size if length is None else start + int(length)
        if size is not None and total != size:
            raise ValueError(f"{url}: has {total} bytes, expected {size}")
        require_space(partial.parent, (total or 0) - _num_bytes(partial))
        name = partial.name.removesuffix(PARTIAL)
        with (
            tqdm(desc=name, initial=start, total=total, unit="B", unit_scale=True, disable=not progress) as bar,
            partial.open("ab" if start else "wb") as file,
        ):
            _receive(response, file, bar)
    return total


def _first_byte(response: HTTPResponse) -> int:
    """Where in the file an answer begins: 0 unless the server took up the range."""
    content_range = re.match(r"bytes (\d+)-", response.headers.get("Content-Range", ""))
    return int(content_range[1]) if response.status == 206 and content_range else 0


def _receive(response: HTTPResponse, file: BinaryIO, bar: tqdm) -> None:
    """Write what comes until the end or until the connection breaks; the caller sees how far that was."""
    while True:
        try:
            chunk = response.read(CHUNK)
        except (OSError, HTTPException):
            return
        if not chunk:
            return
        try:
            file.write(chunk)
        except OSError as error:
            if error.errno != errno.ENOSPC:
                raise
            raise OSError(errno.ENOSPC, f"{file.name}: the disk is full; what came is kept") from error
        bar.update(len(chunk))


def _open(url: str, start: int, timeout: float) -> HTTPResponse:
    """Ask for the bytes from `start` on; from the beginning, where the file has none there."""
    headers = {"User-Agent": "boxinst-ablation-suite", "Accept-Encoding": "identity"}
    if start:
        headers["Range"] = f"bytes={start}-"
    try:
        return _http_only().open(request.Request(url, headers=headers), timeout=timeout)
    except HTTPError as error:
        if error.code == RANGE_NOT_SATISFIABLE and start:
            return _open(url, 0, timeout)
        raise ConnectionError(f"{url}: the server answers {error.code} {error.reason}") from error
    except URLError as error:
        raise ConnectionError(f"{url}: cannot be reached ({error.reason})") from error
    except (OSError, HTTPException) as error:
        raise ConnectionError(f"{url}: gave no answer ({error!r})") from error


def _http_only() -> request.OpenerDirector:
    """Follows redirects and the proxies of the environment; unlike urllib's own opener it reads no file:// or ftp://."""
    opener = request.OpenerDirector()
    handlers = [
        request.ProxyHandler, request.UnknownHandler, request.HTTPHandler, request.HTTPSHandler,
        request.HTTPDefaultErrorHandler, request.HTTPRedirectHandler, request.HTTPErrorProcessor,
    ]  # fmt: skip
    for handler in handlers:
        opener.add_handler(handler())
    return opener
