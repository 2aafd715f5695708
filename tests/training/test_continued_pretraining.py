"""Pretraining continued: a base learns another corpus, and only what is named moves."""

from pathlib import Path

import pytest
import torch

from scratchlm.datasets.shards import TokenShards
from scratchlm.models.gpt import GPT
from scratchlm.models.lora import LoRAConfig
from scratchlm.training.continued_pretraining import ContinuedPretrainingConfig, continue_pretraining
from scratchlm.training.evaluation import evaluate_tokens
from tests.corpora import write_byte_tokenizer, write_shards
from tests.tiny_model import greedy
from tests.training.conftest import byte_model, tiny_config

TEXTS = ["the cat sat on the mat. " * 10] * 10


def config(**changes: object) -> ContinuedPretrainingConfig:
    values = tiny_config(eval_every_steps=4, learning_rate=1e-2, save_every_steps=4).model_dump() | {
        "base": "general",
        "strategy": "ddp",
        "weights": "pretrained",
        "tokens": "tokens",
        "names": [],
        "train": "all",
        "lora": LoRAConfig(r=2, alpha=4.0),
        "dropout": 0.0,
        "seq_len": 16,
        "steps": 12,
        "batch_tokens": 64,
        "eval_tokens": 64,
        "sample_prompts": ["the "],
        "sample": greedy(3),
    }
    return ContinuedPretrainingConfig.model_validate(values | changes)


@pytest.fixture
def corpus(tmp_path: Path) -> TokenShards:
    tokenizer = write_byte_tokenizer(tmp_path / "tokenizer")
    return TokenShards(write_shards(tmp_path / "tokens", tokenizer, {"train": TEXTS, "val": TEXTS[:1]}, 4_000))


def train_on(corpus: TokenShards, **changes: object) -> tuple[GPT, dict[str, torch.Tensor]]:
    folder = corpus.directory.with_name("work")
    folder.mkdir()
    model = byte_model(context_length=32)
    before = {name: tensor.clone() for name, tensor in model.state_dict().items()}
    tokenizer = write_byte_tokenizer(folder / "tokenizer")
    continue_pretraining(config(**changes), model, tokenizer, corpus, folder)
    return model.eval(), before


@pytest.mark.parametrize("part", ["all", "last_two_blocks", "last_block", "lora"])
def test_the_base_learns_the_corpus(corpus: TokenShards, part: str):
    model, before = train_on(corpus, train=part)
    base = byte_model(context_length=32)
    base.load_state_dict(before)
    losses = [evaluate_tokens(each.eval(), corpus, "val", 16)["val_loss"] for each in (base, model)]
    assert losses[1] < losses[0] - 0.05


@pytest.mark.parametrize(
    ("part", "moved"),
    [("last_block", ("h.1.", "ln_f.")), ("last_two_blocks", ("h.", "ln_f.")), ("lora", (".lora_",))],
)
def test_what_is_frozen_keeps_every_bit(corpus: TokenShards, part: str, moved: tuple[str, ...]):
    """With weight decay, momentum, and the best of several evaluations restored."""
    model, before = train_on(corpus, train=part, weight_decay=0.5, keep="best")
    for name, tensor in model.state_dict().items():
        trains = any(prefix in name for prefix in moved)
        assert trains != (name in before and torch.equal(tensor, before[name])), name
