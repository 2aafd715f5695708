"""From a corpus to token shards: one file at a time, each a pure function of its bytes, on all processors."""

import hashlib
import itertools
import multiprocessing
import os
import signal
import threading
from collections.abc import Iterator
from concurrent.futures import ProcessPoolExecutor
from concurrent.futures.process import BrokenProcessPool
from contextlib import closing
from pathlib import Path
from typing import Any, Literal

from pydantic import Field
from tqdm import tqdm

from scratchlm.artifacts import MANIFEST, atomic_directory, has_sha256, read_json, verify_file, write_json
from scratchlm.datasets.corpus import corpus_files
from scratchlm.datasets.documents import read_documents
from scratchlm.datasets.shards import SPLITS, TOTALS, ShardWriter, write_shard_manifest
from scratchlm.datasets.tokenizers import load_tokenizer
from scratchlm.errors import UserError
from scratchlm.params import Schema
from scratchlm.workspace import work_folder


class ShardConfig(Schema):
    """How the text is split, and how many tokens a shard holds at most."""

    split: Literal["document", "tail"]
    val_fraction: float = Field(gt=0, lt=1)
    shard_tokens: int = Field(gt=0)


def shard_corpus(corpus: Path, tokenizer: Path, config: ShardConfig, directory: Path) -> dict[str, Any]:
    """Write every file of a corpus as token shards, and their manifest last; returns the manifest.

    The bytes do not depend on the number of processes: $SCRATCHLM_WORKERS, else one a processor. Files that a killed
    run had finished wait in `.work/shard_corpus/`.
    """
    files = corpus_files(corpus)
    loaded = load_tokenizer(tokenizer)
    hashes = {file["name"]: file["sha256"] for file in files}
    inputs = {"params": config.model_dump(), "tokenizer": loaded.sha256, "corpus": hashes}
    with work_folder("shard_corpus", inputs) as work:
        folders = [work / "files" / file["name"] for file in files]
        _run([(corpus, file, tokenizer, config, folder) for file, folder in zip(files, folders, strict=True)])
        with atomic_directory(directory) as partial:
            manifest = write_shard_manifest(partial, folders, loaded)
            for split, totals in manifest["splits"].items():
                if totals["text_bytes"] == 0:
                    raise UserError(
                        f"no text fell into {split}; change shard_corpus.val_fraction {config.val_fraction}."
                    )
    return manifest


def shard_file(corpus: Path, file: dict[str, Any], tokenizer: Path, config: ShardConfig, directory: Path) -> None:
    """Write the shards of one corpus file (an entry of the corpus manifest), unless they stand there whole."""
    if _is_whole(directory):
        return
    path = corpus / file["name"]
    verify_file(path, file["bytes"], file["sha256"])
    encoder = load_tokenizer(tokenizer)
    with atomic_directory(directory) as partial:
        train, val = (ShardWriter(partial, split, path.name, encoder, config.shard_tokens) for split in SPLITS)
        with closing(train), closing(val):
            for is_val, text in _split_documents(path, config):
                (val if is_val else train).add(text)
        write_json(partial / MANIFEST, {"shards": train.shards + val.shards})


def count_shards(manifest: dict[str, Any]) -> dict[str, float]:
    """The metrics of a shard manifest: totals of each split, bytes per token, number of shards."""
    splits = manifest["splits"]
    totals = {f"{split}_{key}": splits[split][key] for split in SPLITS for key in TOTALS}
    text_bytes, tokens = (sum(splits[split][key] for split in SPLITS) for key in ("text_bytes", "tokens"))
    return {**totals, "bytes_per_token": text_bytes / tokens, "shards": len(manifest["shards"])}


def _split_documents(path: Path, config: ShardConfig) -> Iterator[tuple[bool, str]]:
    """The documents of a file, each with whether it is for validation."""
    if config.split == "document":
        for text in read_documents(path):
            # By the text alone: equal texts go the same way, whatever else the corpus holds.
            draw = int.from_bytes(hashlib.sha256(text.encode()).digest()[:8], "big") / 2**64
            yield draw < config.val_fraction, text
        return
    texts = list(itertools.islice(read_documents(path), 2))
    if len(texts) != 1:
        raise UserError(f"{path} is no single text, and `split: tail` cuts one; set shard_corpus.split to document.")
    cut = int(len(texts[0]) * (1 - config.val_fraction))
    yield False, texts[0][:cut]
    yield True, texts[0][cut:]


def _is_whole(directory: Path) -> bool:
    if not directory.exists():
        return False
    shards = read_json(directory / MANIFEST)["shards"]
    return all(has_sha256(directory / shard["file"], shard["sha256"]) for shard in shards)


def _run(jobs: list[tuple[Path, dict[str, Any], Path, ShardConfig, Path]]) -> None:
    """Run `shard_file` for every job, the largest first."""
    jobs = sorted(jobs, key=lambda job: job[1]["bytes"], reverse=True)
    workers = min(_processor_count(), len(jobs))
    context = multiprocessing.get_context("spawn")
    with ProcessPoolExecutor(workers, context, _start_worker) as pool:
        try:
            results = pool.map(shard_file, *zip(*jobs, strict=True))
            for _ in tqdm(results, "sharding", len(jobs), unit="file", disable=None):
                pass
        except BrokenProcessPool:
            raise UserError(
                f"one of {workers} tokenizing processes was killed; if memory ran out, set SCRATCHLM_WORKERS to fewer."
            ) from None


def _processor_count() -> int:
    text = os.environ.get("SCRATCHLM_WORKERS")
    if text is None:
        return len(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else os.cpu_count() or 1
    if not text.isdecimal() or int(text) < 1:
        raise UserError(f"SCRATCHLM_WORKERS is {text!r}; it has to be a number of processes, 1 or more.")
    return int(text)


def _start_worker() -> None:
    """End without a traceback on Ctrl-C, and when the parent is gone: a killed stage leaves no writer behind."""
    signal.signal(signal.SIGINT, signal.SIG_DFL)
    parent = multiprocessing.parent_process()
    assert parent is not None
    threading.Thread(target=lambda: (parent.join(), os._exit(1)), daemon=True).start()
