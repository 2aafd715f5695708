"""Token shards of messages without their labels, for a base to be pretrained on before it is fine-tuned with them."""

import tempfile
from collections.abc import Mapping, Sequence
from contextlib import closing
from pathlib import Path
from typing import Any, Literal

import pandas as pd

from scratchlm.artifacts import atomic_directory
from scratchlm.checksums import MANIFEST, write_sealed
from scratchlm.datasets.shards import ShardWriter, write_shard_manifest
from scratchlm.datasets.tokenizers import Tokenizer

Part = Literal["train", "unused"]


def shard_messages(
    frames: Mapping[str, pd.DataFrame], parts: Sequence[Part], tokenizer: Tokenizer, directory: Path
) -> dict[str, Any]:
    """Write a document for each message: of `parts` to train on, of val to validate on; return the manifest.

    What the classifier is tested on is never read.
    """
    splits = {"train": pd.concat([frames[part] for part in parts]), "val": frames["val"]}
    with tempfile.TemporaryDirectory() as work, atomic_directory(directory) as partial:
        shards = [shard for split in splits for shard in _write_split(Path(work), split, splits[split], tokenizer)]
        write_sealed(Path(work) / MANIFEST, {"shards": shards})
        return write_shard_manifest(partial, [Path(work)], tokenizer)


def _write_split(directory: Path, split: str, frame: pd.DataFrame, tokenizer: Tokenizer) -> list[dict[str, Any]]:
    """The one shard of a split: messages are few."""
    texts = frame["text"].tolist()
    characters = sum(map(len, texts))
    writer = ShardWriter(directory, split, f"{split}.csv", tokenizer, shard_tokens=4 * characters + len(texts))
    with closing(writer):
        for text in texts:
            writer.add(tokenizer.encode_to_numpy(text), len(text.encode()))
    return writer.shards
