"""Weights and optimizer state that processes hold in shards: one safetensors file a process, no pickle.

They go through torch.distributed.checkpoint, so that any number of processes, one too, reads what any number wrote.
It is imported where it is used: that takes three quarters of a second, for most trainings in vain.
"""

import warnings
from collections.abc import Mapping
from pathlib import Path

import torch
from torch import nn
from torch.optim import Optimizer

from scratchlm.training.ranks import world_size


def is_sharded(model: nn.Module) -> bool:
    """Whether this process holds no more than shards of the parameters."""
    return any(hasattr(parameter, "full_tensor") for parameter in model.parameters())


def unsharded(tensor: torch.Tensor) -> torch.Tensor:
    """The whole of a tensor that the processes hold in shards, if all of them ask for it; any other as it is."""
    full_tensor = getattr(tensor, "full_tensor", None)
    return full_tensor() if full_tensor else tensor


def save_shards(folder: Path, tensors: Mapping[str, torch.Tensor]) -> None:
    """Write what this process holds of the tensors; every process of the group has to call this."""
    from torch.distributed.checkpoint.api import CheckpointException
    from torch.distributed.checkpoint.hf_storage import HuggingFaceStorageWriter
    from torch.distributed.checkpoint.state_dict_saver import save

    writer = HuggingFaceStorageWriter(str(folder), save_distributed=True)
    try:
        save(dict(tensors), storage_writer=writer)
    except CheckpointException as error:
        raise next(iter(error.failures.values()))[0] from None  # such as that of a full disk


def load_shards(folder: Path, parameters: Mapping[str, torch.Tensor], optimizer: Optimizer) -> dict[str, torch.Tensor]:
    """Read the parameters in place, and return the optimizer's tensors, `INDEX.NAME`, sharded as the parameters are.

    The files may hold shards or whole tensors.
    """
    from torch.distributed.checkpoint.hf_storage import HuggingFaceStorageReader
    from torch.distributed.checkpoint.state_dict_loader import load

    owners = [parameter for group in optimizer.param_groups for parameter in group["params"]]
    reader = HuggingFaceStorageReader(str(folder))
    tensors = {}
    for key, entry in reader.read_metadata().state_dict_metadata.items():
        if key in parameters:
            tensors[key] = parameters[key].detach()
        else:
            owner = owners[int(key.split(".")[0])]
            shape = entry.size  # pyright: ignore[reportAttributeAccessIssue]
            tensors[key] = torch.zeros_like(owner) if shape == owner.shape else torch.zeros(shape)
    assert parameters.keys() <= tensors.keys()
    with warnings.catch_warnings():
        warnings.filterwarnings("ignore", "torch.distributed is disabled", UserWarning)  # one process is no mistake
        load(tensors, storage_reader=reader, no_dist=world_size() == 1)
    return {key: tensor for key, tensor in tensors.items() if key not in parameters}
