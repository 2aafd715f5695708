"""The stage shard_corpus, as DVC runs it."""

import pytest

from scratchlm.artifacts import read_json
from scratchlm.datasets.shards import TokenShards
from tests.conftest import Workspace
from tests.corpora import write_byte_tokenizer, write_corpus


def test_the_corpus_becomes_shards_and_counts(workspace: Workspace):
    texts = [f"text {number}" for number in range(40)]
    write_corpus(workspace.path / "data/raw/corpus", {"a.jsonl": texts[:20], "b.jsonl": texts[20:]})
    write_byte_tokenizer(workspace.path / "data/tokenizer")
    workspace.set("shard_corpus.val_fraction", 0.3)
    assert workspace.run("shard_corpus").returncode == 0
    metrics = read_json(workspace.path / "metrics/shard_corpus.json")
    shards = TokenShards(workspace.path / "data/tokens")
    assert metrics["train_documents"] + metrics["val_documents"] == 40
    for split in ("train", "val"):
        tokens = shards.read(split, 0, shards.token_count(split))
        assert (tokens == shards.eot_id).sum() == metrics[f"{split}_documents"]
        assert (
            len(tokens) == metrics[f"{split}_tokens"] == metrics[f"{split}_text_bytes"] + metrics[f"{split}_documents"]
        )


@pytest.mark.parametrize("files", [{}, {"a.jsonl": [""]}])
def test_a_corpus_of_nothing_ends_in_one_line(files: dict[str, list[str]], workspace: Workspace):
    write_corpus(workspace.path / "data/raw/corpus", files)
    write_byte_tokenizer(workspace.path / "data/tokenizer")
    done = workspace.run("shard_corpus")
    assert done.returncode == 1
    assert done.stderr.startswith("shard_corpus: data/raw/corpus has no text that stays")
    assert done.stderr.count("\n") == 1
    assert not (workspace.path / "data/tokens").exists()
