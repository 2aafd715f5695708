"""Calls in child processes, forked from this one: with a limit of memory and time, and nothing to reach outside."""

import json
import os
import resource
import signal
import sys
import tempfile
from collections.abc import Callable, Iterator, Sequence
from pathlib import Path
from typing import Any

from scratchlm.errors import UserError

MEMORY = 10**9  # bytes more of address space than this process has
SECONDS = 10  # of a processor, for one call
BATCH = 20  # calls in one child
# Events of sys.addaudithook that no reader has a reason for: other programs, other machines, objects that are code.
FORBIDDEN = (
    "subprocess.",
    "os.system",
    "os.exec",
    "os.posix_spawn",
    "os.fork",
    "pty.",
    "socket.",
    "pickle.",
    "ctypes.dlopen",
)

Call = tuple[Callable[[], object], Path]  # what is called, and the one folder that it may write in


def call_in_children(calls: Sequence[Call]) -> Iterator[str]:
    """How each call ended: `read`, `refused: MESSAGE` for a UserError, else what must not happen."""
    start = 0
    while start < len(calls):
        outcomes = _call_batch(calls[start : start + BATCH])
        yield from outcomes
        start += len(outcomes)


def _call_batch(calls: Sequence[Call]) -> list[str]:
    """The outcomes of calls in one child, up to the one that ended it."""
    reader, writer = os.pipe()
    if (pid := os.fork()) == 0:
        os.close(reader)
        try:
            with os.fdopen(writer, "w", encoding="utf-8") as pipe:
                places = _enclose()
                for function, folder in calls:
                    os.chdir(folder)
                    places[:] = [f"{folder.resolve()}{os.sep}"]
                    signal.setitimer(signal.ITIMER_PROF, SECONDS)
                    print(json.dumps(_call(function)), file=pipe, flush=True)
        finally:
            os._exit(0)
    os.close(writer)
    with os.fdopen(reader, encoding="utf-8") as pipe:
        outcomes = [json.loads(line) for line in pipe]
    _, status = os.waitpid(pid, 0)
    if len(outcomes) < len(calls):
        number = os.WTERMSIG(status)
        ending = f"more than {SECONDS} s" if number == signal.SIGPROF else f"it ended its process: {status}"
        outcomes.append(ending)
    return outcomes


def _call(function: Callable[[], object]) -> str:
    try:
        function()
    except UserError as error:
        return f"refused: {error}"
    except BaseException as error:  # a panic of Rust code too
        return f"{type(error).__name__}: {error}"[:10_000]
    return "read"


def _enclose() -> list[str]:
    """Set the limits of this process; returns the list of the folders that it may write in, which can be changed."""
    os.dup2(os.open(os.devnull, os.O_WRONLY), 2)  # where Rust tells about its panics
    size = int(Path("/proc/self/statm").read_text().split()[0]) * resource.getpagesize()
    resource.setrlimit(resource.RLIMIT_AS, (size + MEMORY, size + MEMORY))
    resource.setrlimit(resource.RLIMIT_CORE, (0, 0))
    signal.signal(signal.SIGPROF, signal.SIG_DFL)
    places: list[str] = []
    always = (f"{tempfile.gettempdir()}{os.sep}tmp", f"{os.sep}dev{os.sep}")

    def watch(event: str, arguments: tuple[Any, ...]) -> None:
        if event.startswith(FORBIDDEN):
            raise SystemExit(f"it did {event}")
        if event == "open" and isinstance(arguments[0], str | bytes) and _writes(arguments[1], arguments[2]):
            path = os.path.realpath(os.fsdecode(arguments[0]))
            if not path.startswith((*places, *always)):
                raise SystemExit(f"it wrote {path}")

    sys.addaudithook(watch)
    return places


def _writes(mode: str | None, flags: int) -> bool:
    return bool(flags & (os.O_WRONLY | os.O_RDWR)) or any(letter in (mode or "") for letter in "wax+")
