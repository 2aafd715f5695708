"""A scripted server of files on 127.0.0.1: it answers as a good one does, unless its script says what goes wrong."""

import re
import threading
from collections.abc import Mapping
from dataclasses import dataclass, field
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import Any, NamedTuple


@dataclass(frozen=True)
class Answer:
    """How one answer differs from that of a good server; a header of None is left out."""

    path: str | None = None  # the one file that is answered so
    status: int | None = None  # instead of 200, 206, 404 or 416, without a body
    headers: Mapping[str, str | None] = field(default_factory=dict)
    ignore_range: bool = False
    chunked: bool = False
    cut: int | None = None  # bytes of the body after which the connection closes
    hold: bool = False  # instead of closing, fall silent; without a cut, say nothing at all
    delay: float = 0.0  # seconds before it
    pause: float = 0.0  # seconds after every byte


class Request(NamedTuple):
    """What a client asked for."""

    path: str
    range: str | None
    if_range: str | None


class FileServer(ThreadingHTTPServer):
    """Serves `files` by path; each request takes the next answer of `script` that is not for another path."""

    daemon_threads = True

    def __init__(self) -> None:
        super().__init__(("127.0.0.1", 0), _Handler)
        self.files: dict[str, bytes] = {}
        self.script: list[Answer] = []
        self.etag: str | None = '"v1"'
        self.requests: list[Request] = []
        self.busy = self.most_busy = 0
        self.closing = threading.Event()
        self.lock = threading.Lock()

    @property
    def url(self) -> str:
        """The address of the root."""
        return f"http://127.0.0.1:{self.server_port}"

    def __enter__(self) -> "FileServer":
        threading.Thread(target=self.serve_forever, kwargs={"poll_interval": 0.01}, daemon=True).start()
        return self

    def __exit__(self, *error: object) -> None:
        self.closing.set()
        self.shutdown()
        self.server_close()

    def handle_error(self, request: Any, client_address: Any) -> None:
        """A client that hangs up is no error here."""


class _Handler(BaseHTTPRequestHandler):
    server: FileServer
    protocol_version = "HTTP/1.1"

    def do_GET(self) -> None:
        server = self.server
        with server.lock:
            server.requests.append(Request(self.path, self.headers["Range"], self.headers["If-Range"]))
            server.busy += 1
            server.most_busy = max(server.busy, server.most_busy)
            answer = next((each for each in server.script if each.path in (None, self.path)), Answer())
            if answer in server.script:
                server.script.remove(answer)
        server.closing.wait(answer.delay)
        try:
            self.answer(answer)
        finally:
            with server.lock:
                server.busy -= 1

    def answer(self, answer: Answer) -> None:
        if answer.hold and answer.cut is None:
            self.server.closing.wait()
        status, headers, body = self.good_answer(answer.ignore_range)
        if answer.status is not None:
            status, headers, body = answer.status, {"Content-Length": "0"}, b""
        if answer.chunked:
            headers = headers | {"Content-Length": None, "Transfer-Encoding": "chunked"}
            body = b"%x\r\n%s\r\n0\r\n\r\n" % (len(body), body)
        self.send_response(status)
        for name, value in (headers | answer.headers | {"Connection": "close"}).items():
            if value is not None:
                self.send_header(name, value)
        self.end_headers()
        self.send_body(body[: answer.cut], answer.pause)
        if answer.hold:
            self.server.closing.wait()

    def good_answer(self, ignore_range: bool) -> tuple[int, dict[str, str | None], bytes]:
        """Status, headers and body of what was asked for."""
        content = self.server.files.get(self.path)
        if content is None:
            return 404, {"Content-Length": "0"}, b""
        headers = {"ETag": self.server.etag}
        asked = re.fullmatch(r"bytes=(\d+)-", self.headers["Range"] or "")
        if not asked or ignore_range or self.headers["If-Range"] not in (None, self.server.etag):
            return 200, headers | {"Content-Length": str(len(content))}, content
        start = int(asked[1])
        if start >= len(content):
            return 416, {"Content-Length": "0", "Content-Range": f"bytes */{len(content)}"}, b""
        headers["Content-Range"] = f"bytes {start}-{len(content) - 1}/{len(content)}"
        return 206, headers | {"Content-Length": str(len(content) - start)}, content[start:]

    def send_body(self, body: bytes, pause: float) -> None:
        if not pause:
            self.wfile.write(body)
            return
        for value in body:
            self.wfile.write(bytes([value]))
            if self.server.closing.wait(pause):
                break

    def log_message(self, *arguments: object) -> None:
        pass
