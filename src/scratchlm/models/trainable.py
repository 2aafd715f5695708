"""Which parameters of a model train."""

from typing import Literal

from torch import nn

from scratchlm.models.classifier import GPTClassifier
from scratchlm.models.gpt import GPT

Part = Literal["all", "last_block", "head", "lora"]


def set_trainable(model: GPT | GPTClassifier, part: Part) -> list[str]:
    """Freeze all but `part` of the model and return the names of what trains.

    `last_block` is the last block, the final LayerNorm and the head; `head` the classifier's head; `lora` the matrices
    of `add_lora` and the classifier's head. The output layer of a GPT is its embedding and trains only with `all`.
    Frozen blocks below all that trains, and the embedding under them, run without dropout from now on: what they give
    for a text is then always the same.
    """
    trunk = model.trunk if isinstance(model, GPTClassifier) else model
    last_block = f"h.{len(trunk.h) - 1}."
    prefixes = {"all": ("",), "last_block": (last_block, "ln_f.", "score."), "head": ("score.",), "lora": ("score.",)}
    for name, parameter in model.named_parameters():
        is_lora = part == "lora" and ".lora_" in name
        parameter.requires_grad = is_lora or name.removeprefix("trunk.").startswith(prefixes[part])
    for block in trunk.h:
        if any(parameter.requires_grad for parameter in block.parameters()):
            break
        _disable_dropout(trunk.drop, block)
    trainable = [name for name, parameter in model.named_parameters() if parameter.requires_grad]
    assert trainable, f"{part} is no part of this {type(model).__name__}"
    return trainable


def _disable_dropout(*modules: nn.Module) -> None:
    for module in modules:
        for child in module.modules():
            if isinstance(child, nn.Dropout):
                child.p = 0.0
