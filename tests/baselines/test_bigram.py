"""The bigram baseline against counting in plain Python."""

import math
from collections import Counter
from itertools import pairwise
from pathlib import Path

import numpy as np
import pytest

from scratchlm.baselines import bigram
from scratchlm.baselines.bigram import BigramConfig, bigram_loss, count_pairs, fit_bigram
from scratchlm.datasets.shards import TokenShards
from scratchlm.errors import UserError
from tests.corpora import read_all, write_byte_tokenizer, write_shards

CONFIG = BigramConfig(sample_tokens=500)
TRAIN = ["the cat sat on the mat and the dog sat on the cat"] * 7 + ["a dog and a cat sat", "mats and cats " * 9]
VAL = ["the dog sat on a mat", "the cat and a dog?"]


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    tokenizer = write_byte_tokenizer(tmp_path / "tokenizer")
    return write_shards(tmp_path / "tokens", tokenizer, {"train": TRAIN, "val": VAL}, shard_tokens=100)


def plain_loss(train: list[int], predicted: list[tuple[int, int]], strength: float, vocab_size: int) -> float:
    """The formula of bigram_loss, with dictionaries."""
    pairs = Counter(pairwise(train))
    previous, following = Counter(train[:-1]), Counter(train[1:])
    total = 0.0
    for before, after in predicted:
        unigram = (following[after] + 1) / (len(train) - 1 + vocab_size)
        total -= math.log((pairs[before, after] + strength * unigram) / (previous[before] + strength))
    return total / len(predicted)


@pytest.mark.parametrize("chunk", [7, 10**6])
def test_the_loss_is_that_of_counting_in_plain_python(chunk: int, folder: Path, monkeypatch: pytest.MonkeyPatch):
    monkeypatch.setattr(bigram, "CHUNK_PAIRS", chunk)
    metrics = fit_bigram(TokenShards(folder), CONFIG)
    train, val = read_all(folder, "train"), read_all(folder, "val")
    expected = plain_loss(train, list(pairwise(val)), metrics["prior_strength"], 257)
    assert metrics["val_loss"] == pytest.approx(expected, rel=1e-12)
    assert metrics["val_perplexity"] == pytest.approx(math.exp(expected))
    assert metrics["val_tokens"] == len(val) - 1
    text_bytes = sum(map(len, VAL))
    assert metrics["val_bits_per_byte"] == pytest.approx(expected / math.log(2) * len(val) / text_bytes)


def test_a_token_left_out_is_predicted_as_if_it_were_not_there(folder: Path):
    shards = TokenShards(folder)
    train = read_all(folder, "train")
    pairs = np.array(train[:-1]) * 257 + np.array(train[1:])
    counts = count_pairs(shards, np.unique(pairs))
    for position in (0, 3, len(pairs) - 1):
        one = pairs[position : position + 1]
        left_out = bigram_loss(counts, one, np.ones(1), 2.0, left_out=1)
        before, after = divmod(int(one[0]), 257)
        pair_count = int((pairs == one[0]).sum()) - 1
        previous_count = int((pairs // 257 == before).sum()) - 1
        unigram = int((pairs % 257 == after).sum()) / (len(pairs) - 1 + 257)
        assert left_out == pytest.approx(-math.log((pair_count + 2 * unigram) / (previous_count + 2)))


def test_probabilities_of_the_next_token_sum_to_one(folder: Path):
    shards = TokenShards(folder)
    for previous in (ord("t"), 0, shards.eot_id):
        pairs = previous * 257 + np.arange(257)
        counts = count_pairs(shards, pairs)
        losses = [bigram_loss(counts, pairs[index : index + 1], np.ones(1), 4.0) for index in range(257)]
        assert sum(math.exp(-loss) for loss in losses) == pytest.approx(1)


def test_the_strength_of_the_prior_is_chosen_on_train_alone(tmp_path: Path):
    tokenizer = write_byte_tokenizer(tmp_path / "tokenizer")
    strengths = set()
    for name, val in {"like": TRAIN[:1], "unlike": ["zzz qqq"]}.items():
        folder = write_shards(tmp_path / name, tokenizer, {"train": TRAIN, "val": val}, shard_tokens=10**6)
        strengths.add(fit_bigram(TokenShards(folder), CONFIG)["prior_strength"])
    assert len(strengths) == 1


@pytest.mark.parametrize(
    ("train", "val", "message"), [("a" * 99, "abc", "train has 100 tokens"), ("a" * 100, "", "val has 1 tokens")]
)
def test_too_few_tokens_are_refused(train: str, val: str, message: str, tmp_path: Path):
    tokenizer = write_byte_tokenizer(tmp_path / "tokenizer")
    folder = write_shards(tmp_path / "tokens", tokenizer, {"train": [train], "val": [val]}, shard_tokens=10**6)
    with pytest.raises(UserError, match=f"{message}, the bigram baseline needs"):
        fit_bigram(TokenShards(folder), CONFIG)


def test_as_few_tokens_as_it_needs_are_enough(tmp_path: Path):
    tokenizer = write_byte_tokenizer(tmp_path / "tokenizer")
    folder = write_shards(tmp_path / "tokens", tokenizer, {"train": ["a" * 100], "val": ["a"]}, shard_tokens=10**6)
    assert fit_bigram(TokenShards(folder), CONFIG)["val_tokens"] == 1


def test_order_helps_where_there_is_order_and_noise_is_left_to_the_unigrams(tmp_path: Path):
    tokenizer = write_byte_tokenizer(tmp_path / "tokenizer")
    random = np.random.default_rng(0)
    noise = "".join(random.choice(list("abcd"), 20_000))
    cycle = "abcd" * 5_000
    losses = {}
    for name, text in {"noise": noise, "cycle": cycle}.items():
        splits = {"train": [text[:18_000]], "val": [text[18_000:]]}
        folder = write_shards(tmp_path / name, tokenizer, splits, shard_tokens=10**6)
        losses[name] = fit_bigram(TokenShards(folder), BigramConfig(sample_tokens=10_000))["val_loss"]
    assert losses["cycle"] < 0.02
    assert losses["noise"] == pytest.approx(math.log(4), abs=0.02)
