"""Near-duplicates: texts that share most of their character n-grams."""

from collections.abc import Sequence
from typing import TYPE_CHECKING

import numpy as np

if TYPE_CHECKING:
    from scipy import sparse

NGRAM = 5  # characters
BLOCK = 100  # texts compared with all at a time, which bounds the memory


def normalize(text: str) -> str:
    """A text as it is compared: case and spacing do not count."""
    return " ".join(text.casefold().split())


def near_duplicate_pairs(texts: Sequence[str], threshold: float) -> list[tuple[int, int]]:
    """The pairs of positions (first < second) of texts whose n-grams have at least this Jaccard similarity.

    Similarity: the n-grams that both have, divided by those that either has.
    """
    ngrams = _ngram_matrix(texts)  # (texts, n-grams)
    sizes = np.diff(ngrams.indptr)
    pairs = []
    for start in range(0, len(texts), BLOCK):
        shared = (ngrams[start : start + BLOCK] @ ngrams.T).tocoo()
        first, second = shared.row + start, shared.col
        # The quotient is rounded as the threshold was when it was read: 14 of 25 are 0.56, but 14 < 0.56 * 25.
        alike = shared.data / (sizes[first] + sizes[second] - shared.data) >= threshold
        chosen = alike & (first < second)
        pairs += zip(first[chosen].tolist(), second[chosen].tolist(), strict=True)
    return sorted(pairs)


def _ngram_matrix(texts: Sequence[str]) -> "sparse.csr_array":
    """A row a text with 1 for each n-gram that it has; a text shorter than an n-gram is one of its own."""
    from scipy import sparse

    numbers: dict[str, int] = {}
    columns, ends = [], [0]
    for text in texts:
        plain = normalize(text)
        ngrams = {plain[start : start + NGRAM] for start in range(max(1, len(plain) - NGRAM + 1))}
        columns += sorted(numbers.setdefault(ngram, len(numbers)) for ngram in ngrams)
        ends.append(len(columns))
    return sparse.csr_array((np.ones(len(columns), dtype=np.int32), columns, ends), shape=(len(texts), len(numbers)))
