"""A tiny GPT, tiny shards, and a training of them that takes milliseconds."""

from collections.abc import Callable, Sequence
from pathlib import Path

import numpy as np
import pytest
import torch

from scratchlm.models.gpt import GPT, GPTConfig
from scratchlm.training.batches import TokenBatches
from scratchlm.training.checkpoint import Progress
from scratchlm.training.evaluation import evaluate_tokens
from scratchlm.training.loop import TrainingConfig, train
from scratchlm.training.losses import language_model_loss

VOCAB, LENGTH, STEPS = 17, 8, 6


class MemoryShards:
    """Two splits in memory, with the reader's interface."""

    vocab_size, eot_id = VOCAB, VOCAB - 1

    def __init__(self) -> None:
        random = np.random.default_rng(0)
        self.splits = {"train": random.integers(VOCAB, size=500), "val": random.integers(VOCAB, size=75)}

    def token_count(self, split: str) -> int:
        return len(self.splits[split])

    def byte_count(self, split: str) -> int:
        return 4 * len(self.splits[split])

    def read(self, split: str, start: int, length: int) -> np.ndarray:
        return self.splits[split][start : start + length].astype(np.int64)


@pytest.fixture
def shards() -> MemoryShards:
    return MemoryShards()


def tiny_model(dropout: float = 0.2, seed: int = 1) -> GPT:
    config = GPTConfig(n_layer=2, n_head=2, n_embd=16, context_length=LENGTH, vocab_size=VOCAB, dropout=dropout)
    model = GPT(config)
    model.init_weights(seed)
    return model


def tiny_config(**changes: object) -> TrainingConfig:
    values = {
        "optimizer": "adamw",
        "learning_rate": 1e-2,
        "schedule": "cosine",
        "min_learning_rate_ratio": 0.1,
        "warmup_steps": 2,
        "weight_decay": 0.1,
        "beta1": 0.9,
        "beta2": 0.95,
        "max_grad_norm": 1.0,
        "seed": 3,
        "micro_batch_size": 2,
        "eval_every_steps": 2,
        "save_every_steps": 1,
        "patience_evals": None,
        "keep": "last",
        "compile": False,
        "skip_spikes": False,
        "precision": "float32",
    }
    return TrainingConfig.model_validate(values | changes)


Training = Callable[..., tuple[GPT, Progress]]


@pytest.fixture
def run_training(shards: MemoryShards, tmp_path: Path) -> Training:
    """Train a tiny model in a folder: `run_training(folder_name, steps=..., model=..., loss_fn=..., **config)`."""

    def run(
        name: str = "run",
        *,
        model: GPT | None = None,
        loss_fn=language_model_loss,
        evaluate=None,
        steps: int = STEPS,
        **changes,
    ):
        folder = tmp_path / name
        folder.mkdir(exist_ok=True)
        config = tiny_config(**changes)
        model = model or tiny_model()
        batches = TokenBatches(shards, LENGTH, 4 * LENGTH, config.micro_batch_size, config.seed)

        def evaluate_shards(model: GPT) -> dict[str, float]:
            return evaluate_tokens(model, shards, "val", LENGTH)

        def sample(model: GPT) -> list[dict[str, str]]:
            return [{"text": str(int(model(torch.zeros(1, 1, dtype=torch.long)).argmax()))}]

        progress, _ = train(model, batches, loss_fn, evaluate or evaluate_shards, config, steps, folder, sample)
        return model, progress

    return run


class ByteTokenizer:
    """Each byte is a token, and 256 ends a text: an exact tokenizer without files."""

    vocab_size, eot_id, sha256 = 257, 256, "0" * 64

    def encode(self, text: str) -> list[int]:
        return list(text.encode())

    def encode_to_numpy(self, text: str) -> np.ndarray:
        return np.array(self.encode(text), dtype=np.uint32)

    def decode(self, ids: Sequence[int]) -> str:
        return bytes(token for token in ids if token < 256).decode(errors="replace")


def byte_model(seed: int = 1, context_length: int = 256, n_layer: int = 2) -> GPT:
    config = GPTConfig(n_layer=n_layer, n_head=2, n_embd=16, context_length=context_length, vocab_size=257, dropout=0.0)
    model = GPT(config)
    model.init_weights(seed)
    return model
