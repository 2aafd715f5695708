"""A look at a data folder: counts, a few samples, and where each came from."""

import json
from collections import Counter
from collections.abc import Iterator
from itertools import chain
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
from safetensors import safe_open

from scratchlm.artifacts import read_json, read_jsonl
from scratchlm.checksums import MANIFEST, verify_manifest
from scratchlm.datasets.documents import corpus_files, read_documents
from scratchlm.datasets.lookup_tokenizers import CharTokenizer, WordTokenizer
from scratchlm.datasets.shards import SPLITS, TokenShards
from scratchlm.datasets.tokenizers import BytePairTokenizer, Tokenizer, load_tokenizer
from scratchlm.errors import UserError

EXCERPT = 200  # characters
TEXTS = {".json", ".tsv", ".txt"}
KINDS = {BytePairTokenizer: "byte-level BPE", CharTokenizer: "characters", WordTokenizer: "words"}


def show_folder(directory: Path, samples: int) -> Iterator[str]:
    """The lines about a data folder, with at most `samples` samples of each part; UserError if there are none.

    Known are token shards (whose tokenizer is the folder `tokenizer` beside them), a corpus, a tokenizer, a model
    directory, and folders of CSV or JSONL files; of others, the files are listed.
    """
    if not directory.is_dir():
        raise UserError(f"{directory} is no folder; run `dvc repro` to make it, or name one such as data/tokens.")
    manifest = read_json(directory / MANIFEST) if (directory / MANIFEST).exists() else {}
    if not isinstance(manifest, dict):
        raise UserError(f"{directory / MANIFEST} holds no object; correct it, or make the folder again.")
    if "shards" in manifest:
        return _show_tokens(directory, samples)
    if (directory / "config.json").exists():
        return _show_model(directory)
    if isinstance(manifest.get("files"), list):
        return _show_corpus(directory, samples)
    if (directory / "tokenizer.json").exists():
        return _show_tokenizer(load_tokenizer(directory), samples)
    tables = sorted(path for path in directory.iterdir() if path.suffix in {".csv", ".jsonl"} and path.is_file())
    if not tables:
        return _show_files(directory, samples)
    return (line for path in tables for line in _show_table(path, samples))


def _show_tokens(directory: Path, samples: int) -> Iterator[str]:
    shards = TokenShards(directory, verify=False)
    manifest = shards.manifest
    yield f"token shards: {manifest['vocab_size']:,} entries, {manifest['dtype']}"
    for split in SPLITS:
        yield f"{split}: " + ", ".join(f"{count:,} {key}" for key, count in manifest["splits"][split].items())
        for shard in shards.shards[split]:
            counts = f"{shard['documents']:,} documents, {shard['tokens']:,} tokens"
            yield f"  {shard['file']}: {counts} of {shard['source']}"
    folder = directory.resolve().with_name("tokenizer")
    tokenizer = load_tokenizer(folder)
    shards.check_tokenizer(tokenizer, folder)
    for split in SPLITS:
        for index in _spread(shards.document_count(split), samples):
            yield f"document {index + 1:,} of {split}, from {shards.document_source(split, index)}:"
            yield f"  {_quote(tokenizer.decode(shards.document(split, index)[:EXCERPT].tolist()))}"


def _show_corpus(directory: Path, samples: int) -> Iterator[str]:
    files = corpus_files(directory)
    yield f"corpus: {len(files):,} files, {sum(file['bytes'] for file in files):,} bytes"
    for file in files:
        yield f"  {file['name']}: {file['bytes']:,} bytes, {file['licence']}, {file['url']}"
    for index in _spread(len(files), samples):
        text = next(chain.from_iterable(read_documents(directory / files[index]["name"])), "")
        yield f"first document of {files[index]['name']}:"
        yield f"  {_quote(text)}"


def _show_tokenizer(tokenizer: Tokenizer, samples: int) -> Iterator[str]:
    yield f"tokenizer: {KINDS[type(tokenizer)]}, {tokenizer.vocab_size:,} entries, sha256 {tokenizer.sha256[:16]}"
    for index in _spread(tokenizer.eot_id, samples):
        yield f"  {index:,}: {_quote(tokenizer.decode([index]))}"
    yield f"  {tokenizer.eot_id:,}: {_quote(tokenizer.decode([tokenizer.eot_id]))}"


def _show_model(directory: Path) -> Iterator[str]:
    """Size, files, and the lineage that the model card states."""
    verify_manifest(directory)
    config = read_json(directory / "config.json")
    with safe_open(directory / "model.safetensors", "np") as tensors:
        shapes = [tensors.get_slice(name).get_shape() for name in tensors.keys()]  # noqa: SIM118 (it is no dict)
    names = ", ".join(config.get("architectures", ["a classifier that no class of transformers computes"]))
    yield f"model: {names}, {sum(int(np.prod(shape)) for shape in shapes):,} parameters"
    for key in ("n_layer", "n_head", "n_embd", "n_positions", "vocab_size", "id2label", "readout"):
        if key in config:
            yield f"  {key}: {config[key]}"
    for name, entry in read_json(directory / MANIFEST)["files"].items():
        yield f"  {name}: {entry['bytes']:,} bytes"
    card = (directory / "README.md").read_text(encoding="utf-8")
    _, _, lineage = card.partition("## Lineage\n")
    yield from lineage.partition("\n## ")[0].strip().splitlines()


def _show_table(path: Path, samples: int) -> Iterator[str]:
    """The rows of a CSV or JSONL file, counted by label where they have one."""
    rows = read_jsonl(path) if path.suffix == ".jsonl" else _read_csv(path)
    if not all(isinstance(row, dict) for row in rows):
        raise UserError(f"{path} has lines that are no JSON objects; make it again.")
    labels = Counter(str(row["label"]) for row in rows if "label" in row)
    counts = "".join(f", {count:,} {label}" for label, count in sorted(labels.items()))
    yield f"{path.name}: {len(rows):,} rows{counts}"
    for index in _spread(len(rows), samples):
        yield f"  row {index + 1:,} of {path.name}:"
        for key, value in rows[index].items():
            yield f"    {key}: {_quote(value)}"


def _show_files(directory: Path, samples: int) -> Iterator[str]:
    """Files and folders in a folder, and the beginnings of at most `samples` texts among them."""
    paths = sorted(directory.iterdir())
    if not paths:
        raise UserError(f"{directory} is empty; run `dvc repro` to fill it.")
    for path in paths:
        yield f"{path.name}/: a folder" if path.is_dir() else f"{path.name}: {path.lstat().st_size:,} bytes"
    texts = [path for path in paths if path.suffix in TEXTS and path.is_file()]
    for index in _spread(len(texts), samples):
        with texts[index].open(encoding="utf-8", errors="replace") as file:
            yield f"beginning of {texts[index].name}:"
            yield f"  {_quote(file.read(EXCERPT + 1))}"


def _read_csv(path: Path) -> list[dict[Any, Any]]:
    try:
        return pd.read_csv(path, dtype=str, keep_default_na=False).to_dict("records")
    except ValueError as error:  # pandas' own, and of UTF-8
        raise UserError(f"{path} is no readable CSV file: {error}; make it again.") from None


def _spread(count: int, samples: int) -> list[int]:
    """At most `samples` of the numbers below `count`, evenly spaced from 0."""
    return [count * number // samples for number in range(samples)] if count > samples else list(range(count))


def _quote(value: Any) -> str:
    """A value on one line, control characters escaped, cut where it is long."""
    text = json.dumps(value[:EXCERPT] if isinstance(value, str) else value, ensure_ascii=False)
    return f"{text} ..." if isinstance(value, str) and len(value) > EXCERPT else text
