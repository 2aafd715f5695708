"""Stages in processes forked from a warm one: a new process would spend seconds on imports."""

import multiprocessing
import os
import runpy
import subprocess
import sys
from collections.abc import Mapping
from multiprocessing.context import ForkServerContext
from pathlib import Path

OUTPUT, ERRORS = "stdout.txt", "stderr.txt"


def warm_context() -> ForkServerContext:
    """What starts the processes."""
    # Threads of the forking process would not survive in the forked one.
    for name, value in {"OMP_NUM_THREADS": "1", "TOKENIZERS_PARALLELISM": "false", "SCRATCHLM_WORKERS": "1"}.items():
        os.environ[name] = value
    context = multiprocessing.get_context("forkserver")
    context.set_forkserver_preload(["tests.faults.warm"])
    return context


def run_forked(
    folder: Path, logs: Path, stage: str, *arguments: str, **environment: str
) -> subprocess.CompletedProcess[str]:
    """Run a stage in a project folder as `python -m pipeline.STAGE` does; what it prints goes to files in `logs`."""
    process = warm_context().Process(target=_run, args=(folder, logs, stage, arguments, environment))
    process.start()
    process.join(timeout=240)
    if process.exitcode is None:
        process.kill()
        raise TimeoutError(f"{stage} did not end")
    output, errors = ((logs / name).read_text() for name in (OUTPUT, ERRORS))
    return subprocess.CompletedProcess([stage, *arguments], process.exitcode, output, errors)


def _run(folder: Path, logs: Path, stage: str, arguments: tuple[str, ...], environment: Mapping[str, str]) -> None:
    os.chdir(folder)
    os.environ.update(environment, DVC_ROOT=str(folder))
    for descriptor, name in ((1, OUTPUT), (2, ERRORS)):
        with (logs / name).open("wb") as log:
            os.dup2(log.fileno(), descriptor)
    sys.argv[1:] = arguments
    sys.modules.pop(f"pipeline.{stage}", None)  # runpy would warn of it
    runpy.run_module(f"pipeline.{stage}", run_name="__main__", alter_sys=True)
