"""The bigram baseline: how well the previous token alone predicts the next one, on the same validation tokens."""

import math
from collections.abc import Iterator
from dataclasses import dataclass

import numpy as np
from pydantic import Field
from tqdm import tqdm

from scratchlm.datasets.shards import TokenShards
from scratchlm.errors import UserError
from scratchlm.params import Schema

CHUNK_PAIRS = 1_000_000
PRIOR_STRENGTHS = 2.0 ** np.arange(-2, 17)
SAMPLE_WINDOWS = 100


class BigramConfig(Schema):
    """How many training tokens, in windows spread over the whole split, choose the strength of the prior."""

    sample_tokens: int = Field(ge=SAMPLE_WINDOWS)


@dataclass(frozen=True)
class PairCounts:
    """How often each wanted pair, each previous and each next token stands in the training split.

    A pair is the number previous * vocab_size + next. Only wanted ones are counted: the memory that this takes does
    not grow with the training split.
    """

    pairs: np.ndarray  # sorted
    pair_counts: np.ndarray
    previous_counts: np.ndarray  # (vocab_size,)
    next_counts: np.ndarray  # (vocab_size,)


def fit_bigram(shards: TokenShards, config: BigramConfig) -> dict[str, float]:
    """Fit the bigram model on train and evaluate it on every validation token but the first; losses in nats a token."""
    for split, least in {"train": SAMPLE_WINDOWS + 1, "val": 2}.items():
        if (tokens := shards.token_count(split)) < least:
            raise UserError(
                f"{split} has {tokens} tokens, the bigram baseline needs {least}; "
                "take a larger corpus, or change shard_corpus.val_fraction."
            )
    val = _tally(_read_pairs(shards, "val", 0, shards.token_count("val") - 1))
    sample = _tally(_sample_pairs(shards, config.sample_tokens))
    counts = count_pairs(shards, np.union1d(val[0], sample[0]))
    # Each token of the sample is predicted as if it alone were not in the training split.
    strength = min(PRIOR_STRENGTHS, key=lambda k: bigram_loss(counts, *sample, k, left_out=1))
    loss = bigram_loss(counts, *val, strength)
    tokens = shards.token_count("val")
    return {
        "val_loss": loss,
        "val_perplexity": math.exp(loss),
        "val_bits_per_byte": loss * tokens / (math.log(2) * shards.byte_count("val")),
        "val_tokens": tokens - 1,
        "prior_strength": float(strength),
    }


def count_pairs(shards: TokenShards, wanted: np.ndarray) -> PairCounts:
    """Count the wanted pairs (sorted, distinct) and all single tokens over the training split."""
    vocab_size, total = shards.vocab_size, shards.token_count("train") - 1
    counts = PairCounts(wanted, *(np.zeros(size, np.int64) for size in (len(wanted), vocab_size, vocab_size)))
    with tqdm(total=total, desc="counting", unit="token", unit_scale=True, disable=None) as bar:
        for pairs in _read_pairs(shards, "train", 0, total):
            previous, following = np.divmod(pairs, vocab_size)
            counts.previous_counts[:] += np.bincount(previous, minlength=vocab_size)
            counts.next_counts[:] += np.bincount(following, minlength=vocab_size)
            index = np.searchsorted(wanted, pairs).clip(max=len(wanted) - 1)
            counts.pair_counts[:] += np.bincount(index[wanted[index] == pairs], minlength=len(wanted))
            bar.update(len(pairs))
    return counts


def bigram_loss(
    counts: PairCounts, pairs: np.ndarray, weights: np.ndarray, strength: float, left_out: int = 0
) -> float:
    """The mean of -log p(next | previous) over pairs, each `weights` times; `left_out` is taken off every count.

    p(next | previous) = (c(previous, next) + k p(next)) / (c(previous) + k): counts with a Dirichlet prior of strength
    k around the unigrams (MacKay and Peto 1995), which have one count added to each token.
    """
    vocab_size = len(counts.next_counts)
    previous, following = np.divmod(pairs, vocab_size)
    total = counts.next_counts.sum() - left_out
    unigram = (counts.next_counts[following] - left_out + 1) / (total + vocab_size)
    joint = counts.pair_counts[np.searchsorted(counts.pairs, pairs)] - left_out
    conditional = (joint + strength * unigram) / (counts.previous_counts[previous] - left_out + strength)
    return float(-np.average(np.log(conditional), weights=weights))


def _sample_pairs(shards: TokenShards, size: int) -> Iterator[np.ndarray]:
    total = shards.token_count("train") - 1
    width = min(size, total) // SAMPLE_WINDOWS
    for start in np.linspace(0, total - width, SAMPLE_WINDOWS).astype(int):
        yield from _read_pairs(shards, "train", int(start), width)


def _read_pairs(shards: TokenShards, split: str, start: int, length: int) -> Iterator[np.ndarray]:
    """The pairs of a split whose previous tokens are start ... start + length - 1, in chunks."""
    for first in range(start, start + length, CHUNK_PAIRS):
        tokens = shards.read(split, first, min(CHUNK_PAIRS, start + length - first) + 1)
        yield tokens[:-1] * shards.vocab_size + tokens[1:]


def _tally(chunks: Iterator[np.ndarray]) -> tuple[np.ndarray, np.ndarray]:
    """The distinct pairs, sorted, and how often each occurs."""
    return np.unique(np.concatenate(list(chunks)), return_counts=True)
