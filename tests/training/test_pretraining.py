"""Pretraining: from shards and parameters to a model that predicts better than chance."""

import math
from pathlib import Path

from scratchlm.models.gpt import GPT
from scratchlm.training.checkpoint import Progress
from scratchlm.training.pretraining import PretrainingConfig, pretrain
from tests.tiny_model import greedy
from tests.training.conftest import ByteTokenizer, MemoryShards, tiny_config


def tiny_pretraining(shards: MemoryShards, folder: Path, **changes: object) -> tuple[GPT, Progress, dict[str, float]]:
    """Pretrain a tiny model for 40 steps on a few words, looked at twice."""
    text = "the cat sat on the mat. " * 40
    shards.vocab_size, shards.eot_id = 257, 256
    shards.splits = {
        "train": ByteTokenizer().encode_to_numpy(text),
        "val": ByteTokenizer().encode_to_numpy("the mat. " * 9),
    }
    shape = {"n_layer": 1, "n_head": 2, "n_embd": 16, "context_length": 8, "dropout": 0.0}
    config = PretrainingConfig.model_validate(
        tiny_config(eval_every_steps=20, learning_rate=3e-2, save_every_steps=20).model_dump()
        | shape
        | {"steps": 40, "batch_tokens": 64, "eval_tokens": 64, "strategy": "ddp", "sample_prompts": ["the "]}
        | {"sample": greedy(3)}
        | changes
    )
    return pretrain(config, shards, ByteTokenizer(), folder)


def test_a_model_is_trained_and_sampled(shards: MemoryShards, tmp_path: Path):
    model, progress, speed = tiny_pretraining(shards, tmp_path)
    assert progress.rows[-1]["val_loss"] < math.log(257) / 2
    assert [sample["step"] for sample in progress.samples] == [20, 40]
    assert {sample["prompt"] for sample in progress.samples} == {"the "}
    assert not model.training
    assert speed["steps_run"] == 40


def test_samples_differ_by_the_weights_alone(shards: MemoryShards, tmp_path: Path):
    drawn = greedy(20).model_copy(update={"temperature": 1.0})
    texts = {}
    for name, rate in {"moving": 3e-2, "still": 1e-30}.items():
        (tmp_path / name).mkdir()
        _, progress, _ = tiny_pretraining(shards, tmp_path / name, learning_rate=rate, sample=drawn)
        texts[name] = [sample["text"] for sample in progress.samples]
    assert len(texts["still"]) == len(texts["moving"]) == 2
    assert len(set(texts["still"])) == 1
    assert len(set(texts["moving"])) == 2


def test_dropout_learns_other_weights(shards: MemoryShards, tmp_path: Path):
    losses = []
    for dropout in (0.0, 0.5):
        (tmp_path / str(dropout)).mkdir()
        _, progress, _ = tiny_pretraining(shards, tmp_path / str(dropout), dropout=dropout)
        losses.append(progress.rows[-1]["train_loss"])
    assert losses[1] > losses[0] + 0.1
