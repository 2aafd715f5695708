"""Small corpora, a tokenizer of single bytes, and token shards, made as the stages make them."""

import json
from collections.abc import Mapping, Sequence
from contextlib import closing
from pathlib import Path

from tokenizers.pre_tokenizers import ByteLevel

from scratchlm.artifacts import write_jsonl
from scratchlm.checksums import MANIFEST, sha256_file, write_manifest, write_sealed
from scratchlm.datasets.documents import read_documents
from scratchlm.datasets.sharding import ShardConfig
from scratchlm.datasets.shards import ShardWriter, TokenShards, write_shard_manifest
from scratchlm.datasets.tokenizers import END_OF_TEXT, Tokenizer, load_tokenizer, write_byte_pair_tokenizer

DOCUMENT = ShardConfig(
    min_document_characters=0,
    near_duplicates="keep",
    near_duplicate_threshold=0.8,
    split="document",
    val_fraction=0.3,
    shard_tokens=500,
    engine="tiktoken",
)
PROSE = "The cat's hat isn't the dog's 2nd hat; the 3 cats' hats are. " * 9  # in which merges are found
TAIL = DOCUMENT.model_copy(update={"split": "tail", "val_fraction": 0.1, "shard_tokens": 10**8})


def write_corpus(folder: Path, files: Mapping[str, Sequence[str]]) -> Path:
    """A folder as fetch_corpus leaves it: JSONL files, or one text as .txt, and their manifest."""
    folder.mkdir(parents=True)
    for name, texts in files.items():
        if name.endswith(".txt"):
            (folder / name).write_text("".join(texts), encoding="utf-8")
        else:
            write_jsonl(folder / name, ({"text": text} for text in texts))
    write_corpus_manifest(folder)
    return folder


def write_corpus_manifest(folder: Path) -> None:
    """The manifest of the files that lie in a folder."""
    files = [
        {"name": path.name, "url": path.name, "bytes": path.stat().st_size, "sha256": sha256_file(path), "licence": ""}
        for path in sorted(folder.iterdir())
    ]
    write_sealed(folder / MANIFEST, {"files": files})


def read_texts(path: Path) -> list[str]:
    """The documents of a corpus file, each as one string."""
    return ["".join(document) for document in read_documents(path)]


def write_byte_tokenizer(folder: Path) -> Tokenizer:
    """A tokenizer directory with 256 bytes, no merges, and end of text."""
    folder.mkdir(parents=True)
    entries = [*sorted(ByteLevel.alphabet()), END_OF_TEXT]
    write_byte_pair_tokenizer(folder, {entry: number for number, entry in enumerate(entries)}, [])
    write_manifest(folder)
    return load_tokenizer(folder)


def write_shards(folder: Path, tokenizer: Tokenizer, splits: Mapping[str, Sequence[str]], shard_tokens: int) -> Path:
    """Token shards of some documents."""
    written = []
    folder.mkdir(parents=True)
    for split, texts in splits.items():
        part = folder.with_name(f"{folder.name}-{split}")
        part.mkdir()
        with closing(ShardWriter(part, split, "memory", tokenizer, shard_tokens)) as writer:
            for text in texts:
                writer.add(tokenizer.encode_to_numpy(text), len(text.encode()))
        write_sealed(part / MANIFEST, {"shards": writer.shards})
        written.append(part)
    write_shard_manifest(folder, written, tokenizer)
    return folder


def read_all(folder: Path, split: str) -> list[int]:
    """Every token of a split."""
    shards = TokenShards(folder)
    return shards.read(split, 0, shards.token_count(split)).tolist()


def file_hashes(folder: Path) -> dict[str, str]:
    """What stands in a folder, to compare two of them."""
    return {path.name: sha256_file(path) for path in sorted(folder.iterdir())}


def documents_of(path: Path) -> list[str]:
    """The texts of a JSONL file, read with the standard library alone."""
    return [json.loads(line)["text"] for line in path.read_text(encoding="utf-8").split("\n") if line]
