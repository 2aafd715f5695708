"""Texts longer than the base can read are refused before anything trains."""

import pytest

from scratchlm.errors import UserError
from scratchlm.models.lora import LoRAConfig
from scratchlm.training.finetuning import FinetuningConfig, check_length
from tests.training.conftest import byte_model, tiny_config


def config(max_tokens: int) -> FinetuningConfig:
    settings = {"base": "tiny", "lora": LoRAConfig(r=2, alpha=4.0), "dropout": 0.0, "epochs": 1, "batch_size": 4}
    return FinetuningConfig.model_validate(
        tiny_config().model_dump(exclude={"seed"}) | settings | {"max_tokens": max_tokens}
    )


def test_the_message_names_the_limit_and_the_parameter():
    base = byte_model(context_length=64)
    check_length(config(64), base, "finetune_instruct")
    message = r"max_tokens 65 exceeds the 64 positions of data/models/tiny; lower finetune_instruct\.max_tokens\."
    with pytest.raises(UserError, match=message):
        check_length(config(65), base, "finetune_instruct")
