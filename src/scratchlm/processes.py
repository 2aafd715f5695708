"""Which of the processes of a stage this one is, as torchrun says it in the environment; alone without torchrun."""

import os


def started_by_torchrun() -> bool:
    """Whether this process is one of those that torchrun started."""
    return "TORCHELASTIC_RUN_ID" in os.environ or {"RANK", "WORLD_SIZE", "LOCAL_RANK"} <= os.environ.keys()


def process_count() -> int:
    """How many processes run this stage, on all machines."""
    return int(os.environ["WORLD_SIZE"]) if started_by_torchrun() else 1


def processes_here() -> int:
    """How many of them run on this machine."""
    return int(os.environ.get("LOCAL_WORLD_SIZE", process_count())) if started_by_torchrun() else 1


def is_first_process() -> bool:
    """Whether this process locks, prints and writes: the others only help it."""
    return not started_by_torchrun() or int(os.environ["RANK"]) == 0


def local_rank() -> int:
    """The number of this process among those of this machine."""
    return int(os.environ["LOCAL_RANK"]) if started_by_torchrun() else 0
