"""What the trainings of a base share: parameters of fine-tuning, the folder to make, the check of what it can read."""

import re

from pydantic import Field

from scratchlm.errors import UserError
from scratchlm.models.gpt import GPT
from scratchlm.models.lora import LoRAConfig
from scratchlm.training.loop import LoopConfig


class FinetuningConfig(LoopConfig):
    """Which base trains, how long, and on texts of which length; `lora` counts where LoRA trains."""

    base: str
    lora: LoRAConfig
    dropout: float = Field(ge=0, lt=1)
    epochs: int = Field(gt=0)
    batch_size: int = Field(gt=0)
    max_tokens: int = Field(gt=0)


def check_length(length: int, param: str, base: GPT, name: str) -> None:
    """UserError if the parameter asks for more tokens at a time than the base of this name can read."""
    if length > base.config.context_length:
        raise UserError(
            f"{param.split('.')[-1]} {length} exceeds the {base.config.context_length} positions of "
            f"data/models/{name}; lower {param}."
        )


def name_one_new_folder(names: list[str], base: str | None) -> list[str]:
    """The names of a matrix over the one folder of data/models that a training makes; ValueError for the schema."""
    if len(names) > 1:
        raise ValueError("must hold at most one name: all would be the same model")
    if not all(re.fullmatch(r"[A-Za-z0-9][A-Za-z0-9._-]*", name) for name in names):
        raise ValueError("must hold the name of a folder: letters, digits, `.`, `_` and `-`")
    if base in names:
        raise ValueError("must not hold the base, which it would overwrite")
    return names
