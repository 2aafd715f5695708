"""Texts become tokens: in batches, by several threads, in order, a few batches in memory at a time."""

from collections import deque
from collections.abc import Callable, Iterable, Iterator, Sequence
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import Literal, NamedTuple, TypeVar

import numpy as np

from scratchlm.datasets.gigatoken_engine import GigatokenEngine
from scratchlm.datasets.tokenizers import END_OF_TEXT, BytePairTokenizer, load_tokenizer
from scratchlm.errors import UserError

# Characters that a thread encodes in one call: 10 ms of tiktoken, after which it waits for the interpreter up to 5 ms.
BATCH = 2**18
MAX_THREADS = 8  # that one process keeps busy: to read and write a document takes it a tenth of tiktoken's time

Engine = Literal["tiktoken", "gigatoken"]
Item = TypeVar("Item")
Result = TypeVar("Result")


class Part(NamedTuple):
    """A document or a part of one, of some 2^20 characters at most."""

    is_val: bool
    text: str
    ends: bool  # the document, which the part before began


class EncodedPart(NamedTuple):
    """The tokens of a part, without an end of text, and the bytes of its UTF-8."""

    is_val: bool
    tokens: np.ndarray
    text_bytes: int
    ends: bool


class Encoder:
    """A tokenizer for many texts at a time: a byte-level BPE takes them in one call, with the engine that was chosen.

    UserError for an engine that is not installed or does not know the tokenizer.
    """

    def __init__(self, directory: Path, engine: Engine) -> None:
        self.tokenizer = load_tokenizer(directory)
        self.max_threads = 1  # that encode at the same time; the other engines do not let the interpreter go
        self._encode_with_ends: Callable[[str], np.ndarray] | None = None
        if engine == "gigatoken":
            if not isinstance(self.tokenizer, BytePairTokenizer):
                raise UserError(
                    f"{directory} is no byte-level BPE, and gigatoken knows no other tokenizer; "
                    "set shard_corpus.engine to tiktoken."
                )
            self._encode_with_ends = GigatokenEngine(self.tokenizer)
        elif isinstance(self.tokenizer, BytePairTokenizer):
            self.max_threads = MAX_THREADS
            self._encode_with_ends = self.tokenizer.encode_with_ends

    def encode(self, texts: Sequence[str]) -> list[np.ndarray]:
        """The ids of each text, as `Tokenizer.encode_to_numpy` gives them."""
        encode = self.tokenizer.encode_to_numpy
        if self._encode_with_ends is None:
            return [encode(text) for text in texts]
        plain = [text for text in texts if END_OF_TEXT not in text]
        arrays = iter(_encode_joined(plain, self._encode_with_ends, self.tokenizer.eot_id) if plain else [])
        return [encode(text) if END_OF_TEXT in text else next(arrays) for text in texts]


def encode_parts(parts: Iterable[Part], encoder: Encoder, threads: int) -> Iterator[EncodedPart]:
    """The parts in their order, encoded in batches by so many threads."""

    def encode_batch(batch: list[Part]) -> list[EncodedPart]:
        arrays = encoder.encode([part.text for part in batch])
        pairs = zip(batch, arrays, strict=True)
        return [EncodedPart(part.is_val, tokens, len(part.text.encode()), part.ends) for part, tokens in pairs]

    for batch in map_in_threads(encode_batch, _batches(parts), threads):
        yield from batch


def map_in_threads(function: Callable[[Item], Result], items: Iterable[Item], threads: int) -> Iterator[Result]:
    """As `map`; at most two items and results a thread are in memory."""
    if threads == 1:
        yield from map(function, items)
        return
    waiting = deque()
    with ThreadPoolExecutor(threads) as pool:
        for item in items:
            waiting.append(pool.submit(function, item))
            if len(waiting) == 2 * threads:
                yield waiting.popleft().result()
        while waiting:
            yield waiting.popleft().result()


def _batches(parts: Iterable[Part]) -> Iterator[list[Part]]:
    """The parts in lists of `BATCH` characters or a few more."""
    batch: list[Part] = []
    characters = 0
    for part in parts:
        batch.append(part)
        characters += len(part.text)
        if characters >= BATCH:
            yield batch
            batch, characters = [], 0
    if batch:
        yield batch


def _encode_joined(texts: Sequence[str], encode: Callable[[str], np.ndarray], eot_id: int) -> list[np.ndarray]:
    """Encode texts, none of which holds `<|endoftext|>`, as one with that between them, and cut the ids there.

    No end of the mark is a beginning of it, so that a text and the mark beside it cannot make another.
    """
    ids = encode(END_OF_TEXT.join(texts))
    ends = np.flatnonzero(ids == eot_id).tolist()
    assert len(ends) == len(texts) - 1
    starts = [0, *(end + 1 for end in ends)]
    return [ids[start:end] for start, end in zip(starts, [*ends, len(ids)], strict=True)]
