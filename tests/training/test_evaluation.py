"""Validation counts every token once."""

import math

import numpy as np
import pytest
import torch
from torch.nn import functional as F

from scratchlm.errors import UserError
from scratchlm.training.batches import IGNORED, Example, collate
from scratchlm.training.evaluation import evaluate_examples, evaluate_tokens, perplexity
from scratchlm.training.losses import language_model_loss
from tests.training.conftest import LENGTH, MemoryShards, tiny_model


def test_the_loss_is_the_mean_over_all_tokens_but_the_first(shards: MemoryShards):
    model = tiny_model().eval()
    tokens = torch.from_numpy(shards.splits["val"])
    losses = []
    for start in range(0, len(tokens) - 1, LENGTH):
        window = tokens[start : start + LENGTH + 1]
        losses += F.cross_entropy(model(window[None, :-1])[0], window[1:], reduction="none").tolist()
    assert len(losses) == len(tokens) - 1
    metrics = evaluate_tokens(model, shards, "val", LENGTH)
    assert metrics["val_loss"] == pytest.approx(np.mean(losses), rel=1e-6)
    assert metrics["val_perplexity"] == pytest.approx(math.exp(np.mean(losses)), rel=1e-6)
    assert metrics["val_bits_per_byte"] == pytest.approx(np.mean(losses) / math.log(2) / 4, rel=1e-6)


def test_a_limit_takes_evenly_spaced_windows(shards: MemoryShards):
    model = tiny_model().eval()
    tokens = torch.from_numpy(shards.splits["val"])  # 75 tokens: 9 whole windows and a rest
    starts = [0, 4 * LENGTH, 8 * LENGTH]
    chosen = torch.stack([tokens[start : start + LENGTH + 1] for start in starts])
    expected = F.cross_entropy(model(chosen[:, :-1]).flatten(0, 1), chosen[:, 1:].flatten()).item()
    limited = evaluate_tokens(model, shards, "val", LENGTH, max_tokens=3 * LENGTH)
    assert limited["val_loss"] == pytest.approx(expected, rel=1e-6)


def test_a_split_shorter_than_a_window_is_read_whole(shards: MemoryShards):
    model = tiny_model().eval()
    shards.splits["val"] = shards.splits["val"][:5]
    whole = evaluate_tokens(model, shards, "val", LENGTH)
    assert evaluate_tokens(model, shards, "val", LENGTH, max_tokens=3) == whole


def test_a_diverged_loss_is_one_line():
    assert perplexity(1.0) == pytest.approx(math.e)
    for loss in (math.inf, math.nan, 1_000.0):
        with pytest.raises(UserError, match="diverged"):
            perplexity(loss)


def test_padding_and_ignored_targets_do_not_count():
    model = tiny_model().eval()
    examples = [Example([1, 2, 3, 4], [IGNORED, 3, 4, 5]), Example([6, 7], [IGNORED, 8])]
    alone = [language_model_loss(model, collate([example], 0)).item() for example in examples]
    together = language_model_loss(model, collate(examples, 0)).item()
    assert together == pytest.approx(sum(alone), rel=1e-6)
    assert evaluate_examples(model, examples, 2, 0)["val_loss"] == pytest.approx(sum(alone) / 4, rel=1e-6)
