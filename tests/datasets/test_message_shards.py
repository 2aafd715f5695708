"""Messages as token shards: those to train and to validate on, and nothing of any other split."""

from pathlib import Path

import pandas as pd
import pytest

from scratchlm.datasets.message_shards import Part, shard_messages
from scratchlm.datasets.shards import TokenShards
from scratchlm.datasets.tokenizers import load_tokenizer
from tests.corpora import write_byte_tokenizer

TEXTS = {"train": ["win £100 \U0001f600", "see you", "a"], "val": ["ok"], "test": ["secret"], "unused": ["later"]}


@pytest.mark.parametrize("parts", [["train"], ["train", "unused"]])
def test_a_message_is_a_document_and_the_test_split_stays_out(tmp_path: Path, parts: list[Part]):
    write_byte_tokenizer(tmp_path / "tokenizer")
    tokenizer = load_tokenizer(tmp_path / "tokenizer")
    frames = {name: pd.DataFrame({"label": "ham", "text": texts}) for name, texts in TEXTS.items()}
    manifest = shard_messages(frames, parts, tokenizer, tmp_path / "shards")
    shards = TokenShards(tmp_path / "shards")
    shards.check_tokenizer(tokenizer, tmp_path / "tokenizer")
    expected = {"train": [text for part in parts for text in TEXTS[part]], "val": TEXTS["val"]}
    for split, texts in expected.items():
        assert [tokenizer.decode(document.tolist()) for document in shards.documents(split)] == texts
        assert shards.byte_count(split) == sum(len(text.encode()) for text in texts)
    assert manifest == shards.manifest
    assert len(manifest["shards"]) == 2
