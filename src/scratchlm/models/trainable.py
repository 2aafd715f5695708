"""Which parameters of a model train."""

from typing import Literal

from torch import nn

from scratchlm.errors import UserError
from scratchlm.models.classifier import GPTClassifier
from scratchlm.models.gpt import GPT

GPTPart = Literal["all", "last_two_blocks", "last_block", "lora"]
Part = Literal[GPTPart, "head"]
TOP_BLOCKS = {"last_two_blocks": 2, "last_block": 1}


def set_trainable(model: GPT | GPTClassifier, part: Part) -> list[str]:
    """Freeze all but `part` of the model and return the names of what trains.

    `last_block` is the last block, the final LayerNorm and the head, `last_two_blocks` one more block; `head` the
    classifier's head; `lora` the matrices of `add_lora` and the classifier's head. The output layer of a GPT is its
    embedding and trains only with `all`. UserError if the model has no two blocks.
    Frozen blocks below all that trains, and the embedding under them, run without dropout from now on: what they give
    for a text is then always the same.
    """
    trunk = model.trunk if isinstance(model, GPTClassifier) else model
    prefixes = _prefixes(part, len(trunk.h))
    for name, parameter in model.named_parameters():
        is_lora = part == "lora" and ".lora_" in name
        parameter.requires_grad = is_lora or name.removeprefix("trunk.").startswith(prefixes)
    for block in trunk.h[: count_frozen_blocks(trunk)]:
        _disable_dropout(trunk.drop, block)
    trainable = [name for name, parameter in model.named_parameters() if parameter.requires_grad]
    assert trainable, f"{part} is no part of this {type(model).__name__}"
    return trainable


def count_frozen_blocks(trunk: GPT) -> int:
    """How many blocks stand below all that trains; 0 if an embedding does."""
    if trunk.wte.weight.requires_grad:
        return 0
    trains = [any(parameter.requires_grad for parameter in block.parameters()) for block in trunk.h]
    return trains.index(True) if any(trains) else len(trains)


def _prefixes(part: Part, n_layer: int) -> tuple[str, ...]:
    """How the names of what trains begin, LoRA's matrices apart."""
    if part == "all":
        return ("",)
    if part in {"head", "lora"}:
        return ("score.",)
    if (count := TOP_BLOCKS[part]) > n_layer:
        raise UserError(f"the model has {n_layer} block, so {part} cannot train; set train: last_block.")
    return (*(f"h.{index}." for index in range(n_layer - count, n_layer)), "ln_f.", "score.")


def _disable_dropout(*modules: nn.Module) -> None:
    for module in modules:
        for child in module.modules():
            if isinstance(child, nn.Dropout):
                child.p = 0.0
