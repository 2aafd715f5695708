"""Tokenizers: one interface, and one artifact, a folder that `transformers` loads; byte BPEs encode on tiktoken."""

import json
import re
from collections.abc import Iterable, Iterator, Sequence
from itertools import chain
from pathlib import Path
from typing import Any, Protocol

import numpy as np
import tiktoken
import tokenizers
from tokenizers import decoders, models, pre_tokenizers, processors

from scratchlm.artifacts import read_json, read_object, write_json, write_text
from scratchlm.checksums import sha256_file
from scratchlm.datasets.lookup_tokenizers import (
    CHAR_SPLIT,
    END_OF_TEXT,
    UNKNOWN,
    WORD_SPLIT,
    CharTokenizer,
    WordTokenizer,
)
from scratchlm.errors import UserError

# GPT-2's pattern with possessive quantifiers, as tiktoken writes it: the same pieces, without deep recursion.
PATTERN = r"'(?:[sdmt]|ll|ve|re)| ?\p{L}++| ?\p{N}++| ?[^\s\p{L}\p{N}]++|\s++$|\s+(?!\S)|\s"

# No match of the pattern holds a space or line end after another character than white space, none looks behind its own
# beginning, and white space alone looks ahead: a text cut before such a space or line end gives the same pieces. Words
# (lookup_tokenizers.py) end there too, and characters anywhere.
_LAST_CUT = re.compile(r".*\S(?=[ \n])", re.DOTALL)
PART = 2**20  # characters, beyond which a text is encoded in parts
UNBROKEN = 2**21  # characters; tiktoken takes up to 200 bytes for each of one match

# In the vocabulary, a byte without a printable Latin-1 character is the next free one from U+0100 (GPT-2's encoder.py).
_PRINTABLE = [*range(0x21, 0x7F), *range(0xA1, 0xAD), *range(0xAE, 0x100)]
_OTHERS = sorted(set(range(256)) - set(_PRINTABLE))
_BYTES = {chr(byte): byte for byte in _PRINTABLE} | {chr(0x100 + n): byte for n, byte in enumerate(_OTHERS)}
_LATIN = {ord(character): byte for character, byte in _BYTES.items()}
_SEPARATOR = "\ue000"  # which stands for no byte

Vocabulary = dict[str, int]
Merges = list[tuple[str, str]]


class Tokenizer(Protocol):
    """Text to ids and back. In a text, `<|endoftext|>` is 13 ordinary characters: only `eot_id` ends a document."""

    vocab_size: int
    eot_id: int
    unk_id: int | None  # what stands for a word outside of the vocabulary
    sha256: str  # of tokenizer.json

    def encode(self, text: str) -> list[int]:
        """The ids of a text; UserError if the tokenizer cannot write it."""
        ...

    def encode_to_numpy(self, text: str) -> np.ndarray:
        """As `encode`, as an array of uint32."""
        ...

    def decode(self, ids: Sequence[int]) -> str:
        """The text of ids; bytes that are no UTF-8 become U+FFFD."""
        ...


class BytePairTokenizer:
    """A byte-level BPE (Radford et al. 2019): any text comes back byte for byte, but for lone surrogates: UserError."""

    unk_id: int | None = None

    def __init__(self, ranks: dict[bytes, int], sha256: str) -> None:
        self.ranks = ranks
        self.eot_id = len(ranks)
        self.vocab_size = len(ranks) + 1
        self.sha256 = sha256
        special = {END_OF_TEXT: self.eot_id}
        self._encoding = tiktoken.Encoding(sha256, pat_str=PATTERN, mergeable_ranks=ranks, special_tokens=special)

    def encode(self, text: str) -> list[int]:
        return self.encode_to_numpy(text).tolist()

    def encode_to_numpy(self, text: str) -> np.ndarray:
        _check_unicode(text)
        return self._encoding.encode_to_numpy(text, disallowed_special=())

    def encode_with_ends(self, text: str) -> np.ndarray:
        """As `encode_to_numpy`, but `<|endoftext|>` is the end of a text, `eot_id`."""
        _check_unicode(text)
        return self._encoding.encode_to_numpy(text, allowed_special="all")

    def decode(self, ids: Sequence[int]) -> str:
        return self.decode_bytes(ids).decode(errors="replace")

    def decode_bytes(self, ids: Sequence[int]) -> bytes:
        """The bytes of ids, which are those of the text that was encoded."""
        return self._encoding.decode_bytes(ids)


def _check_unicode(text: str) -> None:
    try:
        text.encode()  # tiktoken would replace surrogates in silence
    except UnicodeEncodeError as error:
        raise UserError(f"a text is not valid Unicode: {error}; replace that character.") from None


def cut_text(text: Iterable[str]) -> Iterator[str]:
    """The parts of a text, joined or cut to some 2^20 characters so that their tokens are those of the whole.

    UserError if 2^21 characters offer no place for a cut, a space or line end after another character.
    """
    waiting = ""
    for part in chain.from_iterable(_slices(part) for part in text):
        waiting = waiting + part if waiting else part
        if len(waiting) >= PART and (cut := last_cut(waiting)):
            yield waiting[:cut]
            waiting = waiting[cut:]
        elif len(waiting) > UNBROKEN:
            raise UserError(
                f"a text has {UNBROKEN:,} characters without a space or line end after a word ({waiting[:20]!a}...); "
                "break its lines, or leave it out."
            )
    yield waiting


def last_cut(text: str) -> int:
    """Where a text can be cut last so that the tokens of both parts are those of the whole; 0 for nowhere."""
    cut = _LAST_CUT.match(text)
    return cut.end() if cut else 0


def _slices(text: str) -> Iterator[str]:
    return (text[start : start + PART] for start in range(0, len(text), PART))


def load_tokenizer(directory: Path) -> Tokenizer:
    """Load the tokenizer of a tokenizer or model directory; UserError if its tokenizer.json is of no known kind."""
    path = directory / "tokenizer.json"
    content = read_json(path)
    try:
        return _read_tokenizer(content["model"], content["pre_tokenizer"], sha256_file(path))
    except (LookupError, TypeError, ValueError):
        raise UserError(
            f"{path} is no byte-level BPE, char or word tokenizer that ends with {END_OF_TEXT}; "
            "make one with build_tokenizer."
        ) from None


def _read_tokenizer(model: dict[str, Any], pre_tokenizer: dict[str, Any], sha256: str) -> Tokenizer:
    """The tokenizer of parts of a tokenizer.json; ValueError, TypeError or LookupError if they make none of ours."""
    vocabulary: Vocabulary = dict(model["vocab"])
    tokens = sorted(vocabulary, key=vocabulary.__getitem__)
    if list(map(vocabulary.__getitem__, tokens)) != list(range(len(tokens))) or tokens[-1] != END_OF_TEXT:
        raise ValueError
    if model["type"] == "WordLevel" and pre_tokenizer == CHAR_SPLIT:
        return CharTokenizer(tokens, sha256)
    if model["type"] == "WordLevel" and pre_tokenizer == WORD_SPLIT and tokens[-2] == UNKNOWN:
        return WordTokenizer(tokens, sha256)
    if model["type"] == "BPE" and pre_tokenizer["type"] == "ByteLevel":
        # tiktoken takes an id for the priority of the merge that made it: true where ids were given in that order.
        return BytePairTokenizer(_read_ranks(tokens[:-1]), sha256)
    raise ValueError


def _read_ranks(tokens: list[str]) -> dict[bytes, int]:
    """The bytes of each token of a vocabulary with its rank; ValueError for a character that stands for no byte."""
    text = _SEPARATOR.join(tokens)
    if not set(text) <= _BYTES.keys() | {_SEPARATOR}:
        raise ValueError
    # All at once, which is three times as fast as token by token.
    latin = text.translate(_LATIN).split(_SEPARATOR)
    return {token.encode("latin-1"): rank for token, rank in zip(latin, range(len(tokens)), strict=True)}


def read_openai_vocabulary(directory: Path) -> tuple[Vocabulary, Merges]:
    """The contents of OpenAI's encoder.json and vocab.bpe; UserError if they do not belong together."""
    vocabulary: Vocabulary = read_object(directory / "encoder.json", {})
    if sorted(map(str, vocabulary.values())) != sorted(map(str, range(len(vocabulary)))):
        raise UserError(f"{directory / 'encoder.json'} does not number its entries from 0 on; fetch it again.")
    path = directory / "vocab.bpe"
    if not path.is_file():
        raise UserError(f"{path} is missing; fetch it again.")
    lines = path.read_text(encoding="utf-8", errors="replace").split("\n")
    merges = [(left, right) for left, _, right in (line.partition(" ") for line in lines[1:] if line)]
    # 256 bytes, an entry for each merge, and end of text.
    if len(vocabulary) != 256 + len(merges) + 1 or any(
        not {left, right, left + right} <= vocabulary.keys() for left, right in merges
    ):
        raise UserError(
            f"{directory}: the {len(vocabulary):,} entries of encoder.json are not those that the {len(merges):,} "
            "merges of vocab.bpe make; fetch both again."
        )
    return vocabulary, merges


def write_byte_pair_tokenizer(directory: Path, vocabulary: Vocabulary, merges: Merges) -> None:
    """Write tokenizer.json, vocab.json, merges.txt and tokenizer_config.json as Hugging Face's GPT-2 has them."""
    tokenizer = tokenizers.Tokenizer(models.BPE(vocab=vocabulary, merges=merges))
    tokenizer.pre_tokenizer = pre_tokenizers.ByteLevel(add_prefix_space=False)
    tokenizer.post_processor = processors.ByteLevel(trim_offsets=False)
    tokenizer.decoder = decoders.ByteLevel()
    tokenizer.add_special_tokens([END_OF_TEXT])
    tokenizer.save(str(directory / "tokenizer.json"))
    write_text(directory / "vocab.json", json.dumps(vocabulary, ensure_ascii=False))
    write_text(directory / "merges.txt", "".join(f"{line}\n" for line in ["#version: 0.2", *map(" ".join, merges)]))
    config = {
        "tokenizer_class": "GPT2Tokenizer",
        **dict.fromkeys(["bos_token", "eos_token", "unk_token"], END_OF_TEXT),
        "add_prefix_space": False,
        "clean_up_tokenization_spaces": False,
    }
    write_json(directory / "tokenizer_config.json", config)
