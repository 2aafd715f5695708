"""Near-duplicates in a corpus of any size: MinHash signatures of documents, and which resemble an earlier one."""

from collections.abc import Iterable, Iterator, Sequence
from contextlib import ExitStack
from itertools import islice
from pathlib import Path

import numpy as np

from scratchlm.artifacts import atomic_directory
from scratchlm.datasets.near_duplicates import NGRAM, normalize

BINS = 256  # values of a signature
EMPTY = 2**64 - 1  # of a bin without an n-gram
SHORT_EMPTY = 2**16 - 1
BAND_ROWS = (16, 8, 4, 2, 1)
RECALL = 0.99  # of the pairs as similar as the threshold, how many meet in a bucket
NEIGHBOURS = 4  # of a bucket, before a document, with which it is compared
BATCH = 2**10  # documents
PAIRS = 2**14  # compared at a time
SIGNATURES = "signatures.bin"  # (documents, BINS), each value shortened to uint16

_FACTORS = np.array([pow(0x9E3779B97F4A7C15, power, 2**64) for power in range(1, BAND_ROWS[0] + 1)], np.uint64)
_BINS = np.arange(BINS, dtype=np.uint64)


def write_signatures(documents: Iterable[Iterable[str]], threshold: float, directory: Path) -> None:
    """Write the signature of each document, which comes in parts, and for each band the bucket that it falls into."""
    rows = _band_rows(threshold)
    waiting = iter(documents)
    with atomic_directory(directory) as partial, ExitStack() as stack:
        names = [SIGNATURES, *map(_band_name, range(BINS // rows))]
        signature_file, *band_files = (stack.enter_context((partial / name).open("wb")) for name in names)
        while batch := [_sign(document) for document in islice(waiting, BATCH)]:
            signatures = np.array(batch)  # (documents, BINS)
            signature_file.write(_shorten(signatures).data)
            for band, file in enumerate(band_files):
                file.write(_bucket(signatures[:, band * rows : (band + 1) * rows]).data)


def find_near_duplicates(directories: Sequence[Path], threshold: float) -> list[np.ndarray]:
    """For each directory of signatures, the rows of what resembles a document before it, there or in one before.

    Some 40 bytes a document are in memory at a time.
    """
    counts = [(directory / SIGNATURES).stat().st_size // (2 * BINS) for directory in directories]
    starts = np.cumsum([0, *counts])
    found = np.zeros(starts[-1], bool)
    for band in range(BINS // _band_rows(threshold)):
        files = [directory / _band_name(band) for directory in directories]
        for first, second in _pairs(np.concatenate([np.fromfile(file, np.uint64) for file in files])):
            first, second = first[~found[second]], second[~found[second]]
            signatures = (_read_signatures(directories, starts, documents) for documents in (first, second))
            found[second[_similarity(*signatures) >= threshold]] = True
    return [np.flatnonzero(part) for part in np.split(found, starts[1:-1])]


def _band_rows(threshold: float) -> int:
    """As many rows of a signature as a band may have; more rows bring fewer documents together by chance."""
    return next(rows for rows in BAND_ROWS if rows == 1 or 1 - (1 - threshold**rows) ** (BINS // rows) >= RECALL)


def _band_name(band: int) -> str:
    return f"band-{band:03d}.bin"  # (documents), uint64


def _sign(document: Iterable[str]) -> np.ndarray:
    """One-permutation MinHash (Li, Owen and Zhang 2012): n-grams are hashed into bins, and each keeps its least hash.

    N-grams that cross the border of two parts do not count.
    """
    least = np.full(BINS, EMPTY, np.uint64)
    for part in document:
        hashes = _hash_ngrams(normalize(part))
        hashes.sort()
        first = hashes[np.searchsorted(hashes, _BINS << 56).clip(max=len(hashes) - 1)]
        least = np.where(first >> 56 == _BINS, np.minimum(least, first), least)
    return least


def _shorten(signatures: np.ndarray) -> np.ndarray:
    return np.where(signatures == EMPTY, SHORT_EMPTY, signatures % SHORT_EMPTY).astype(np.uint16)


def _hash_ngrams(text: str) -> np.ndarray:
    """A number for each n-gram of a text; a text shorter than an n-gram is one of its own."""
    codes = np.frombuffer(text.ljust(NGRAM, "\0").encode("utf-32-le"), "<u4").astype(np.uint64)
    count = len(codes) - NGRAM + 1
    hashes = np.zeros(count, np.uint64)
    for offset in range(NGRAM):
        hashes += codes[offset : offset + count] * _FACTORS[offset]
    return _mix(hashes)


def _mix(numbers: np.ndarray) -> np.ndarray:
    """Change numbers in place so that each bit depends on every bit that they had (the finalizer of MurmurHash3)."""
    for factor in (0xFF51AFD7ED558CCD, 0xC4CEB9FE1A85EC53):
        numbers ^= numbers >> 33
        numbers *= np.uint64(factor)
    numbers ^= numbers >> 33
    return numbers


def _bucket(band: np.ndarray) -> np.ndarray:
    """The number of the bucket of each document by its rows of a band; 0, which is none, where all are empty."""
    numbers = _mix((band * _FACTORS[: band.shape[1]]).sum(axis=1))
    return np.where((band == EMPTY).all(axis=1), 0, numbers)


def _pairs(buckets: np.ndarray) -> Iterator[tuple[np.ndarray, np.ndarray]]:
    """Pairs of documents of one bucket, the earlier first: each with the few before it, so that no bucket is costly."""
    order = np.argsort(buckets, kind="stable")
    ordered = buckets[order]
    for distance in range(1, NEIGHBOURS + 1):
        second = np.flatnonzero((ordered[distance:] == ordered[:-distance]) & (ordered[distance:] != 0)) + distance
        for start in range(0, len(second), PAIRS):
            chosen = second[start : start + PAIRS]
            yield order[chosen - distance], order[chosen]


def _read_signatures(directories: Sequence[Path], starts: np.ndarray, documents: np.ndarray) -> np.ndarray:
    """The signatures of some documents, numbered through all directories."""
    signatures = np.empty((len(documents), BINS), np.uint16)
    places = np.searchsorted(starts, documents, side="right") - 1
    for place in np.unique(places):
        # Opened anew each time, so that the pages read before do not stay in memory.
        table = np.memmap(directories[place] / SIGNATURES, np.uint16, mode="r").reshape(-1, BINS)
        signatures[places == place] = table[documents[places == place] - starts[place]]
    return signatures


def _similarity(first: np.ndarray, second: np.ndarray) -> np.ndarray:
    """The estimate of the Jaccard similarity of each pair of signatures: equal bins among those that either fills."""
    filled = (first != SHORT_EMPTY) | (second != SHORT_EMPTY)
    return ((first == second) & filled).sum(axis=1) / filled.sum(axis=1)
