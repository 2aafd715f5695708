"""Texts longer than the base can read are refused before anything trains."""

import pytest

from scratchlm.errors import UserError
from scratchlm.training.finetuning import check_length
from tests.training.conftest import byte_model


def test_the_message_names_the_limit_and_the_parameter():
    base = byte_model(context_length=64)
    check_length(64, "finetune_instruct.max_tokens", base, "tiny")
    message = r"max_tokens 65 exceeds the 64 positions of data/models/tiny; lower finetune_instruct\.max_tokens\."
    with pytest.raises(UserError, match=message):
        check_length(65, "finetune_instruct.max_tokens", base, "tiny")
