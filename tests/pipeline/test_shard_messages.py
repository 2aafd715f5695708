"""The stage shard_messages, as DVC runs it."""

from pathlib import Path

import pandas as pd

from scratchlm.artifacts import read_json
from scratchlm.datasets.shards import TokenShards
from scratchlm.datasets.sms_spam import write_sms_spam
from tests.conftest import Workspace
from tests.corpora import write_byte_tokenizer


def test_it_writes_shards_that_continue_pretraining_reads(workspace: Workspace):
    frames = {
        name: pd.DataFrame({"label": ["ham", "spam"], "text": [name, "win"]}) for name in ("train", "val", "test")
    }
    write_sms_spam(Path("data/sms_spam"), {**frames, "unused": frames["test"].iloc[:1]}, ["ham", "spam"])
    write_byte_tokenizer(Path("data/tokenizer"))
    workspace.set("shard_messages.names", ["message_tokens"])
    assert workspace.run("shard_messages", "message_tokens").returncode == 0
    counts = read_json(Path("metrics/shard_messages_message_tokens.json"))
    assert counts == {
        "train_documents": 2, "train_tokens": 10, "train_text_bytes": 8,
        "val_documents": 2, "val_tokens": 8, "val_text_bytes": 6,
    }  # fmt: skip
    assert TokenShards(Path("data/message_tokens")).document_count("train") == 2
    refused = workspace.run("shard_messages", "others")
    assert (refused.returncode, refused.stderr.count("\n")) == (1, 1)
