"""Rows of text and of next-token probabilities."""

import pytest
import torch

from scratchlm.training.samples import continue_prompts, distinct_pairs, probability_rows
from tests.tiny_model import greedy
from tests.training.conftest import ByteTokenizer, byte_model


def test_every_prompt_is_continued():
    sampling = greedy(3).model_copy(update={"temperature": 1.0})
    rows = continue_prompts(byte_model(), ByteTokenizer(), ["ab", "c"], sampling)
    assert [row["prompt"] for row in rows] == ["ab", "c"]
    assert rows == continue_prompts(byte_model(), ByteTokenizer(), ["ab", "c"], sampling)


def test_the_most_probable_tokens_come_first():
    logits = torch.zeros(257)
    logits[ord("b")], logits[ord("a")] = 2.0, 1.0
    rows = probability_rows(logits, logits.softmax(0), 1.0, ByteTokenizer())
    assert [(row["rank"], row["token"]) for row in rows[:2]] == [(1, "b"), (2, "a")]
    assert rows[0]["probability"] == pytest.approx(logits.softmax(0)[ord("b")].item())


def test_distinct_pairs_are_counted_over_all_texts():
    assert distinct_pairs([[1, 2, 3], [1, 2]]) == pytest.approx(2 / 3)
    assert distinct_pairs([[], [1]]) == 0
