"""The token shard format: header-free files of little-endian integers and a manifest; its writer and its reader."""

import hashlib
from pathlib import Path
from typing import Any

import numpy as np

from scratchlm.artifacts import MANIFEST, link_file, read_json, verify_file, write_json
from scratchlm.datasets.tokenizers import Tokenizer
from scratchlm.errors import UserError

FORMAT = 1
SPLITS = ("train", "val")
TOTALS = ("documents", "tokens", "text_bytes")


class ShardWriter:
    """Writes the documents of one split into `directory`, an end of text after each.

    A shard is closed before a document would take it past `shard_tokens`; a longer document has a shard of its own.
    `shards` describes what was written, once `close` was called.
    """

    def __init__(self, directory: Path, split: str, source: str, tokenizer: Tokenizer, shard_tokens: int) -> None:
        self.shards: list[dict[str, Any]] = []
        self._directory, self._split, self._source = directory, split, source
        self._tokenizer, self._shard_tokens = tokenizer, shard_tokens
        self._dtype = _dtype(_dtype_name(tokenizer.vocab_size))

    def add(self, text: str) -> None:
        """Append one document."""
        tokens = np.append(self._tokenizer.encode_to_numpy(text), self._tokenizer.eot_id).astype(self._dtype)
        if not self.shards or self.shards[-1]["tokens"] + len(tokens) > self._shard_tokens:
            self._begin_shard()
        self._file.write(tokens.data)
        self._sha256.update(tokens.data)
        for key, count in zip(TOTALS, (1, len(tokens), len(text.encode())), strict=True):
            self.shards[-1][key] += count

    def close(self) -> None:
        """Close the last shard."""
        if self.shards:
            self._file.close()
            self.shards[-1]["sha256"] = self._sha256.hexdigest()

    def _begin_shard(self) -> None:
        self.close()
        name = _shard_name(self._split, len(self.shards))
        self._file = (self._directory / name).open("wb")
        self._sha256 = hashlib.sha256()
        self.shards.append({"file": name, "split": self._split, "source": self._source, **dict.fromkeys(TOTALS, 0)})


def write_shard_manifest(directory: Path, folders: list[Path], tokenizer: Tokenizer) -> dict[str, Any]:
    """Collect the shards that the `manifest.json` of each folder lists in one directory; returns its manifest."""
    shards: list[dict[str, Any]] = []
    for folder in folders:
        for shard in read_json(folder / MANIFEST)["shards"]:
            name = _shard_name(shard["split"], sum(other["split"] == shard["split"] for other in shards))
            link_file(folder / shard["file"], directory / name)
            shards.append({**shard, "file": name})
    manifest = {
        "format": FORMAT,
        "dtype": _dtype_name(tokenizer.vocab_size),
        "vocab_size": tokenizer.vocab_size,
        "eot_id": tokenizer.eot_id,
        "tokenizer_sha256": tokenizer.sha256,
        "splits": {
            split: {key: sum(shard[key] for shard in shards if shard["split"] == split) for key in TOTALS}
            for split in SPLITS
        },
        "shards": shards,
    }
    write_json(directory / MANIFEST, manifest)
    return manifest


class TokenShards:
    """The tokens of each split as one array over its shards, read through memory maps.

    UserError if a file is not what the manifest says: sizes are always checked, hashes unless `verify` is False.
    """

    def __init__(self, directory: Path, verify: bool = True) -> None:
        self.manifest: dict[str, Any] = read_json(directory / MANIFEST)
        if self.manifest.get("format") != FORMAT:
            raise UserError(
                f"{directory} has format {self.manifest.get('format')}, not {FORMAT}; run shard_corpus again."
            )
        self.directory = directory
        self.eot_id: int = self.manifest["eot_id"]
        self.vocab_size: int = self.manifest["vocab_size"]
        dtype = _dtype(self.manifest["dtype"])
        self._arrays: dict[str, list[np.ndarray]] = {split: [] for split in SPLITS}
        for shard in self.manifest["shards"]:
            path = directory / shard["file"]
            verify_file(path, shard["tokens"] * dtype.itemsize, shard["sha256"] if verify else None)
            self._arrays[shard["split"]].append(np.memmap(path, dtype, mode="r"))
        self._ends = {split: np.cumsum([len(array) for array in arrays]) for split, arrays in self._arrays.items()}

    def check_tokenizer(self, tokenizer: Tokenizer) -> None:
        """UserError unless it is the tokenizer whose tokens these are."""
        if (ours := self.manifest["tokenizer_sha256"]) != tokenizer.sha256:
            raise UserError(
                f"{self.directory} was made with the tokenizer {ours[:12]}..., not with {tokenizer.sha256[:12]}...; "
                "run shard_corpus again."
            )

    def token_count(self, split: str) -> int:
        """How many tokens the split has, the ends of documents included."""
        return self.manifest["splits"][split]["tokens"]

    def byte_count(self, split: str) -> int:
        """How many bytes of UTF-8 the text of the split has."""
        return self.manifest["splits"][split]["text_bytes"]

    def read(self, split: str, start: int, length: int) -> np.ndarray:
        """`length` tokens of a split from `start`, as int64; IndexError where there are none."""
        if not 0 <= start <= start + length <= self.token_count(split):
            raise IndexError(f"tokens {start} to {start + length} of the {self.token_count(split)} in {split}")
        arrays, ends = self._arrays[split], self._ends[split]
        pieces = [np.empty(0, np.int64)]
        index = int(np.searchsorted(ends, start, side="right"))
        while length:
            array = arrays[index]
            offset = start - (int(ends[index]) - len(array))
            pieces.append(array[offset : offset + length].astype(np.int64))
            start, length = start + len(pieces[-1]), length - len(pieces[-1])
            index += 1
        return np.concatenate(pieces)


def _dtype_name(vocab_size: int) -> str:
    return "uint16" if vocab_size <= 2**16 else "uint32"


def _dtype(name: str) -> np.dtype:
    return np.dtype(name).newbyteorder("<")


def _shard_name(split: str, index: int) -> str:
    return f"{split}-{index:05d}.bin"
