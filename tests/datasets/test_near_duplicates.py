"""Near-duplicates are the pairs that the definition of Jaccard similarity gives."""

import random
from itertools import combinations

import pytest

from scratchlm.datasets import near_duplicates
from scratchlm.datasets.near_duplicates import NGRAM, near_duplicate_pairs


def similarity(first: str, second: str) -> float:
    sets = [{text[start : start + NGRAM] for start in range(len(text) - NGRAM + 1)} for text in (first, second)]
    return len(sets[0] & sets[1]) / len(sets[0] | sets[1])


@pytest.mark.parametrize("block", [7, 100])
@pytest.mark.parametrize("threshold", [0.3, 0.8, 1.0])
def test_pairs_are_those_of_the_definition(threshold: float, block: int, monkeypatch: pytest.MonkeyPatch):
    monkeypatch.setattr(near_duplicates, "BLOCK", block)
    draw = random.Random(0)
    texts = [" ".join(draw.choices(["count", "sheep", "to", "the", "number"], k=draw.randint(2, 6))) for _ in range(60)]
    expected = [pair for pair in combinations(range(60), 2) if similarity(*(texts[row] for row in pair)) >= threshold]
    assert near_duplicate_pairs(texts, threshold) == expected != []


def test_case_and_spacing_do_not_count():
    assert near_duplicate_pairs(["Name the  capital.", "name THE\ncapital.", "Count to nine."], 1.0) == [(0, 1)]


def test_short_and_empty_texts_resemble_only_themselves():
    assert near_duplicate_pairs(["Hi", "", "hi", "Him", ""], 0.5) == [(0, 2), (1, 4)]
    assert near_duplicate_pairs([], 0.5) == []


def test_a_similarity_of_exactly_the_threshold_resembles():
    """14 n-grams of 25 are 0.56, though in floating point 0.56 * 25 is more than 14."""
    short = "abcdefghijklmnopqr"  # 14 n-grams
    assert similarity(short, short + "stuvwxyz012") == 14 / 25 == 0.56
    assert near_duplicate_pairs([short, short + "stuvwxyz012"], 0.56) == [(0, 1)]
    assert near_duplicate_pairs([short, short + "stuvwxyz0123"], 0.56) == []
