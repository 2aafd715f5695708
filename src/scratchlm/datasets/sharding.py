"""From a corpus to token shards: one file at a time, each a pure function of its bytes, on all processors."""

import hashlib
import itertools
import math
from collections import Counter
from collections.abc import Iterable, Iterator
from contextlib import closing
from functools import lru_cache
from pathlib import Path
from typing import Any, Literal

import numpy as np
from pydantic import Field

from scratchlm.artifacts import atomic_directory
from scratchlm.checksums import MANIFEST, has_sha256, read_sealed, sha256_file, verify_manifest, write_sealed
from scratchlm.datasets.documents import Document, corpus_files, read_documents, verified_file
from scratchlm.datasets.encoding import Encoder, Engine, Part, encode_parts
from scratchlm.datasets.minhash import find_near_duplicates, write_signatures
from scratchlm.datasets.processes import run_on_files, worker_count
from scratchlm.datasets.shards import SPLITS, TOTALS, ShardWriter, write_shard_manifest
from scratchlm.datasets.tokenizers import cut_text
from scratchlm.errors import UserError
from scratchlm.params import Schema
from scratchlm.workspace import work_folder

STAGE = "shard_corpus"
PROCESS_BYTES = 2**26  # of a corpus, for which one process more is worth its start
DROPPED = ("short_documents_dropped", "near_duplicates_dropped")

Entry = dict[str, Any]  # of a file in the manifest of a corpus


class ShardConfig(Schema):
    """Which documents stay, how the text is split, and how many tokens a shard holds at most."""

    min_document_characters: int = Field(ge=0)
    near_duplicates: Literal["drop", "keep"]
    near_duplicate_threshold: float = Field(ge=0.5, le=1)
    split: Literal["document", "tail"]
    val_fraction: float = Field(gt=0, lt=1)
    shard_tokens: int = Field(gt=0)
    engine: Engine


def shard_corpus(corpus: Path, tokenizer: Path, config: ShardConfig, directory: Path) -> dict[str, float]:
    """Write every file of a corpus as token shards, and their manifest last; returns the counts.

    The bytes depend neither on the engine nor on the number of processors: $SCRATCHLM_WORKERS, else all of them. Files
    that a killed run had finished wait in `.work/shard_corpus/`.
    """
    files = corpus_files(corpus)
    verify_manifest(tokenizer)
    encoder = _load_encoder(tokenizer, config.engine)
    processes, threads = _share_out(files, encoder.max_threads)
    with work_folder(STAGE, shard_inputs(files, encoder.tokenizer.sha256, config)) as work:
        folders = [file_folder(work, file) for file in files]
        near_duplicates = _find_near_duplicates(corpus, files, config, work / "signatures")
        jobs = zip(files, folders, near_duplicates, strict=True)
        arguments = [(corpus, file, tokenizer, config, folder, rows, threads) for file, folder, rows in jobs]
        run_on_files("sharding", shard_file, arguments, processes)
        with atomic_directory(directory) as partial:
            manifest = write_shard_manifest(partial, folders, encoder.tokenizer)
            dropped = _sum_dropped(folders)
            _check_splits(manifest, dropped, corpus, config)
    return count_shards(manifest) | dropped


def shard_inputs(files: list[Entry], tokenizer_sha256: str, config: ShardConfig) -> dict[str, Any]:
    """What determines the shards of a corpus: the key of their work folder."""
    hashes = {file["name"]: file["sha256"] for file in files}
    return {"params": config.model_dump(exclude={"engine"}), "tokenizer": tokenizer_sha256, "corpus": hashes}


def file_folder(work: Path, file: Entry) -> Path:
    """Where in the work folder the shards of a corpus file wait."""
    return work / "files" / file["name"]


def sign_file(corpus: Path, file: Entry, config: ShardConfig, directory: Path) -> None:
    """Write the signatures of the documents of one corpus file that are not too short, unless they stand there."""
    if not directory.exists():
        documents = _long_documents(verified_file(corpus, file), config, Counter())
        write_signatures(map(cut_text, documents), config.near_duplicate_threshold, directory)


def shard_file(
    corpus: Path,
    file: Entry,
    tokenizer: Path,
    config: ShardConfig,
    directory: Path,
    near_duplicates: np.ndarray,
    threads: int,
) -> None:
    """Write the shards of one corpus file, unless they stand there whole.

    `near_duplicates` are rows to drop, counted through the documents that are not too short.
    """
    if _is_whole(directory):
        return
    path = verified_file(corpus, file)
    encoder = _load_encoder(tokenizer, config.engine)
    known = encoder.tokenizer
    dropped: Counter[str] = Counter(dict.fromkeys(DROPPED, 0))
    with atomic_directory(directory) as partial:
        train, val = (ShardWriter(partial, split, path.name, known, config.shard_tokens) for split in SPLITS)
        documents = _drop_rows(_long_documents(path, config, dropped), near_duplicates, dropped)
        parts = _cut_parts(_split_documents(documents, path, config))
        with closing(train), closing(val):
            for part in encode_parts(parts, encoder, threads):
                (val if part.is_val else train).add(part.tokens, part.text_bytes, part.ends)
        write_sealed(partial / MANIFEST, {"shards": train.shards + val.shards, "dropped": dropped})


def count_shards(manifest: dict[str, Any]) -> dict[str, float]:
    """The metrics of a shard manifest: totals of each split, bytes per token, number of shards."""
    splits = manifest["splits"]
    totals = {f"{split}_{key}": splits[split][key] for split in SPLITS for key in TOTALS}
    text_bytes, tokens = (sum(splits[split][key] for split in SPLITS) for key in ("text_bytes", "tokens"))
    return {**totals, "bytes_per_token": text_bytes / tokens, "shards": len(manifest["shards"])}


def _load_encoder(tokenizer: Path, engine: Engine) -> Encoder:
    return _load_encoder_once(tokenizer, engine, sha256_file(tokenizer / "tokenizer.json"))


@lru_cache(maxsize=1)
def _load_encoder_once(tokenizer: Path, engine: Engine, sha256: str) -> Encoder:
    return Encoder(tokenizer, engine)


def _share_out(files: list[Entry], max_threads: int) -> tuple[int, int]:
    """How many processes shard the files, and how many threads encode in each."""
    workers, size = worker_count(), sum(file["bytes"] for file in files)
    processes = max(1, min(len(files), math.ceil(workers / max_threads), 1 + size // PROCESS_BYTES))
    return processes, min(max_threads, math.ceil(workers / processes))


def _find_near_duplicates(corpus: Path, files: list[Entry], config: ShardConfig, work: Path) -> list[np.ndarray]:
    """For each file, the rows of the documents that resemble one before them in the corpus."""
    if config.near_duplicates == "keep" or not files:
        return [np.empty(0, np.int64) for _ in files]
    folders = [work / file["name"] for file in files]
    jobs = [(corpus, file, config, folder) for file, folder in zip(files, folders, strict=True)]
    run_on_files("comparing", sign_file, jobs, worker_count())
    return find_near_duplicates(folders, config.near_duplicate_threshold)


def _long_documents(path: Path, config: ShardConfig, dropped: Counter[str]) -> Iterator[Document]:
    for document in read_documents(path):
        if sum(map(len, document)) < config.min_document_characters:
            dropped["short_documents_dropped"] += 1
        else:
            yield document


def _drop_rows(documents: Iterable[Document], rows: np.ndarray, dropped: Counter[str]) -> Iterator[Document]:
    unwanted = set(rows.tolist())
    for row, document in enumerate(documents):
        if row in unwanted:
            dropped["near_duplicates_dropped"] += 1
        else:
            yield document


def _split_documents(documents: Iterable[Document], path: Path, config: ShardConfig) -> Iterator[tuple[bool, Document]]:
    """The documents of a file, each with whether it is for validation."""
    if config.split == "document":
        for document in documents:
            yield _draw(document) < config.val_fraction, document
        return
    texts = list(itertools.islice(documents, 2))
    if len(texts) > 1:
        raise UserError(f"{path} is no single text, and `split: tail` cuts one; set shard_corpus.split to document.")
    for text in texts:
        length = sum(map(len, text))
        cut = int(length * (1 - config.val_fraction))
        yield False, _characters(text, 0, cut)
        yield True, _characters(text, cut, length)


def _cut_parts(documents: Iterable[tuple[bool, Document]]) -> Iterator[Part]:
    """Each document in the parts in which it is encoded."""
    for is_val, document in documents:
        parts = cut_text(document)
        text = next(parts)
        for following in parts:
            yield Part(is_val, text, ends=False)
            text = following
        yield Part(is_val, text, ends=True)


def _draw(document: Document) -> float:
    """A number in [0, 1) by the text alone: equal texts go the same way, whatever else the corpus holds."""
    sha256 = hashlib.sha256()
    for part in document:
        sha256.update(part.encode())
    return int.from_bytes(sha256.digest()[:8], "big") / 2**64


def _characters(text: Document, start: int, end: int) -> Iterator[str]:
    for part in text:
        yield part[max(0, start) : max(0, end)]
        start, end = start - len(part), end - len(part)


def _is_whole(directory: Path) -> bool:
    if not directory.exists():
        return False
    try:
        shards = read_sealed(directory / MANIFEST, {"shards": list})["shards"]
    except UserError:
        return False
    return all(has_sha256(directory / shard["file"], shard["sha256"]) for shard in shards)


def _sum_dropped(folders: list[Path]) -> dict[str, int]:
    counts = [read_sealed(folder / MANIFEST, {"dropped": dict})["dropped"] for folder in folders]
    return {key: sum(count[key] for count in counts) for key in DROPPED}


def _check_splits(manifest: dict[str, Any], dropped: dict[str, int], corpus: Path, config: ShardConfig) -> None:
    """UserError if a split is without text."""
    empty = [split for split, totals in manifest["splits"].items() if totals["text_bytes"] == 0]
    if len(empty) == len(SPLITS):
        short, alike = (f"{dropped[key]:,}" for key in DROPPED)
        raise UserError(
            f"{corpus} has no text that stays ({short} short documents and {alike} near-duplicates are dropped); name "
            "another source in fetch_corpus.sources, or lower shard_corpus.min_document_characters."
        )
    if empty:
        raise UserError(
            f"no text fell into {empty[0]}; change shard_corpus.val_fraction {config.val_fraction}, or for a single "
            "text set shard_corpus.split to tail."
        )
