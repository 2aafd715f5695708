"""Where a tokenizer comes from: OpenAI's GPT-2 files, or a byte-level BPE trained on a sample of the corpus."""

import json
import sys
import tempfile
from collections.abc import Iterator
from pathlib import Path
from typing import Literal

import tokenizers
from pydantic import Field
from tokenizers import models, pre_tokenizers, trainers

from scratchlm.artifacts import atomic_directory
from scratchlm.datasets.corpus import corpus_files
from scratchlm.datasets.documents import read_documents
from scratchlm.datasets.download import fetch
from scratchlm.datasets.sources import GPT2_ENCODINGS
from scratchlm.datasets.tokenizers import (
    END_OF_TEXT,
    Merges,
    Vocabulary,
    load_tokenizer,
    read_openai_vocabulary,
    write_byte_pair_tokenizer,
)
from scratchlm.errors import UserError
from scratchlm.params import Schema


class TokenizerConfig(Schema):
    """Which tokenizer; for `bpe`, how many entries (end of text included), learnt from at most how much text."""

    kind: Literal["gpt2", "bpe"]
    vocab_size: int = Field(gt=256)
    train_bytes: int = Field(gt=0)


def build_tokenizer(config: TokenizerConfig, corpus: Path, directory: Path) -> dict[str, float]:
    """Write the tokenizer's directory; returns its size, and its bytes per token on the sample of the corpus."""
    sample = list(sample_documents(corpus, config.train_bytes))
    if not any(sample):
        raise UserError(
            f"{corpus} gave no text for the tokenizer; name another source in fetch_corpus.sources, "
            f"or raise build_tokenizer.train_bytes {config.train_bytes:,}."
        )
    vocabulary, merges = fetch_gpt2() if config.kind == "gpt2" else train_bpe(sample, config.vocab_size)
    with atomic_directory(directory) as partial:
        write_byte_pair_tokenizer(partial, vocabulary, merges)
    tokenizer = load_tokenizer(directory)
    text_bytes = sum(len(text.encode()) for text in sample)
    tokens = sum(len(tokenizer.encode_to_numpy(text)) for text in sample)
    return {"vocab_size": tokenizer.vocab_size, "train_bytes": text_bytes, "bytes_per_token": text_bytes / tokens}


def sample_documents(corpus: Path, max_bytes: int) -> Iterator[str]:
    """The beginning of every file of a corpus, of each the same share, together at most `max_bytes` of UTF-8."""
    files = [file for file in corpus_files(corpus) if file["bytes"] > 0]
    total = sum(file["bytes"] for file in files)
    for file in files:
        left = max_bytes * file["bytes"] // total
        for text in read_documents(corpus / file["name"]):
            data = text.encode()[:left]
            left -= len(data)
            yield data.decode(errors="ignore")  # the cut may be inside of a character
            if left == 0:
                break


def fetch_gpt2() -> tuple[Vocabulary, Merges]:
    """OpenAI's vocabulary of 50,257 entries, from its two files."""
    with tempfile.TemporaryDirectory() as folder:
        for source in GPT2_ENCODINGS.values():
            fetch(source.urls, source.sha256, Path(folder) / source.name)
        return read_openai_vocabulary(Path(folder))


def train_bpe(sample: list[str], vocab_size: int) -> tuple[Vocabulary, Merges]:
    """Learn a byte-level BPE of 256 bytes, then merges, then end of text; the same for the same sample."""
    tokenizer = tokenizers.Tokenizer(models.BPE())
    tokenizer.pre_tokenizer = pre_tokenizers.ByteLevel(add_prefix_space=False)
    trainer = trainers.BpeTrainer(
        vocab_size=vocab_size - 1,
        initial_alphabet=pre_tokenizers.ByteLevel.alphabet(),
        show_progress=sys.stderr.isatty(),
    )
    tokenizer.train_from_iterator(sample, trainer)
    model = json.loads(tokenizer.to_str())["model"]
    if (entries := len(model["vocab"]) + 1) < vocab_size:
        raise UserError(
            f"the sample gives {entries:,} entries, fewer than build_tokenizer.vocab_size {vocab_size:,}; "
            "lower that, or raise build_tokenizer.train_bytes."
        )
    return model["vocab"] | {END_OF_TEXT: vocab_size - 1}, [_pair(merge) for merge in model["merges"]]


def _pair(parts: list[str]) -> tuple[str, str]:
    left, right = parts
    return left, right
