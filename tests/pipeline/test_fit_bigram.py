"""The stage fit_bigram, as DVC runs it."""

import pytest

from scratchlm.artifacts import read_json
from scratchlm.baselines.bigram import BigramConfig, fit_bigram
from scratchlm.datasets.shards import TokenShards
from tests.conftest import Workspace
from tests.corpora import write_byte_tokenizer, write_shards


def test_metrics_are_those_of_the_bigram(workspace: Workspace):
    tokenizer = write_byte_tokenizer(workspace.path / "data/tokenizer")
    texts = {"train": ["the cat sat on the mat"] * 9, "val": ["the mat"]}
    folder = write_shards(workspace.path / "data/tokens", tokenizer, texts, shard_tokens=10**6)
    workspace.set("fit_bigram.sample_tokens", 150)
    assert workspace.run("fit_bigram").returncode == 0
    metrics = read_json(workspace.path / "metrics/fit_bigram.json")
    assert metrics == pytest.approx(fit_bigram(TokenShards(folder), BigramConfig(sample_tokens=150)))
    assert set(metrics) >= {"val_loss", "val_perplexity", "val_bits_per_byte", "val_tokens"}
