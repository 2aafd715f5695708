"""A training stage in several processes: under torchrun, or under plain python as $SCRATCHLM_PROCESSES says."""

import logging
import os
import sys
import time
from collections.abc import Callable, Mapping

from scratchlm.processes import local_rank, started_by_torchrun
from scratchlm.stages import run_stage

PROCESSES = "SCRATCHLM_PROCESSES"
SECONDS_TO_SPEAK = 60  # that the first process of a machine has to say what went wrong in all of them
SECONDS_TO_SAVE = 600  # after a signal, before what still runs is killed


def run_parallel_stage(stage: str, main: Callable[[], Mapping[str, float] | None], *items: str) -> None:
    """`run_stage` in $SCRATCHLM_PROCESSES processes of this machine, or as one of those that torchrun started.

    The command of the stage is the same for any number, so that a lock made with eight is valid with one.
    """
    count = os.environ.get(PROCESSES, "1")
    if not count.isdecimal() or int(count) < 1:
        sys.exit(f"{stage}: {PROCESSES} is {count!r}; set it to the number of processes, or leave it out.")
    if int(count) > 1 and not started_by_torchrun():
        sys.exit(_start_processes(int(count), f"pipeline.{stage}", *items))
    try:
        run_stage(stage, main, *items, parallel=True)
    except SystemExit as end:
        if isinstance(end.code, str) and local_rank() > 0:
            time.sleep(SECONDS_TO_SPEAK)  # most errors are those of all: when the first has ended, the others are ended
        raise


def _start_processes(count: int, module: str, *arguments: str) -> int:
    """What `torchrun --standalone --nproc-per-node=COUNT -m MODULE` does, without its report; the exit code."""
    from torch.distributed.elastic.multiprocessing import SignalException
    from torch.distributed.elastic.multiprocessing.errors import ChildFailedError
    from torch.distributed.launcher.api import LaunchConfig, elastic_launch

    logging.disable(logging.ERROR)  # of torch's loggers, each of which has a level of its own
    os.environ.setdefault("OMP_NUM_THREADS", str(max(1, (os.cpu_count() or 1) // count)))
    config = LaunchConfig(
        min_nodes=1,
        max_nodes=1,
        nproc_per_node=count,
        run_id=str(os.getpid()),
        rdzv_backend="c10d",
        rdzv_endpoint="127.0.0.1:0",
        max_restarts=0,
        shutdown_timeout=SECONDS_TO_SAVE,
    )
    try:
        elastic_launch(config, sys.executable)("-m", module, *arguments)
    except ChildFailedError as error:
        code = error.get_first_failure()[1].exitcode
        return code if code > 0 else 1  # below 0: the number of the signal that killed it
    except SignalException:
        return 130
    return 0
