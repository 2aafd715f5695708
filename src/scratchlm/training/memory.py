"""The memory that a training needs, estimated from shapes before it starts, and refused where it cannot fit."""

from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Literal

import psutil
import torch
from torch import nn

from scratchlm.errors import UserError
from scratchlm.models.classifier import GPTClassifier
from scratchlm.models.gpt import GPT
from scratchlm.models.trainable import count_frozen_blocks
from scratchlm.processes import processes_here

FLOAT, BFLOAT16 = 4, 2  # bytes
MOMENTS = 2  # of AdamW for each weight that trains; no optimizer here keeps more
# What backward needs of a block, in numbers of n_embd a token (counted with saved_tensors_hooks): the residual stream
# twice, in float32, and in the precision of the matrix products two normalised inputs, query, key, value, their
# average, and the MLP's 4 before and after GELU.
RESIDUAL, SAVED = 2, 2 + 3 + 1 + 4 + 4
READ_RESIDUAL, READ_SAVED = 1, 1 + 2  # of a block that is read at one column: but for keys and values, no other counts
DROPOUT_MASKS, DROPPED_SCORES = 2, 3  # with dropout, more of n_embd, and what attention keeps of heads x seq_len
WORKING = 9  # numbers of n_embd that a block needs while it is computed, forward or back
LOGITS, EVALUATED_LOGITS = 3, 2  # copies of the logits: with log-probabilities and gradient; without the gradient
LOGITS_ON_CPU = 2  # there log-probabilities and gradient take the memory of the logits; a product may copy them once
RUNTIME = 100_000_000  # bytes that the libraries take at the first step


@dataclass(frozen=True)
class MemoryEstimate:
    """Bytes, by what they are for: those of tensors in use. The heap of a CPU may keep as much again of freed ones."""

    weights: int
    gradients: int
    optimizer: int
    activations: int
    logits: int
    features: int = 0
    runtime: int = RUNTIME

    @property
    def total(self) -> int:
        """All that must be there at once."""
        return sum(vars(self).values())

    def __str__(self) -> str:
        return ", ".join(f"{name} {_gigabytes(count)}" for name, count in vars(self).items() if count)


def estimate_memory(
    model: GPT | GPTClassifier,
    micro_batch_size: int,
    seq_len: int,
    precision: Literal["float32", "bfloat16"],
    evaluated_tokens: int = 0,
    features: int = 0,
    shards: int = 1,
    device_type: str = "cpu",
) -> MemoryEstimate:
    """What a training of `model` needs, which may stand on the device `meta`: its shapes and what trains count.

    `evaluated_tokens` is how many logits an evaluation makes at once, where those are more; `features` are the bytes
    that are kept of what frozen blocks give. With `shards` it is what one of so many processes needs, which hold a
    share each, and all weights where the model is made or evaluated.
    """
    trunk = model.trunk if isinstance(model, GPTClassifier) else model
    config, tokens = trunk.config, micro_batch_size * seq_len
    parameters = [(parameter.numel(), parameter.requires_grad) for parameter in model.parameters()]
    weights, trainable = sum(n for n, _ in parameters), sum(n for n, trains in parameters if trains)
    width = FLOAT if precision == "float32" else BFLOAT16
    a_block, working = config.n_embd * (RESIDUAL * FLOAT + SAVED * width), config.n_embd * WORKING * FLOAT
    if any(module.p > 0 for module in trunk.h.modules() if isinstance(module, nn.Dropout)):
        scores = DROPPED_SCORES * config.n_head * seq_len * FLOAT
        a_block, working = a_block + config.n_embd * DROPOUT_MASKS * FLOAT + scores, working + scores
    blocks, last_block = len(trunk.h) - count_frozen_blocks(trunk), 0  # those that backward goes through
    if blocks and isinstance(model, GPTClassifier) and model.readout.position != "mean":
        blocks, last_block = blocks - 1, config.n_embd * (READ_RESIDUAL * FLOAT + READ_SAVED * width)
    copies = LOGITS_ON_CPU if device_type == "cpu" else LOGITS
    logits = 0 if isinstance(model, GPTClassifier) else max(copies * tokens, EVALUATED_LOGITS * evaluated_tokens)
    share = weights // shards if shards > 1 else 0
    return MemoryEstimate(
        weights=share * FLOAT + weights * (FLOAT if precision == "float32" else FLOAT + BFLOAT16),  # autocast's copy
        gradients=trainable * FLOAT // shards,
        optimizer=trainable * MOMENTS * FLOAT // shards,
        activations=tokens * (blocks * a_block + last_block + working),
        logits=logits * config.vocab_size * FLOAT,
        features=features,
    )


def check_memory(
    stage: str,
    model: GPT | GPTClassifier,
    device: torch.device,
    micro_batch_size: int,
    seq_len: int,
    precision: Literal["float32", "bfloat16"],
    evaluated_tokens: int = 0,
    features: int = 0,
    shards: int = 1,
    texts: int = 1,
) -> None:
    """UserError if what the training needs, but for weights that are there, exceeds the free memory of `device`.

    Processes of one machine have equal parts of its memory, and each an accelerator of its own. An example of a
    micro-batch has so many `texts`.
    """
    rows = texts * micro_batch_size
    estimate = estimate_memory(model, rows, seq_len, precision, evaluated_tokens, features, shards, device.type)
    there = sum(tensor.numel() * FLOAT for tensor in model.parameters() if tensor.device.type == device.type)
    needed = estimate.total - there
    if needed > (free := free_memory(device)):
        raise UserError(
            f"{stage} with micro_batch_size {micro_batch_size} of {texts * seq_len} tokens needs about "
            f"{_gigabytes(needed)} of memory ({estimate}), but {_gigabytes(free)} are free; "
            f"lower {stage}.micro_batch_size or take a smaller model."
        )


def free_memory(device: torch.device) -> int:
    """Bytes that can still be used: of an accelerator with memory of its own, else of this machine and container."""
    module = torch.get_device_module(device)
    if device.type != "cpu" and hasattr(module, "mem_get_info"):
        return module.mem_get_info(device)[0]
    return min([psutil.virtual_memory().available, *cgroup_rooms()]) // processes_here()


def cgroup_rooms(root: Path = Path("/")) -> Iterator[int]:
    """What each control group around this process still allows, in bytes; file cache that can be dropped is free."""
    membership = root / "proc/self/cgroup"
    for line in membership.read_text().splitlines() if membership.exists() else []:
        _, controllers, path = line.split(":", 2)
        if controllers == "":
            top, limit, usage, cache = root / "sys/fs/cgroup", "memory.max", "memory.current", "inactive_file"
        elif "memory" in controllers.split(","):
            top, limit, usage = root / "sys/fs/cgroup/memory", "memory.limit_in_bytes", "memory.usage_in_bytes"
            cache = "total_inactive_file"
        else:
            continue
        group = top / path.lstrip("/")
        for folder in [group, *group.parents]:
            if folder.is_relative_to(top) and (folder / limit).exists():
                yield from _room(folder / limit, folder / usage, folder / "memory.stat", cache)


def _room(limit: Path, usage: Path, statistics: Path, cache: str) -> Iterator[int]:
    if (most := limit.read_text().strip()) != "max":
        counts = dict(line.split() for line in statistics.read_text().splitlines())
        yield int(most) - int(usage.read_text()) + int(counts[cache])


def _gigabytes(count: int) -> str:
    return f"{count / 1e9:,.2f} GB"
