"""Messages as token shards: those to train and to validate on, and nothing of any other split."""

from pathlib import Path

import pandas as pd

from scratchlm.datasets.message_shards import shard_messages
from scratchlm.datasets.shards import TokenShards
from scratchlm.datasets.tokenizers import load_tokenizer
from tests.corpora import write_byte_tokenizer

TEXTS = {"train": ["win £100 \U0001f600", "see you", "a"], "val": ["ok"], "test": ["secret"], "unused": ["secret"]}


def test_a_message_is_a_document_and_the_test_split_stays_out(tmp_path: Path):
    write_byte_tokenizer(tmp_path / "tokenizer")
    tokenizer = load_tokenizer(tmp_path / "tokenizer")
    frames = {name: pd.DataFrame({"label": "ham", "text": texts}) for name, texts in TEXTS.items()}
    manifest = shard_messages(frames, tokenizer, tmp_path / "shards")
    shards = TokenShards(tmp_path / "shards")
    shards.check_tokenizer(tokenizer, tmp_path / "tokenizer")
    for split in ("train", "val"):
        assert [tokenizer.decode(document.tolist()) for document in shards.documents(split)] == TEXTS[split]
        assert shards.byte_count(split) == sum(len(text.encode()) for text in TEXTS[split])
    assert manifest == shards.manifest
    assert len(manifest["shards"]) == 2
