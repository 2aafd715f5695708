"""The processes that train one model together, and what they tell each other; one process alone has nobody to ask."""

import gc
import sys
import traceback
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from datetime import timedelta

import torch
import torch.distributed as dist

from scratchlm.errors import UserError
from scratchlm.processes import is_first_process, process_count
from scratchlm.training.device import pick_device
from scratchlm.training.signals import StopRequest, ended_by_signals, stop_on_signal

BACKENDS = {"cuda": "nccl"}  # gloo for every other device
PATIENCE = timedelta(hours=1)  # while the first process samples and saves; torchrun sees at once that one has ended


@contextmanager
def process_group() -> Iterator[None]:
    """Within the block the processes of a stage work together; after it only the first goes on, the others end here.

    The first enters last: the others wait until it has read what the stage reads, and locked its work folder. A signal
    ends one that waits: it has nothing to save yet.
    """
    if process_count() == 1:
        yield
        return
    device = pick_device()
    if device.type == "cuda":
        torch.cuda.set_device(device)
    with ended_by_signals():
        dist.init_process_group(BACKENDS.get(device.type, "gloo"), timeout=PATIENCE)
    try:
        barrier()
        yield
    except RuntimeError as error:
        if not is_lost_connection(error):
            raise
        raise UserError(
            "another process of this training has ended; look for what it said, and run again: it goes on from the "
            "last checkpoint."
        ) from None
    finally:
        _leave_group()
    if not is_first_process():
        sys.exit(0)


def _leave_group() -> None:
    """End the group, after DDP, whose end would be that of the group: that waits for threads while Python is locked,
    and they may wait for that lock. DDP lives as long as the frames of an exception and what refers to itself.
    """
    error = sys.exception()
    with stop_on_signal() as stop:  # an interrupt in what the collector calls would be lost, with a traceback
        context = error
        while context:
            traceback.clear_frames(context.__traceback__)
            context = context.__context__
        gc.collect()
        dist.destroy_process_group()
    if stop.received and error is None:
        raise KeyboardInterrupt


@contextmanager
def stopping_with_others(stop: StopRequest) -> Iterator[None]:
    """Within the block, another process that went away after a signal is an interrupt: a second one has ended it."""
    try:
        yield
    except RuntimeError as error:
        # Python handles a signal that came while it waited for the others only now, as it calls the function.
        if is_lost_connection(error) and stop.received:
            raise KeyboardInterrupt from None
        raise


def is_lost_connection(error: RuntimeError) -> bool:
    """Whether another process went away while this one waited for it."""
    return isinstance(error, dist.DistError) or "gloo/transport" in str(error)


def rank() -> int:
    """The number of this process within the group, 0 without one."""
    return dist.get_rank() if dist.is_initialized() else 0


def world_size() -> int:
    """The number of processes in the group, 1 without one."""
    return dist.get_world_size() if dist.is_initialized() else 1


def barrier() -> None:
    """Wait until every process is here."""
    if world_size() > 1:
        sum_over_ranks([0.0])


def on_any_rank(flag: bool) -> bool:
    """Whether the flag is set in at least one process: the same answer in all of them."""
    return flag if world_size() == 1 else sum_over_ranks([float(flag)])[0] > 0


def sum_over_ranks(values: Sequence[float]) -> list[float]:
    """The sums of these numbers over the processes, in float64."""
    if world_size() == 1:
        return list(values)
    total = torch.tensor(values, dtype=torch.float64, device=pick_device())
    dist.all_reduce(total)
    return total.tolist()


def from_first_rank(value: int) -> int:
    """The number that the first process has."""
    return value if world_size() == 1 else int(sum_over_ranks([value if rank() == 0 else 0])[0])


def gather_step(losses: Sequence[torch.Tensor], norm: torch.Tensor) -> torch.Tensor:
    """The losses of all micro-batches of a step in order, of which this process has every world_size-th, and the norm.

    The norm is that of the first process: all of them then decide alike.
    """
    if world_size() == 1:
        return torch.stack([*losses, norm])
    step = norm.new_zeros(len(losses) * world_size() + 1)
    step[rank() : -1 : world_size()] = torch.stack(list(losses))
    if rank() == 0:
        step[-1] = norm
    dist.all_reduce(step)
    return step
