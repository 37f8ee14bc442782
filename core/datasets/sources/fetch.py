"""Download a file over HTTP: resumable, verified, and moved to its place only when complete."""

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
PARTIAL = ".partial"  # suffix of the name until the file is complete
ETAG = ".etag"  # suffix after that: holds the ETag of the server's version
RANGE_NOT_SATISFIABLE = 416  # HTTP: the file has no byte at the requested position


def fetch(
    url: str,
    target: Path,
    *,
    size: int | None = None,  # bytes; None: as the server says
    md5: str | None = None,  # hexadecimal; None: not checked
    progress: bool = False,
    timeout: float = 60.0,  # seconds without a response or a byte
) -> None:
    """Download a file, or the rest of it if an earlier download was interrupted.

    The file is stored beside `target` as `.partial` until it is complete and verified. Lost connections are retried as
    long as each attempt makes progress. A server without support for ranges sends the whole file again. Without `md5`,
    the ETag is compared too: if the file on the server has changed, it is sent again; without an ETag it is assumed
    unchanged. A file that already exists at `target` is verified, not downloaded.

    Raises:
        ValueError: if the scheme is not http or https, or the content has another size or checksum than expected; then
            the download is removed, but a file that existed at `target` is kept.
        ConnectionError: if the server cannot be reached, refuses, or the connection is lost; the bytes received are
            kept for the next call.
        OSError: if the disk is full.
    """
    if urlsplit(url).scheme not in ("http", "https"):
        raise ValueError(f"{url}: expected a URL that begins with http:// or https://")
    if target.exists():
        if problem := content_problem(target, size, md5):
            raise ValueError(f"{target}: {problem}; remove it to download it from {url}")
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
    """How a file differs from the expected size (bytes) and checksum; None if it does not."""
    if size is not None and path.stat().st_size != size:
        return f"has {path.stat().st_size} bytes, expected {size}"
    if md5 is not None:
        with path.open("rb") as file:
            found = hashlib.file_digest(file, "md5").hexdigest()
        if found != md5:
            return f"has MD5 {found}, expected {md5}"
    return None


def _fetch_bytes(url: str, partial: Path, size: int | None, **settings: Any) -> None:
    """Retry until `partial` has all its bytes; give up when an attempt makes no progress."""
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
            advice = f"run the same command again to resume from {partial}"
            raise ConnectionError(f"{url}: connection lost after {now} of {expected} bytes; {advice}")


def _num_bytes(path: Path) -> int:
    return path.stat().st_size if path.exists() else 0


def _etag_file(partial: Path) -> Path:
    return partial.with_name(partial.name + ETAG)


def _attempt(
    url: str, partial: Path, size: int | None, *, same_version: bool, progress: bool, timeout: float
) -> tuple[int | None, bool]:
    """Make one request for the missing bytes, or for all if `partial` is of another version than the server's.

    Returns the size of the whole file, None if unknown, and whether the response ended normally.
    """
    held, etag_file = _num_bytes(partial), _etag_file(partial)
    if size is not None and held > size:
        held = 0
    etag = etag_file.read_text() if same_version and etag_file.exists() else None
    with _open(url, held, etag, timeout) as response:
        start = _first_byte(response)
        if start not in (0, held):
            raise ConnectionError(f"{url}: server sent bytes from {start}, expected bytes from {held}")
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
            if not start:  # after truncating: a kill in between leaves no bytes under a wrong ETag
                _keep_etag(response, etag_file)
            ended = _receive(response, file, bar)
    return total, ended


def _first_byte(response: HTTPResponse) -> int:
    """Position in the file where a response starts: 0 unless the server honored the range."""
    content_range = re.match(r"bytes (\d+)-", response.headers.get("Content-Range", ""))
    return int(content_range[1]) if response.status == 206 and content_range else 0


def _keep_etag(response: HTTPResponse, etag_file: Path) -> None:
    """Store the ETag of a response, unless it is weak: a weak ETag does not guarantee equal bytes."""
    etag = response.headers.get("ETag", "")
    if re.fullmatch(r'"[!#-~]*"', etag):
        etag_file.write_text(etag)
    else:
        etag_file.unlink(missing_ok=True)


def _receive(response: HTTPResponse, file: BinaryIO, bar: tqdm) -> bool:
    """Write the response to the file; True if it ended, False if the connection was lost.

    With a content length, or with neither length nor chunks, a connection closed too early looks like a normal end.
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
            raise OSError(errno.ENOSPC, f"{file.name}: the disk is full; free space and run again") from error
        bar.update(len(chunk))


def _open(url: str, start: int, etag: str | None, timeout: float) -> HTTPResponse:
    """Request the bytes from `start`; the whole file if it has none there, or another `etag`."""
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
        raise ConnectionError(f"{url}: server returned {error.code} {error.reason}") from error
    except URLError as error:
        raise ConnectionError(f"{url}: cannot be reached ({error.reason})") from error
    except (OSError, HTTPException) as error:
        raise ConnectionError(f"{url}: no response ({error!r})") from error


def _http_only() -> request.OpenerDirector:
    """An opener with redirects and proxies from the environment but, unlike urllib's default, no file:// or ftp://."""
    opener = request.OpenerDirector()
    handlers = [
        request.ProxyHandler, request.UnknownHandler, request.HTTPHandler, request.HTTPSHandler,
        request.HTTPDefaultErrorHandler, request.HTTPRedirectHandler, request.HTTPErrorProcessor,
    ]  # fmt: skip
    for handler in handlers:
        opener.add_handler(handler())
    return opener
