"""One file over HTTP: taken up where it broke off, checked, and in its place only when it is whole."""

import errno
import hashlib
import os
import re
from http.client import HTTPException, HTTPResponse
from pathlib import Path
from typing import Any, BinaryIO
from urllib import request
from urllib.error import HTTPError, URLError
from urllib.parse import urlsplit

from tqdm import tqdm

from core.datasets.sources.disk_space import require_space

CHUNK = 2**18  # bytes
PARTIAL = ".partial"  # added to the name until the file is whole
ETAG = ".etag"  # added to that: the file's version, as the server names it
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
    as each attempt gets further; a server that knows no ranges sends the whole file anew. So does one whose file has
    another ETag by then, which is asked for without `md5`; without an ETag, too, the file is taken for the same. What
    already lies at `target` is checked, not fetched.

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
    _fetch_bytes(url, partial, size, same_version=md5 is None, progress=progress, timeout=timeout)
    if problem := content_problem(partial, size, md5):
        partial.unlink()
        _etag_file(partial).unlink(missing_ok=True)
        raise ValueError(f"{url}: {problem}; the download was removed")
    os.replace(partial, target)
    _etag_file(partial).unlink(missing_ok=True)


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


def _fetch_bytes(url: str, partial: Path, size: int | None, **settings: Any) -> None:
    """Attempts until `partial` has all its bytes, given up when one brings nothing new."""
    while True:
        before = _num_bytes(partial)
        if size is not None and before == size:
            return
        total, ended = _attempt(url, partial, size, **settings)
        now = _num_bytes(partial)
        whole = ended if total is None else now >= total
        if whole:
            return
        if now <= before:
            expected = "an unknown number of" if total is None else total
            advice = f"what came is kept in {partial}, the next call goes on from there"
            raise ConnectionError(f"{url}: broke off after {now} of {expected} bytes; {advice}")


def _num_bytes(path: Path) -> int:
    return path.stat().st_size if path.exists() else 0


def _etag_file(partial: Path) -> Path:
    return partial.with_name(partial.name + ETAG)


def _attempt(
    url: str, partial: Path, size: int | None, *, same_version: bool, progress: bool, timeout: float
) -> tuple[int | None, bool]:
    """Receive what one connection brings, from what is there on, unless that is of another version than the server's.

    Returns the bytes of the whole file, None if nobody knows, and whether the answer came to its end.
    """
    held, etag_file = _num_bytes(partial), _etag_file(partial)
    if size is not None and held > size:
        held = 0
    etag = etag_file.read_text() if same_version and etag_file.exists() else None
    with _open(url, held, etag, timeout) as response:
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
            if not start:  # in this order: a kill in between leaves nothing under a wrong version
                _keep_etag(response, etag_file)
            ended = _receive(response, file, bar)
    return total, ended


def _first_byte(response: HTTPResponse) -> int:
    """Where in the file an answer begins: 0 unless the server took up the range."""
    content_range = re.match(r"bytes (\d+)-", response.headers.get("Content-Range", ""))
    return int(content_range[1]) if response.status == 206 and content_range else 0


def _keep_etag(response: HTTPResponse, etag_file: Path) -> None:
    """Keep the version that an answer names, unless it is weak: that may stand for other bytes, too."""
    etag = response.headers.get("ETag", "")
    if re.fullmatch(r'"[!#-~]*"', etag):
        etag_file.write_text(etag)
    else:
        etag_file.unlink(missing_ok=True)


def _receive(response: HTTPResponse, file: BinaryIO, bar: tqdm) -> bool:
    """Write what comes; whether that ended, or the connection broke.

    Where the server told a length or no length and no chunks, a connection that is closed too soon looks like an end.
    """
    while True:
        try:
            chunk = response.read(CHUNK)
        except (OSError, HTTPException):
            return False
        if not chunk:
            return True
        try:
            file.write(chunk)
        except OSError as error:
            if error.errno != errno.ENOSPC:
                raise
            raise OSError(errno.ENOSPC, f"{file.name}: the disk is full; what came is kept") from error
        bar.update(len(chunk))


def _open(url: str, start: int, etag: str | None, timeout: float) -> HTTPResponse:
    """Ask for the bytes from `start` on; from the beginning, where the file has none there or another `etag`."""
    headers = {"User-Agent": "boxinst-ablation-suite", "Accept-Encoding": "identity"}
    if start:
        headers["Range"] = f"bytes={start}-"
        if etag is not None:
            headers["If-Range"] = etag
    try:
        return _http_only().open(request.Request(url, headers=headers), timeout=timeout)
    except HTTPError as error:
        if error.code == RANGE_NOT_SATISFIABLE and start:
            return _open(url, 0, None, timeout)
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
