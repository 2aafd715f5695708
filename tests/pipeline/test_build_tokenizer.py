"""The stage build_tokenizer, as DVC runs it."""

from scratchlm.artifacts import read_json
from scratchlm.datasets.tokenizers import load_tokenizer
from tests.conftest import Workspace
from tests.corpora import write_corpus


def test_a_bpe_is_trained_on_the_corpus(workspace: Workspace):
    texts = [f"The {name} sat on the mat with the other {name}s." for name in ("cat", "dog", "bat", "rat")]
    write_corpus(workspace.path / "data/raw/corpus", {"a.jsonl": texts})
    workspace.set("build_tokenizer.vocab_size", 280)
    assert workspace.run("build_tokenizer").returncode == 0
    metrics = read_json(workspace.path / "metrics/build_tokenizer.json")
    assert (metrics["vocab_size"], metrics["train_bytes"]) == (280, sum(map(len, texts)))
    tokenizer = load_tokenizer(workspace.path / "data/tokenizer")
    assert metrics["bytes_per_token"] == sum(map(len, texts)) / sum(len(tokenizer.encode(text)) for text in texts)
