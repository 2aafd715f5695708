"""Pretraining continued: a base model, or a part of it, trains on with the tokens of another corpus."""

from pathlib import Path
from typing import Literal

from pydantic import Field, ValidationInfo, field_validator

from scratchlm.datasets.shards import TokenShards
from scratchlm.datasets.tokenizers import Tokenizer
from scratchlm.models.gpt import GPT
from scratchlm.models.lora import LoRAConfig, add_lora
from scratchlm.models.trainable import GPTPart, set_trainable
from scratchlm.training.checkpoint import Progress
from scratchlm.training.evaluation import BATCH_TOKENS
from scratchlm.training.finetuning import name_one_new_folder
from scratchlm.training.memory import check_memory
from scratchlm.training.pretraining import TokenTrainingConfig, train_on_tokens


class ContinuedPretrainingConfig(TokenTrainingConfig):
    """Which base and which part of it train, on windows of `seq_len` tokens, into which folder.

    `tokens` is the folder of data with the shards, `names` is empty or holds the folder of data/models to make. With
    `weights: random` the base gives only the shape and the tokenizer; `lora` counts where LoRA trains.
    """

    base: str
    weights: Literal["pretrained", "random"]
    tokens: str
    names: list[str]
    train: GPTPart
    lora: LoRAConfig
    dropout: float = Field(ge=0, lt=1)
    seq_len: int = Field(gt=0)

    @field_validator("names")
    @classmethod
    def _name_one_new_folder(cls, names: list[str], info: ValidationInfo) -> list[str]:
        return name_one_new_folder(names, info.data.get("base"))


def continue_pretraining(
    config: ContinuedPretrainingConfig, model: GPT, tokenizer: Tokenizer, shards: TokenShards, folder: Path
) -> tuple[Progress, dict[str, float]]:
    """Train the base in place, resuming from `folder`; return what was recorded and the run's speed.

    Of several processes only the first returns.
    """
    if config.train == "lora":
        add_lora(model, config.lora, config.seed)
    set_trainable(model, config.train)
    shape = (config.micro_batch_size, config.seq_len)
    device = next(model.parameters()).device
    check_memory("continue_pretraining", model, device, *shape, config.precision, BATCH_TOKENS, shards=config.shards)
    return train_on_tokens(model, config, config.seq_len, shards, tokenizer, folder)
