"""A corpus becomes the same shards however many processes write them and however often they are killed."""

import os
import shutil
import signal
import subprocess
import sys
import time
from pathlib import Path

import pytest

from scratchlm.datasets.documents import read_documents
from scratchlm.datasets.sharding import ShardConfig, count_shards, shard_corpus, shard_file
from scratchlm.datasets.shards import TokenShards
from scratchlm.datasets.tokenizers import load_tokenizer
from scratchlm.errors import UserError
from tests.corpora import file_hashes, read_all, write_byte_tokenizer, write_corpus, write_corpus_manifest

CONFIG = ShardConfig(split="document", val_fraction=0.3, shard_tokens=500)
TAIL = ShardConfig(split="tail", val_fraction=0.1, shard_tokens=10**8)
FILES = {f"{letter}.jsonl": [f"{letter}{number} " * 20 for number in range(20)] for letter in "abcdefg"}


@pytest.fixture
def tokenizer(project: Path) -> Path:
    write_byte_tokenizer(project / "tokenizer")
    return project / "tokenizer"


@pytest.fixture
def corpus(project: Path) -> Path:
    return write_corpus(project / "corpus", FILES)


def test_the_bytes_are_the_same_with_1_2_and_5_workers(
    corpus: Path, tokenizer: Path, project: Path, monkeypatch: pytest.MonkeyPatch
):
    hashes = []
    for workers in ("1", "2", "5"):
        monkeypatch.setenv("SCRATCHLM_WORKERS", workers)
        shutil.rmtree(project / ".work", ignore_errors=True)
        shard_corpus(corpus, tokenizer, CONFIG, project / "tokens")
        hashes.append(file_hashes(project / "tokens"))
    assert hashes[0] == hashes[1] == hashes[2]
    assert len(hashes[0]) > 2 * len(FILES)


def test_a_killed_run_goes_on_and_ends_with_the_same_bytes(corpus: Path, tokenizer: Path, project: Path):
    shard_corpus(corpus, tokenizer, CONFIG, project / "tokens")
    whole = file_hashes(project / "tokens")
    shutil.rmtree(project / ".work")
    code = f"""
from pathlib import Path
from scratchlm.datasets.sharding import *
if __name__ == "__main__":
    config = ShardConfig.model_validate({CONFIG.model_dump()})
    shard_corpus(Path({str(corpus)!r}), Path({str(tokenizer)!r}), config, Path({str(project / "killed")!r}))
"""
    (project / "main.py").write_text(code)
    environment = os.environ | {"SCRATCHLM_WORKERS": "2"}
    process = subprocess.Popen([sys.executable, project / "main.py"], env=environment)
    while not (finished := list((project / ".work").glob("shard_corpus/*/files/*.jsonl/manifest.json"))):
        time.sleep(0.001)
    process.send_signal(signal.SIGKILL)
    process.wait()
    assert not (project / "killed").exists()
    time_written = finished[0].stat().st_mtime_ns
    shard_corpus(corpus, tokenizer, CONFIG, project / "killed")
    assert finished[0].stat().st_mtime_ns == time_written
    assert file_hashes(project / "killed") == whole


def test_a_part_that_waits_damaged_is_written_again(corpus: Path, tokenizer: Path, project: Path):
    shard_corpus(corpus, tokenizer, CONFIG, project / "tokens")
    whole = file_hashes(project / "tokens")
    next((project / ".work").glob("shard_corpus/*/files/c.jsonl/train-00000.bin")).write_bytes(b"no")
    shard_corpus(corpus, tokenizer, CONFIG, project / "tokens")
    assert file_hashes(project / "tokens") == whole


def test_no_text_stands_in_two_splits_and_every_text_in_one(tokenizer: Path, project: Path):
    texts = [f"text {number}" for number in range(300)]
    corpus = write_corpus(project / "corpus", {"a.jsonl": texts, "b.jsonl": texts[::-1]})
    manifest = shard_corpus(corpus, tokenizer, CONFIG, project / "tokens")
    decode = load_tokenizer(tokenizer).decode
    train, val = (
        set(decode(read_all(project / "tokens", split)).split("<|endoftext|>")) - {""} for split in ("train", "val")
    )
    assert not train & val
    assert train | val == set(texts)
    assert 0.2 < len(val) / len(texts) < 0.4
    assert count_shards(manifest)["val_documents"] == 2 * len(val)


def test_counts_are_those_of_the_texts(corpus: Path, tokenizer: Path, project: Path):
    counts = count_shards(shard_corpus(corpus, tokenizer, CONFIG, project / "tokens"))
    texts = [text for file in FILES.values() for text in file]
    text_bytes = sum(map(len, texts))
    assert counts["train_documents"] + counts["val_documents"] == len(texts)
    assert counts["train_text_bytes"] + counts["val_text_bytes"] == text_bytes
    assert counts["train_tokens"] + counts["val_tokens"] == text_bytes + len(texts)
    assert counts["bytes_per_token"] == text_bytes / (text_bytes + len(texts))
    assert counts["shards"] == len(list((project / "tokens").glob("*.bin")))


def test_shakespeare_has_the_token_counts_of_nanogpt(
    gpt2_directory: Path, mirror: Path, project: Path, monkeypatch: pytest.MonkeyPatch
):
    shakespeare = mirror / "raw.githubusercontent.com/karpathy/char-rnn/master/data/tinyshakespeare/input.txt"
    corpus = write_corpus(project / "corpus", {"shakespeare.txt": list(read_documents(shakespeare))})
    shard_corpus(corpus, gpt2_directory, TAIL, project / "tokens")
    shards = TokenShards(project / "tokens")
    # nanoGPT, data/shakespeare/prepare.py; it ends no document.
    assert [shards.token_count(split) - 1 for split in ("train", "val")] == [301_966, 36_059]


def test_openwebtext_has_the_gpt2_tokens_it_was_decoded_from(gpt2_directory: Path, shared: Path, project: Path):
    corpus = project / "corpus"
    shutil.copytree(shared / "corpora/openwebtext-1000", corpus, ignore=shutil.ignore_patterns("*.md"))
    corpus.chmod(0o755)
    write_corpus_manifest(corpus)
    config = ShardConfig(split="document", val_fraction=0.1, shard_tokens=10**8)
    counts = count_shards(shard_corpus(corpus, gpt2_directory, config, project / "tokens"))
    assert counts["train_documents"] + counts["val_documents"] == 1_000
    assert counts["train_tokens"] + counts["val_tokens"] == 1_053_999 + 1_000
    assert counts["train_text_bytes"] + counts["val_text_bytes"] == 4_663_523


def test_a_tail_is_cut_from_a_single_text_only(tokenizer: Path, project: Path):
    corpus = write_corpus(project / "corpus", {"a.txt": ["0123456789" * 3], "b.txt": ["x" * 10]})
    shard_corpus(corpus, tokenizer, TAIL, project / "tokens")
    decode = load_tokenizer(tokenizer).decode
    assert decode(read_all(project / "tokens", "val")) == "789<|endoftext|>x<|endoftext|>"
    several = write_corpus(project / "several", {"a.jsonl": ["one", "two"]})
    with pytest.raises(UserError, match=r"a\.jsonl is no single text, .* set shard_corpus\.split to document"):
        shard_corpus(several, tokenizer, TAIL, project / "tokens")


def test_an_empty_split_is_refused(tokenizer: Path, project: Path):
    corpus = write_corpus(project / "corpus", {"a.jsonl": ["one"]})
    with pytest.raises(UserError, match=r"no text fell into (train|val); change shard_corpus\.val_fraction 0\.3"):
        shard_corpus(corpus, tokenizer, CONFIG, project / "tokens")
    assert not (project / "tokens").exists()


def test_a_corpus_file_that_changed_is_named(corpus: Path, tokenizer: Path, project: Path):
    (corpus / "b.jsonl").write_text((corpus / "b.jsonl").read_text().replace("b1 ", "b2 "))
    with pytest.raises(UserError, match=r"b\.jsonl has sha256"):
        shard_corpus(corpus, tokenizer, CONFIG, project / "tokens")


def test_a_senseless_number_of_workers_is_refused(
    corpus: Path, tokenizer: Path, project: Path, monkeypatch: pytest.MonkeyPatch
):
    monkeypatch.setenv("SCRATCHLM_WORKERS", "0")
    with pytest.raises(UserError, match="SCRATCHLM_WORKERS is '0'; it has to be a number of processes"):
        shard_corpus(corpus, tokenizer, CONFIG, project / "tokens")


def test_one_file_needs_no_other(corpus: Path, tokenizer: Path, project: Path):
    shard_corpus(corpus, tokenizer, CONFIG, project / "tokens")
    (part,) = (project / ".work").glob("shard_corpus/*/files/d.jsonl")
    path = corpus / "d.jsonl"
    entry = {"name": path.name, "bytes": path.stat().st_size, "sha256": file_hashes(corpus)[path.name]}
    shard_file(corpus, entry, tokenizer, CONFIG, project / "alone")
    assert file_hashes(project / "alone") == file_hashes(part)
