"""Where a tokenizer comes from: OpenAI's GPT-2 files, or the corpus: a trained byte-level BPE, characters, words."""

import json
import sys
import tempfile
from collections.abc import Iterable, Iterator
from itertools import chain
from pathlib import Path
from typing import Literal

import tokenizers
from pydantic import Field
from tokenizers import models, pre_tokenizers, trainers

from scratchlm.artifacts import atomic_directory
from scratchlm.checksums import write_manifest
from scratchlm.datasets.documents import corpus_files, read_documents, verified_file
from scratchlm.datasets.download import Download, fetch_all
from scratchlm.datasets.lookup_tokenizers import (
    char_tokens,
    word_tokens,
    write_char_tokenizer,
    write_word_tokenizer,
)
from scratchlm.datasets.sources import GPT2_ENCODINGS
from scratchlm.datasets.tokenizers import (
    END_OF_TEXT,
    Merges,
    Tokenizer,
    Vocabulary,
    load_tokenizer,
    read_openai_vocabulary,
    write_byte_pair_tokenizer,
)
from scratchlm.errors import UserError
from scratchlm.params import Schema

Kind = Literal["gpt2", "bpe", "char", "word"]


class TokenizerConfig(Schema):
    """Which tokenizer; for `bpe` and `word`, how many entries (the special ones included), learnt from how much text.

    `word` may end with fewer entries; `char` has one for every character of the whole corpus.
    """

    kind: Kind
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
    texts = corpus_texts(corpus) if config.kind == "char" else sample
    with atomic_directory(directory) as partial:
        write_tokenizer(partial, config.kind, texts, config.vocab_size)
    tokenizer = load_tokenizer(directory)
    counts = count_tokens(tokenizer, sample)
    rates = {key: counts[key] for key in ("bytes_per_token", "unknown_rate")}
    return {"vocab_size": tokenizer.vocab_size, "train_bytes": counts["text_bytes"], **rates}


def write_tokenizer(directory: Path, kind: Kind, texts: Iterable[str], vocab_size: int) -> None:
    """Learn a tokenizer from texts and write its files and their manifest into an existing directory.

    `gpt2` takes OpenAI's instead.
    """
    if kind == "char":
        write_char_tokenizer(directory, char_tokens(texts))
    elif kind == "word":
        write_word_tokenizer(directory, word_tokens(texts, vocab_size))
    else:
        write_byte_pair_tokenizer(directory, *(fetch_gpt2() if kind == "gpt2" else train_bpe(texts, vocab_size)))
    write_manifest(directory)


def count_tokens(tokenizer: Tokenizer, texts: Iterable[str]) -> dict[str, float]:
    """What a tokenizer makes of texts: their bytes, its tokens, bytes per token, and the share of unknown words."""
    text_bytes = tokens = unknown = 0
    for text in texts:
        ids = tokenizer.encode_to_numpy(text)
        text_bytes += len(text.encode())
        tokens += len(ids)
        unknown += int((ids == tokenizer.unk_id).sum()) if tokenizer.unk_id is not None else 0
    # A text of spaces alone has no word.
    rates = {"bytes_per_token": text_bytes / max(tokens, 1), "unknown_rate": unknown / max(tokens, 1)}
    return {"text_bytes": text_bytes, "tokens": tokens, **rates}


def corpus_texts(corpus: Path) -> Iterator[str]:
    """Every document of a corpus, file by file, long ones in parts."""
    for file in corpus_files(corpus):
        yield from chain.from_iterable(read_documents(corpus / file["name"]))


def sample_documents(corpus: Path, max_bytes: int) -> Iterator[str]:
    """The beginning of every file of a corpus, of each the same share, together at most `max_bytes` of UTF-8.

    UserError names a file that is not the one of the manifest.
    """
    files = [file for file in corpus_files(corpus) if file["bytes"] > 0]
    total = sum(file["bytes"] for file in files)
    for file in files:
        left = max_bytes * file["bytes"] // total
        for text in chain.from_iterable(read_documents(verified_file(corpus, file))):
            data = text[:left].encode()[:left]
            left -= len(data)
            yield data.decode(errors="ignore")  # the cut may be inside of a character
            if left == 0:
                break


def fetch_gpt2() -> tuple[Vocabulary, Merges]:
    """OpenAI's vocabulary of 50,257 entries, from its two files."""
    with tempfile.TemporaryDirectory() as folder:
        files = [Download(source.urls, source.sha256, Path(folder) / source.name) for source in GPT2_ENCODINGS.values()]
        fetch_all(files, offline="build_tokenizer.kind: bpe")
        return read_openai_vocabulary(Path(folder))


def train_bpe(sample: Iterable[str], vocab_size: int) -> tuple[Vocabulary, Merges]:
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
