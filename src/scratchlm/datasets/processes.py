"""One function called on the files of a corpus by several processes."""

import multiprocessing
import os
import signal
import threading
from collections.abc import Callable, Iterable
from concurrent.futures import ProcessPoolExecutor
from concurrent.futures.process import BrokenProcessPool
from typing import Any

from tqdm import tqdm

from scratchlm.errors import UserError


def run_on_files(what: str, function: Callable[..., None], jobs: Iterable[tuple[Any, ...]], processes: int) -> None:
    """Call a function with the arguments of every job, whose second is a corpus file, the largest file first.

    One process is this one.
    """
    jobs = sorted(jobs, key=lambda job: job[1]["bytes"], reverse=True)
    workers = min(processes, len(jobs))
    bar = {"desc": what, "total": len(jobs), "unit": "file", "disable": None}
    if workers <= 1:
        for job in tqdm(jobs, **bar):
            function(*job)
        return
    context = multiprocessing.get_context("spawn")
    with ProcessPoolExecutor(workers, context, _start_worker) as pool:
        try:
            for _ in tqdm(pool.map(function, *zip(*jobs, strict=True)), **bar):
                pass
        except BrokenProcessPool:
            raise UserError(
                f"one of {workers} tokenizing processes was killed; if memory ran out, set SCRATCHLM_WORKERS to fewer."
            ) from None
        except KeyboardInterrupt:
            for worker in multiprocessing.active_children():
                worker.kill()  # leaving the block would wait for the files that they have begun
            raise


def worker_count() -> int:
    """How many threads work at a time, in all processes together: $SCRATCHLM_WORKERS, else one a processor."""
    text = os.environ.get("SCRATCHLM_WORKERS")
    if text is None:
        return len(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else os.cpu_count() or 1
    if not text.isdecimal() or int(text) < 1:
        raise UserError(f"SCRATCHLM_WORKERS is {text!r}; it has to be a number of processors, 1 or more.")
    return int(text)


def _start_worker() -> None:
    """End without a traceback on Ctrl-C, and when the parent is gone: a killed stage leaves no writer behind."""
    signal.signal(signal.SIGINT, signal.SIG_DFL)
    parent = multiprocessing.parent_process()
    assert parent is not None
    threading.Thread(target=lambda: (parent.join(), os._exit(1)), daemon=True).start()
