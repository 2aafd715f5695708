"""How a model is spread over the processes that train it: copies (DDP) or shards (FSDP2), applied from outside."""

from collections.abc import Iterator
from contextlib import contextmanager
from copy import deepcopy
from typing import Any, Generic, Literal, TypeVar

import torch
import torch.distributed as dist
from torch import nn
from torch.nn.parallel import DistributedDataParallel

from scratchlm.models.gpt import Block
from scratchlm.training.ranks import world_size
from scratchlm.training.sharded_state import unsharded

Strategy = Literal["ddp", "fsdp"]
ModelT = TypeVar("ModelT", bound=nn.Module)


class ParallelModel(Generic[ModelT]):
    """A model as the processes of a training hold it.

    `trained` has the parameters that the optimizer moves: those of `model`, or this process's shards of them.
    `forward` is what the loss calls: its backward pass adds up the gradients of all processes.
    """

    def __init__(self, model: ModelT, trained: ModelT, forward: nn.Module) -> None:
        self.model, self.trained, self.forward = model, trained, forward

    @contextmanager
    def whole(self) -> Iterator[ModelT]:
        """The model with all its weights in every process, to be evaluated, sampled, saved."""
        self.gather()
        yield self.model
        if self.trained is not self.model:
            self.model.to("meta")

    @torch.no_grad()
    def gather(self) -> None:
        """Put the trained weights into the model where they are not the same."""
        if self.trained is not self.model:
            self.model.to_empty(device=next(self.trained.parameters()).device)
            for mine, shard in zip(self.model.parameters(), self.trained.parameters(), strict=True):
                mine.copy_(unsharded(shard))


def parallelize(model: ModelT, strategy: Strategy) -> ParallelModel[ModelT]:
    """The model on the processes of this group: a copy each (`ddp`), or shards of it (`fsdp`); alone, as it is.

    Gradients are summed, not averaged: a loss is already divided by the targets of the whole step.
    """
    if world_size() == 1:
        return ParallelModel(model, model, model)
    if strategy == "ddp":
        replica = DistributedDataParallel(model, gradient_as_bucket_view=True)
        replica.register_comm_hook(None, _sum_gradients)
        return ParallelModel(model, model, replica)
    shards = _shard(deepcopy(model))
    model.to("meta")
    return ParallelModel(model, shards, shards)


def _sum_gradients(
    state: None,
    bucket: dist.GradBucket,  # pyright: ignore[reportPrivateImportUsage]
) -> torch.futures.Future[torch.Tensor]:
    work: Any = dist.all_reduce(bucket.buffer(), async_op=True)
    return work.get_future().then(lambda done: done.value()[0])


def _shard(model: ModelT) -> ModelT:
    """Every block is a unit of its own, whose weights are whole only while it is computed."""
    from torch.distributed.device_mesh import init_device_mesh
    from torch.distributed.fsdp import FSDPModule, fully_shard  # three quarters of a second, for one process in vain

    mesh = init_device_mesh(next(model.parameters()).device.type, (world_size(),))
    for unit in [*(module for module in model.modules() if isinstance(module, Block)), model]:
        fully_shard(unit, mesh=mesh)
    for module in model.modules():
        if isinstance(module, FSDPModule):
            module.set_gradient_divide_factor(1.0)
            module.set_force_sum_reduction_for_comms(True)  # gloo knows no product before the sum
    return model


def sync_gradients(forward: nn.Module, sync: bool) -> None:
    """Whether the next backward pass of copies adds up gradients: in a step only the last one has to."""
    if isinstance(forward, DistributedDataParallel):
        forward.require_backward_grad_sync = sync
