"""A web server on this machine that can be told to break off, to know no ranges, or to keep sizes to itself."""

import re
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from dataclasses import dataclass, field
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from threading import Thread


@dataclass
class FileServer:
    """Serves `files` by path; `breaks` holds the number of bytes after which each coming answer breaks off."""

    files: dict[str, bytes]
    url: str = ""
    breaks: list[int] = field(default_factory=list)
    knows_ranges: bool = True
    tells_length: bool = True
    chunked: bool = False  # one chunk, and no length told
    etag: str | None = None
    redirects: dict[str, str] = field(default_factory=dict)
    requests: list[tuple[str, int]] = field(default_factory=list)  # path and first byte asked for
    conditions: list[str | None] = field(default_factory=list)  # the ETag that each request makes a range depend on


@contextmanager
def serving(files: dict[str, bytes]) -> Iterator[FileServer]:
    server = FileServer(files)

    class Handler(BaseHTTPRequestHandler):
        def do_GET(self) -> None:
            asked = re.fullmatch(r"bytes=(\d+)-", self.headers.get("Range", ""))
            start = int(asked[1]) if asked else 0
            server.requests.append((self.path, start))
            condition = self.headers.get("If-Range")
            server.conditions.append(condition)
            if self.path in server.redirects:
                self.send_response(302)
                self.send_header("Location", server.redirects[self.path])
                self.end_headers()
                return
            content = server.files.get(self.path)
            if content is None:
                self.send_error(404)
                return
            if start and server.knows_ranges and condition in (None, server.etag):
                if start >= len(content):
                    self.send_error(416)
                    return
                self.send_response(206)
                self.send_header("Content-Range", f"bytes {start}-{len(content) - 1}/{len(content)}")
                content = content[start:]
            else:
                self.send_response(200)
            if server.etag is not None:
                self.send_header("ETag", server.etag)
            if server.chunked:
                self.send_header("Transfer-Encoding", "chunked")
            elif server.tells_length:
                self.send_header("Content-Length", str(len(content)))
            self.end_headers()
            breaks = server.breaks.pop(0) if server.breaks else None
            with suppress(ConnectionError):  # a client that has seen enough
                if server.chunked:
                    self.wfile.write(b"%x\r\n" % len(content))
                self.wfile.write(content[:breaks])
                if server.chunked and breaks is None:
                    self.wfile.write(b"\r\n0\r\n\r\n")

        def log_message(self, *_: object) -> None:
            pass

    http = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
    thread = Thread(target=http.serve_forever, kwargs={"poll_interval": 0.01})
    thread.start()
    server.url = f"http://127.0.0.1:{http.server_port}"
    try:
        yield server
    finally:
        http.shutdown()
        http.server_close()
        thread.join()
