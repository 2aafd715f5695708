"""The tokenizers that look pieces of a text up in a list: characters, or words; and their tokenizer.json."""

import re
from collections import Counter
from collections.abc import Iterable, Sequence
from pathlib import Path
from typing import Any

import numpy as np

from scratchlm.artifacts import write_json
from scratchlm.errors import UserError

END_OF_TEXT = "<|endoftext|>"
UNKNOWN = "<|unk|>"

# The book's re.split(r'([,.:;?_!"()\']|--|\s)', text), in parts that `re` and `tokenizers` read alike.
PUNCTUATION = r"""[,.:;?_!"()']"""
SPACE = r"[\s\x1c-\x1f]"  # Python's \s has U+001C to U+001F, that of `tokenizers` has not
_WORD_BOUNDARY = re.compile(f"({PUNCTUATION}|--)|{SPACE}")
_SPACE_BEFORE_PUNCTUATION = re.compile(f" (?={PUNCTUATION})")


def _split(pattern: str, behavior: str) -> dict[str, Any]:
    return {"type": "Split", "pattern": {"Regex": pattern}, "behavior": behavior, "invert": False}


# How tokenizer.json says what the classes below compute.
CHAR_SPLIT = _split(r"[\s\S]", "Isolated")
CHAR_DECODER = {"type": "Fuse"}
WORD_SPLIT = {
    "type": "Sequence",
    "pretokenizers": [_split(SPACE, "Removed"), _split(f"{PUNCTUATION}|--", "Isolated")],
}
WORD_DECODER = {
    "type": "Sequence",
    "decoders": [
        {"type": "Replace", "pattern": {"Regex": rf"\A(?!{PUNCTUATION})"}, "content": " "},
        {"type": "Fuse"},
        {"type": "Strip", "content": " ", "start": 1, "stop": 0},
    ],
}


class CharTokenizer:
    """One id a character of an alphabet, then end of text; any text within the alphabet comes back as it was."""

    unk_id: int | None = None

    def __init__(self, tokens: Sequence[str], sha256: str) -> None:
        self.vocab_size = len(tokens)
        self.eot_id = len(tokens) - 1
        self.sha256 = sha256
        self._tokens = tokens
        self._ids = {character: index for index, character in enumerate(tokens[:-1])}

    def encode(self, text: str) -> list[int]:
        return self.encode_to_numpy(text).tolist()

    def encode_to_numpy(self, text: str) -> np.ndarray:
        try:
            return np.fromiter(map(self._ids.__getitem__, text), np.uint32, len(text))
        except KeyError as error:
            raise UserError(
                f"the character {error.args[0]!a} is none of the {self.eot_id:,} of the tokenizer's alphabet, "
                "which are those of its corpus; leave it out, or set build_tokenizer.kind to bpe."
            ) from None

    def decode(self, ids: Sequence[int]) -> str:
        return "".join(self._tokens[index] for index in ids)


class WordTokenizer:
    """One id a word or punctuation mark, then `<|unk|>` for every other word, then end of text; spacing is lost."""

    def __init__(self, tokens: Sequence[str], sha256: str) -> None:
        self.vocab_size = len(tokens)
        self.unk_id: int | None = len(tokens) - 2
        self.eot_id = len(tokens) - 1
        self.sha256 = sha256
        self._tokens = tokens
        self._ids = {word: index for index, word in enumerate(tokens[:-1])}

    def encode(self, text: str) -> list[int]:
        unknown = self._ids[UNKNOWN]
        return [self._ids.get(word, unknown) for word in split_words(text)]

    def encode_to_numpy(self, text: str) -> np.ndarray:
        return np.array(self.encode(text), np.uint32)

    def decode(self, ids: Sequence[int]) -> str:
        return _SPACE_BEFORE_PUNCTUATION.sub("", " ".join(self._tokens[index] for index in ids))


def split_words(text: str) -> list[str]:
    """The words and punctuation marks of a text, as the book splits them."""
    return [piece for piece in _WORD_BOUNDARY.split(text) if piece]


def char_tokens(texts: Iterable[str]) -> list[str]:
    """Every character of the texts by code point, then end of text."""
    characters: set[str] = set()
    for text in texts:
        characters.update(text)
    return [*sorted(characters), END_OF_TEXT]


def word_tokens(texts: Iterable[str], vocab_size: int) -> list[str]:
    """The most frequent words, those of one frequency by code points, then unknown and end of text: at most so many."""
    counts = Counter(word for text in texts for word in split_words(text))
    words = sorted(counts.keys() - {UNKNOWN, END_OF_TEXT}, key=lambda word: (-counts[word], word))
    return [*words[: vocab_size - 2], UNKNOWN, END_OF_TEXT]


def write_char_tokenizer(directory: Path, tokens: Sequence[str]) -> None:
    """Write tokenizer.json and tokenizer_config.json; `tokenizers` refuses what is outside of the alphabet, too."""
    _write(directory, tokens, [END_OF_TEXT], CHAR_SPLIT, CHAR_DECODER)


def write_word_tokenizer(directory: Path, tokens: Sequence[str]) -> None:
    """Write tokenizer.json and tokenizer_config.json."""
    _write(directory, tokens, [UNKNOWN, END_OF_TEXT], WORD_SPLIT, WORD_DECODER)


def _write(
    directory: Path, tokens: Sequence[str], special: list[str], pre_tokenizer: dict[str, Any], decoder: dict[str, Any]
) -> None:
    ids = {token: index for index, token in enumerate(tokens)}
    flags = {"single_word": False, "lstrip": False, "rstrip": False, "normalized": False, "special": True}
    content = {
        "version": "1.0",
        "truncation": None,
        "padding": None,
        "added_tokens": [{"id": ids[token], "content": token, **flags} for token in special],
        "normalizer": None,
        "pre_tokenizer": pre_tokenizer,
        "post_processor": None,
        "decoder": decoder,
        "model": {"type": "WordLevel", "vocab": ids, "unk_token": UNKNOWN},
    }
    write_json(directory / "tokenizer.json", content)
    config = {
        "tokenizer_class": "PreTrainedTokenizerFast",
        **dict.fromkeys(["bos_token", "eos_token"], END_OF_TEXT),
        **({"unk_token": UNKNOWN} if UNKNOWN in special else {}),
        "clean_up_tokenization_spaces": False,
    }
    write_json(directory / "tokenizer_config.json", config)
