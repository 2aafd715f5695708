"""Byte-level BPEs on the package `gigatoken`, some ten times as fast as tiktoken, and checked against it."""

import base64
import tempfile
from importlib.util import find_spec
from typing import Any

import numpy as np

from scratchlm.datasets.tokenizers import END_OF_TEXT, BytePairTokenizer, last_cut
from scratchlm.errors import UserError

SAMPLE = 2**13  # characters of each call that tiktoken encodes too
# After so many tokens the engine is loaded anew: its cache of words has no bound (gigatoken issue 36), and of text in
# which no word comes twice it takes some 10 bytes a character.
CACHE_TOKENS = 2**23


class GigatokenEngine:
    """As `BytePairTokenizer.encode_with_ends`; UserError where a sample shows a difference."""

    def __init__(self, tokenizer: BytePairTokenizer) -> None:
        if find_spec("gigatoken") is None:
            raise UserError(
                "shard_corpus.engine is gigatoken, which is not installed; "
                'run `pip install -c constraints.txt -e ".[fast]"`, or set it to tiktoken.'
            )
        self._tokenizer = tokenizer
        self._ranks = b"".join(base64.b64encode(token) + b" %d\n" % rank for token, rank in tokenizer.ranks.items())
        self._load()

    def __call__(self, text: str) -> np.ndarray:
        if self._tokens >= CACHE_TOKENS:
            self._load()
        ids = self._engine.encode(text)
        self._tokens += len(ids)
        self._check(text, ids)
        return ids

    def _load(self) -> None:
        import gigatoken

        special = {END_OF_TEXT: self._tokenizer.eot_id}
        self._engine: Any = None  # the former one's memory is free before the next takes its own
        with tempfile.NamedTemporaryFile() as file:
            file.write(self._ranks)
            file.flush()
            self._engine = gigatoken.Tokenizer.from_tiktoken(file.name, pretokenizer="gpt2", special_tokens=special)
        self._tokens = 0

    def _check(self, text: str, ids: np.ndarray) -> None:
        """Compare the ids of the beginning, up to a place where a cut does not change them, with tiktoken's."""
        sample = text[: last_cut(text[:SAMPLE]) or None] if len(text) > SAMPLE else text
        expected = self._tokenizer.encode_with_ends(sample)
        if not np.array_equal(ids[: len(expected)], expected):
            raise UserError(
                f"gigatoken encodes a text that begins {sample[:40]!a} otherwise than tiktoken; "
                "set shard_corpus.engine to tiktoken."
            )
