"""Downloads from a hostile server: each ends with the whole file, or with one line and nothing at the target."""

import hashlib
import os
import random
import threading
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import Any

from tenacity import wait_none

from scratchlm.datasets import transfer
from scratchlm.datasets.download import fetch
from scratchlm.errors import UserError
from tests.faults.result import Result
from tests.file_server import Answer, FileServer

SIZE = 50_000
PATH = "/file.bin"


def run(count: int, folder: Path, seed: int) -> Iterator[Result]:
    """Every fault of a server `count` times, at other places of the file and with other things known of it."""
    rng = random.Random(seed)
    content = rng.randbytes(SIZE)
    with _project(folder), FileServer() as server:
        for name, fault in FAULTS.items():
            lost, whole = [], 0
            for number in range(count if name in FAST else max(1, count // 10)):
                offset = [1, SIZE - 1][number] if number < 2 else rng.randrange(2, SIZE - 1)
                server.files[PATH], server.etag = content, rng.choice(['"v1"', None])
                server.script = list(fault(offset, content, server))
                is_known = rng.random() < 0.7 or name == "length too small"  # which without a hash nobody can tell
                expected = hashlib.sha256(content).hexdigest() if is_known else None
                url = f"{server.url}{PATH}?{name.encode().hex()}-{number}"  # one's parts are not the other's
                arrived, problem = _fetch(server, url, folder / "data/file.bin", expected, content)
                whole += arrived
                lost += [problem] if problem else []
            note = f"{whole:,} arrived whole, the others are one line"
            yield Result(f"download: {name}", number + 1, len(lost), note="; ".join([note, *lost[:3]]))


def _fetch(server: FileServer, url: str, target: Path, sha256: str | None, content: bytes) -> tuple[bool, str]:
    """Whether the file arrived, and what was wrong: other bytes at the target, at the end or on the way."""
    server.files[url.removeprefix(server.url)] = content
    target.parent.mkdir(parents=True, exist_ok=True)
    with _watching(target, content) as seen:
        try:
            fetch([url], sha256, target, offline="source: sample")
            problem = "" if target.read_bytes() == content else "a wrong file was accepted"
        except UserError as error:
            problem = "something stands at the target" if list(target.parent.iterdir()) else ""
            problem = problem or ("" if url in str(error) else f"the line is {error}")
    is_there = target.exists()
    target.unlink(missing_ok=True)
    return is_there, problem or (f"{seen[0]} bytes were visible" if seen else "")


@contextmanager
def _watching(target: Path, content: bytes) -> Iterator[list[int]]:
    """The sizes other than the whole that the target had meanwhile."""
    seen: list[int] = []
    ended = threading.Event()

    def watch() -> None:
        while not ended.wait(0.001):
            if target.exists() and (size := target.stat().st_size) != len(content):
                seen.append(size)

    watcher = threading.Thread(target=watch)
    watcher.start()
    try:
        yield seen
    finally:
        ended.set()
        watcher.join()


def _cut(offset: int, *_: Any) -> list[Answer]:
    return [Answer(cut=offset)]


def _cut_then_other_file(offset: int, content: bytes, server: FileServer) -> list[Answer]:
    """The rest comes from a file that changed meanwhile, under the ETag of the first."""
    rest = f"bytes {offset}-{SIZE - 1}/{SIZE}"
    return [Answer(cut=offset), Answer(headers={"Content-Range": rest.replace(str(offset), str(offset + 1), 1)})]


def _lasting(answer: Answer) -> Any:
    return lambda *_: [answer] * 200


def _length(change: int) -> Any:
    return lambda *_: [Answer(headers={"Content-Length": str(SIZE + change)})] * 30


FAULTS: dict[str, Any] = {
    "cut once": _cut,
    "cut four times": lambda offset, *_: [Answer(cut=offset), *[Answer(cut=number) for number in (0, 1, 2)]],
    "cut, and chunked": lambda offset, *_: [Answer(chunked=True, cut=offset)],
    "cut, then 416": lambda offset, *_: [Answer(cut=offset), Answer(status=416)],
    "cut, then 200 for 206": lambda offset, *_: [Answer(cut=offset), Answer(ignore_range=True)],
    "cut, then bytes from elsewhere": _cut_then_other_file,
    "cut, then another version": lambda offset, *_: [Answer(cut=offset), Answer(headers={"ETag": '"v2"'})],
    "cut, then silent": lambda offset, *_: [Answer(cut=offset), Answer(hold=True)],
    "length too great": _length(1),
    "length too small": _length(-1),
    "416 for all": _lasting(Answer(status=416)),
    "206 for 200": _lasting(Answer(status=206)),
    "redirected to itself": _lasting(Answer(status=302, headers={"Location": PATH})),
    "redirected to file:": _lasting(Answer(status=302, headers={"Location": "file:///etc/passwd"})),
    "redirected to ftp:": _lasting(Answer(status=302, headers={"Location": "ftp://127.0.0.1/file.bin"})),
    "slow drip": _lasting(Answer(pause=0.02)),
    "silent": _lasting(Answer(hold=True)),
}
SLOW = {"slow drip", "silent", "cut, then silent"}  # each waits for the patience to end
FAST: Sequence[str] = [name for name in FAULTS if name not in SLOW]


@contextmanager
def _project(folder: Path) -> Iterator[None]:
    """An empty project, where transfers neither rest between attempts nor wait long."""
    kept = {name: getattr(transfer, name) for name in ("WAIT", "PATIENCE_SECONDS", "PATIENCE_BYTES")}
    environment = dict(os.environ)
    os.environ["DVC_ROOT"] = str(folder)
    os.environ.pop("SCRATCHLM_MIRROR", None)
    transfer.WAIT, transfer.PATIENCE_SECONDS, transfer.PATIENCE_BYTES = wait_none(), 0.5, 500
    try:
        yield
    finally:
        os.environ.clear()
        os.environ.update(environment)
        for name, value in kept.items():
            setattr(transfer, name, value)
