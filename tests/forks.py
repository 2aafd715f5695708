"""Stages in processes forked from a warm one: a new process would spend seconds on imports."""

import multiprocessing
import os
import runpy
import subprocess
import sys
import tempfile
from collections.abc import Mapping
from contextlib import suppress
from functools import cache
from multiprocessing import forkserver
from multiprocessing.context import ForkServerContext
from pathlib import Path

import pytest

from tests.closure import ROOT

PATHS = os.pathsep.join([str(ROOT), str(ROOT / "src")])
# Threads of the forking process would not survive in the forked one.
ONE_THREAD = {"OMP_NUM_THREADS": "1", "TOKENIZERS_PARALLELISM": "false", "SCRATCHLM_WORKERS": "1"}
OUTPUT, ERRORS = "stdout.txt", "stderr.txt"
WARM = "tests.warm"


@cache
def warm_context() -> ForkServerContext:
    """What starts the processes; nothing of what a test has set for DVC or a stage reaches them through it."""
    context = multiprocessing.get_context("forkserver")
    context.set_forkserver_preload([WARM])
    with pytest.MonkeyPatch.context() as patch:
        for name in [name for name in os.environ if name.startswith(("DVC", "SCRATCHLM"))]:
            patch.delenv(name)
        for name, value in {"PYTHONPATH": PATHS, **ONE_THREAD}.items():
            patch.setenv(name, value)
        forkserver.ensure_running()
    return context


class ForkedStage:
    """A stage at work in a project folder, as `python -m pipeline.STAGE` starts it; what it prints goes to files."""

    def __init__(self, folder: Path, stage: str, arguments: tuple[str, ...], environment: Mapping[str, str]) -> None:
        self.command = [stage, *arguments]
        self._logs = tempfile.TemporaryDirectory()
        logs = [Path(self._logs.name) / name for name in (OUTPUT, ERRORS)]
        for log in logs:
            log.touch()
        self._process = warm_context().Process(target=_run, args=(folder, logs, stage, arguments, dict(environment)))
        self._process.start()

    @property
    def pid(self) -> int:
        """The number of its process."""
        assert self._process.pid is not None
        return self._process.pid

    def is_running(self) -> bool:
        """Whether it has not ended yet."""
        return self._process.is_alive()

    def send_signal(self, number: int) -> None:
        """What `kill -NUMBER` does, and nothing if it has ended."""
        with suppress(ProcessLookupError):
            os.kill(self.pid, number)

    def wait(self, timeout_seconds: float = 240) -> subprocess.CompletedProcess[str]:
        """Its exit code, minus the number of the signal that killed it, and what it printed; TimeoutError kills it."""
        self._process.join(timeout_seconds)
        code = self._process.exitcode
        if code is None:
            self._process.kill()
            self._process.join()
        with self._logs as logs:
            output, errors = ((Path(logs) / name).read_text() for name in (OUTPUT, ERRORS))
        if code is None:
            raise TimeoutError(f"{' '.join(self.command)} did not end; it said: {errors}")
        return subprocess.CompletedProcess(self.command, code, output, errors)


def _run(
    folder: Path, logs: list[Path], stage: str, arguments: tuple[str, ...], environment: Mapping[str, str]
) -> None:
    assert WARM in sys.modules, "the process that forks could not import the stages"
    os.chdir(folder)
    os.environ.clear()
    os.environ.update({**ONE_THREAD, **environment})
    for descriptor, log in enumerate(logs, start=1):
        with log.open("wb") as file:
            os.dup2(file.fileno(), descriptor)
    sys.argv[1:] = arguments
    sys.modules.pop(f"pipeline.{stage}", None)  # runpy would warn of it
    runpy.run_module(f"pipeline.{stage}", run_name="__main__", alter_sys=True)
