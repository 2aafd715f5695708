"""Short documents and near-duplicates are dropped before a corpus becomes shards, and counted."""

import shutil
from pathlib import Path

import pytest

from scratchlm.datasets.sharding import shard_corpus
from scratchlm.datasets.shards import SPLITS, TokenShards
from scratchlm.datasets.tokenizers import load_tokenizer
from tests.corpora import DOCUMENT, file_hashes, write_corpus

pytestmark = pytest.mark.usefixtures("one_worker")


@pytest.fixture
def corpus(project: Path) -> Path:
    return write_corpus(
        project / "corpus", {f"{name}.jsonl": [f"{name}{row} " * 20 for row in range(20)] for name in "abcd"}
    )


def test_short_documents_are_dropped_and_counted(tokenizer: Path, project: Path):
    texts = [letter * length for letter in "abcdefgh" for length in range(1, 11)]
    corpus = write_corpus(project / "corpus", {"a.jsonl": texts, "b.txt": ["xyz"]})
    config = DOCUMENT.model_copy(update={"min_document_characters": 4})
    counts = shard_corpus(corpus, tokenizer, config, project / "tokens")
    assert counts["short_documents_dropped"] == 8 * 3 + 1
    assert counts["train_documents"] + counts["val_documents"] == 8 * 7
    shards = TokenShards(project / "tokens")
    assert min(len(tokens) for split in SPLITS for tokens in shards.documents(split)) == 4


def test_of_near_duplicates_the_first_by_file_and_row_stays(
    tokenizer: Path, project: Path, monkeypatch: pytest.MonkeyPatch
):
    long = " ".join(map(str, range(200)))
    corpus = write_corpus(
        project / "corpus",
        {
            "a.jsonl": ["x", "one two three four", long, "ONE two  three four"],
            "b.jsonl": [f"{long} 200", "x", "another text", long],
            "c.jsonl": ["x", "another text!", "a third one"],
        },
    )
    config = DOCUMENT.model_copy(update={"near_duplicates": "drop", "min_document_characters": 2})
    kept = []
    for workers in ("1", "3"):
        monkeypatch.setenv("SCRATCHLM_WORKERS", workers)
        shutil.rmtree(project / ".work", ignore_errors=True)
        counts = shard_corpus(corpus, tokenizer, config, project / "tokens")
        assert (counts["short_documents_dropped"], counts["near_duplicates_dropped"]) == (3, 4)
        shards, decode = TokenShards(project / "tokens"), load_tokenizer(tokenizer).decode
        kept.append({decode(tokens.tolist()) for split in SPLITS for tokens in shards.documents(split)})
    assert kept[0] == kept[1] == {"one two three four", long, "another text", "a third one"}


def test_with_near_duplicates_kept_the_shards_are_the_same_whatever_the_threshold(
    corpus: Path, tokenizer: Path, project: Path
):
    shard_corpus(corpus, tokenizer, DOCUMENT, project / "tokens")
    whole = file_hashes(project / "tokens")
    shard_corpus(corpus, tokenizer, DOCUMENT.model_copy(update={"near_duplicate_threshold": 0.5}), project / "tokens")
    assert file_hashes(project / "tokens") == whole


def test_a_run_killed_between_the_phases_uses_the_signatures_that_it_had(corpus: Path, tokenizer: Path, project: Path):
    config = DOCUMENT.model_copy(update={"near_duplicates": "drop"})
    shard_corpus(corpus, tokenizer, config, project / "tokens")
    whole = file_hashes(project / "tokens")
    (work,) = {path.parent for path in (project / ".work").glob("shard_corpus/*/signatures")}
    shutil.rmtree(work / "files")
    shutil.rmtree(work / "signatures/c.jsonl")
    (work / "finished").unlink()
    kept = (work / "signatures/a.jsonl").stat().st_mtime_ns
    shard_corpus(corpus, tokenizer, config, project / "tokens")
    assert file_hashes(project / "tokens") == whole
    assert (work / "signatures/a.jsonl").stat().st_mtime_ns == kept
