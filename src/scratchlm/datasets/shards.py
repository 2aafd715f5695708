"""The token shard format: header-free files of little-endian integers and a manifest; its writer and its reader."""

import shutil
from collections import Counter
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from functools import lru_cache, partial
from pathlib import Path
from typing import Any

import numpy as np

from scratchlm.artifacts import check_fields, link_file, read_object
from scratchlm.checksums import MANIFEST, read_sealed, sha256_file, verify_file, write_sealed
from scratchlm.datasets.tokenizers import Tokenizer
from scratchlm.errors import UserError

FORMAT = 2
SPLITS = ("train", "val")
TOTALS = ("documents", "tokens", "text_bytes")
FIELDS = {"dtype": str, "vocab_size": int, "eot_id": int, "tokenizer_sha256": str, "splits": dict, "shards": list}
SHARD_FIELDS = {"file": str, "split": str, "source": str, **dict.fromkeys(TOTALS, int), "sha256": str}
OPEN_SHARDS = 2**8  # at a time: each is an open file, of which a process usually may have 1,024
WINDOW = 2**20  # tokens searched at a time for ends of text


class ShardWriter:
    """Writes the documents of one split into `directory`, an end of text after each.

    A shard is closed before a document would take it past `shard_tokens`; a longer document has a shard of its own.
    `shards` describes what was written, once `close` was called.
    """

    def __init__(self, directory: Path, split: str, source: str, tokenizer: Tokenizer, shard_tokens: int) -> None:
        self.shards: list[dict[str, Any]] = []
        self._directory, self._split, self._source = directory, split, source
        self._shard_tokens = shard_tokens
        self._dtype = _dtype(_dtype_name(tokenizer.vocab_size))
        self._end_of_text = np.array([tokenizer.eot_id], self._dtype)
        self._tokens = self._text_bytes = 0  # of the document that has not ended

    def add(self, tokens: np.ndarray, text_bytes: int, ends: bool = True) -> None:
        """Append a document, or a part of one whose last part `ends` it."""
        if not self.shards:
            self._begin_shard()
        self._tokens += self._write(tokens)
        self._text_bytes += text_bytes
        if ends:
            self._tokens += self._write(self._end_of_text)
            self._end_document()

    def close(self) -> None:
        """Close the last shard."""
        if self.shards:
            self._file.close()
            self.shards[-1]["sha256"] = sha256_file(self._path)

    def _end_document(self) -> None:
        if self.shards[-1]["documents"] and self.shards[-1]["tokens"] + self._tokens > self._shard_tokens:
            self._move_to_next_shard(self.shards[-1]["tokens"] * self._dtype.itemsize)
        for key, count in zip(TOTALS, (1, self._tokens, self._text_bytes), strict=True):
            self.shards[-1][key] += count
        self._tokens = self._text_bytes = 0

    def _write(self, tokens: np.ndarray) -> int:
        self._file.write(tokens.astype(self._dtype, copy=False).data)
        return len(tokens)

    def _begin_shard(self) -> None:
        name = _shard_name(self._split, len(self.shards))
        self._path = self._directory / name
        self._file = self._path.open("w+b")
        self.shards.append({"file": name, "split": self._split, "source": self._source, **dict.fromkeys(TOTALS, 0)})

    def _move_to_next_shard(self, start: int) -> None:
        """Take what was written from the byte `start` on out of the last shard, and begin the next with it."""
        with self._file as full:
            self._begin_shard()
            full.seek(start)
            shutil.copyfileobj(full, self._file)
            full.truncate(start)
        self.shards[-2]["sha256"] = sha256_file(self._directory / self.shards[-2]["file"])


def write_shard_manifest(directory: Path, folders: list[Path], tokenizer: Tokenizer) -> dict[str, Any]:
    """Collect the shards that the `manifest.json` of each folder lists in one directory; returns its manifest."""
    shards: list[dict[str, Any]] = []
    counts: Counter[str] = Counter()
    for folder in folders:
        for shard in read_sealed(folder / MANIFEST, {"shards": list})["shards"]:
            name = _shard_name(shard["split"], counts[shard["split"]])
            counts[shard["split"]] += 1
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
    write_sealed(directory / MANIFEST, manifest)
    return manifest


class TokenShards:
    """The tokens of each split as one array over its shards, read through memory maps.

    UserError if a file is not what the manifest says: sizes are always checked, hashes unless `verify` is False.
    """

    def __init__(self, directory: Path, verify: bool = True) -> None:
        version = read_object(directory / MANIFEST, {"format": int})["format"]
        if version != FORMAT:
            raise UserError(f"{directory} has format {version}, not {FORMAT}; run shard_corpus again.")
        self.manifest: dict[str, Any] = read_sealed(directory / MANIFEST, FIELDS)
        self.directory = directory
        self.eot_id: int = self.manifest["eot_id"]
        self.vocab_size: int = self.manifest["vocab_size"]
        self._dtype = _dtype(self.manifest["dtype"])
        self.shards: dict[str, list[dict[str, Any]]] = {split: [] for split in SPLITS}
        for number, shard in enumerate(self.manifest["shards"], start=1):
            check_fields(f"{directory / MANIFEST}, shard {number}", shard, SHARD_FIELDS)
            self.shards[shard["split"]].append(shard)
        with ThreadPoolExecutor() as pool:  # sha256 lets the interpreter go
            for _ in pool.map(partial(self._verify, hashes=verify), self.manifest["shards"]):
                pass
        self._array = lru_cache(OPEN_SHARDS)(self._map)
        self._token_totals, self._document_totals = (self._running_totals(key) for key in ("tokens", "documents"))
        self._known_ends: tuple[tuple[str, int] | None, np.ndarray] = (None, np.empty(0))

    def check_tokenizer(self, tokenizer: Tokenizer, owner: Path) -> None:
        """UserError unless it, the one of the directory `owner`, is the tokenizer whose tokens these are."""
        if (ours := self.manifest["tokenizer_sha256"]) != tokenizer.sha256:
            raise UserError(
                f"{self.directory} was made with the tokenizer {ours[:12]}..., {owner} has {tokenizer.sha256[:12]}...; "
                "run shard_corpus again, or name a model with the tokenizer of build_tokenizer."
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
        ends = self._token_totals[split]
        pieces = [np.empty(0, np.int64)]
        index = int(np.searchsorted(ends, start, side="right"))
        while length:
            array = self._array(split, index)
            offset = start - (int(ends[index]) - len(array))
            pieces.append(array[offset : offset + length].astype(np.int64))
            start, length = start + len(pieces[-1]), length - len(pieces[-1])
            index += 1
        return np.concatenate(pieces)

    def document_count(self, split: str) -> int:
        """How many documents the split has."""
        return self.manifest["splits"][split]["documents"]

    def document(self, split: str, index: int) -> np.ndarray:
        """The tokens of one document, without its end of text: a read-only view of the file; IndexError for none."""
        shard, row = self._find_document(split, index)
        ends = self._document_ends(split, shard)
        return self._array(split, shard)[ends[row - 1] + 1 if row else 0 : ends[row]]

    def documents(self, split: str) -> Iterator[np.ndarray]:
        """Every document of a split in order, as `document` gives it."""
        return (self.document(split, index) for index in range(self.document_count(split)))

    def document_source(self, split: str, index: int) -> str:
        """The name of the corpus file that a document came from; IndexError for none."""
        return self.shards[split][self._find_document(split, index)[0]]["source"]

    def _verify(self, shard: dict[str, Any], hashes: bool) -> None:
        size = shard["tokens"] * self._dtype.itemsize
        verify_file(self.directory / shard["file"], size, shard["sha256"] if hashes else None)

    def _map(self, split: str, shard: int) -> np.ndarray:
        return np.memmap(self.directory / self.shards[split][shard]["file"], self._dtype, mode="r")

    def _running_totals(self, key: str) -> dict[str, np.ndarray]:
        """For each split, how many tokens or documents it has up to the end of each shard."""
        return {split: np.cumsum([shard[key] for shard in shards]) for split, shards in self.shards.items()}

    def _find_document(self, split: str, index: int) -> tuple[int, int]:
        """The shard of a document, and which of its documents it is."""
        if not 0 <= index < self.document_count(split):
            raise IndexError(f"document {index} of the {self.document_count(split)} in {split}")
        ends = self._document_totals[split]
        shard = int(np.searchsorted(ends, index, side="right"))
        return shard, index - (int(ends[shard - 1]) if shard else 0)

    def _document_ends(self, split: str, shard: int) -> np.ndarray:
        """Where the ends of text stand in a shard; those of the shard that was asked for last are kept."""
        if self._known_ends[0] != (split, shard):
            array = self._array(split, shard)
            windows = range(0, len(array), WINDOW)
            ends = [np.flatnonzero(array[start : start + WINDOW] == self.eot_id) + start for start in windows]
            self._known_ends = (split, shard), np.concatenate(ends)
        return self._known_ends[1]


def _dtype_name(vocab_size: int) -> str:
    return "uint16" if vocab_size <= 2**16 else "uint32"


def _dtype(name: str) -> np.dtype:
    return np.dtype(name).newbyteorder("<")


def _shard_name(split: str, index: int) -> str:
    return f"{split}-{index:05d}.bin"
