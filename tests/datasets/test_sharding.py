"""A corpus becomes the same shards however many processes write them and however often they are killed."""

import os
import shutil
import signal
import subprocess
import sys
import time
import tracemalloc
from pathlib import Path

import numpy as np
import pytest

from scratchlm.artifacts import read_json
from scratchlm.checksums import write_sealed
from scratchlm.datasets import documents, encoding
from scratchlm.datasets import tokenizers as tokenizers_module
from scratchlm.datasets.documents import corpus_files
from scratchlm.datasets.sharding import ShardConfig, shard_corpus, shard_file
from scratchlm.datasets.shards import SPLITS, TokenShards, write_shard_manifest
from scratchlm.datasets.tokenizers import load_tokenizer
from scratchlm.errors import UserError
from tests.corpora import (
    DOCUMENT,
    TAIL,
    file_hashes,
    read_all,
    read_texts,
    write_corpus,
    write_corpus_manifest,
)

CONFIG = DOCUMENT
FILES = {f"{letter}.jsonl": [f"{letter}{number} " * 20 for number in range(20)] for letter in "abcdefg"}


pytestmark = pytest.mark.usefixtures("one_worker")


@pytest.fixture
def corpus(project: Path) -> Path:
    return write_corpus(project / "corpus", FILES)


def shard_in_process(corpus: Path, tokenizer: Path, config: ShardConfig, directory: Path) -> None:
    """As `shard_corpus`, without other processes, which would not know what a test has set."""
    folders = [directory.with_name(f"{directory.name}-{file['name']}") for file in corpus_files(corpus)]
    for file, folder in zip(corpus_files(corpus), folders, strict=True):
        shard_file(corpus, file, tokenizer, config, folder, np.empty(0, np.int64), threads=1)
    directory.mkdir()
    write_shard_manifest(directory, folders, load_tokenizer(tokenizer))


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


def test_the_bytes_do_not_depend_on_the_order_of_the_listing(corpus: Path, tokenizer: Path, project: Path):
    config = CONFIG.model_copy(update={"near_duplicates": "drop"})
    hashes = []
    for step in (1, -1):
        files = read_json(corpus / "manifest.json")["files"]
        write_sealed(corpus / "manifest.json", {"files": files[::step]})
        shutil.rmtree(project / ".work", ignore_errors=True)
        shard_corpus(corpus, tokenizer, config, project / "tokens")
        hashes.append(file_hashes(project / "tokens"))
    assert read_json(corpus / "manifest.json")["files"][0]["name"] == "g.jsonl"
    assert hashes[0] == hashes[1]


def test_a_killed_run_goes_on_and_ends_with_the_same_bytes(corpus: Path, tokenizer: Path, project: Path):
    shard_corpus(corpus, tokenizer, CONFIG, project / "tokens")
    whole = file_hashes(project / "tokens")
    shutil.rmtree(project / ".work")
    code = f"""
from pathlib import Path
from scratchlm.datasets.documents import corpus_files
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
    counts = shard_corpus(corpus, tokenizer, CONFIG, project / "tokens")
    decode = load_tokenizer(tokenizer).decode
    train, val = (
        set(decode(read_all(project / "tokens", split)).split("<|endoftext|>")) - {""} for split in ("train", "val")
    )
    assert not train & val
    assert train | val == set(texts)
    assert 0.2 < len(val) / len(texts) < 0.4
    assert counts["val_documents"] == 2 * len(val)


def test_counts_are_those_of_the_texts(corpus: Path, tokenizer: Path, project: Path):
    counts = shard_corpus(corpus, tokenizer, CONFIG, project / "tokens")
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
    corpus = write_corpus(project / "corpus", {"shakespeare.txt": read_texts(shakespeare)})
    shard_corpus(corpus, gpt2_directory, TAIL, project / "tokens")
    shards = TokenShards(project / "tokens")
    # nanoGPT, data/shakespeare/prepare.py; it ends no document.
    assert [shards.token_count(split) - 1 for split in ("train", "val")] == [301_966, 36_059]


def test_openwebtext_has_the_gpt2_tokens_it_was_decoded_from(gpt2_directory: Path, shared: Path, project: Path):
    corpus = project / "corpus"
    shutil.copytree(shared / "corpora/openwebtext-1000", corpus, ignore=shutil.ignore_patterns("*.md"))
    corpus.chmod(0o755)
    write_corpus_manifest(corpus)
    config = CONFIG.model_copy(update={"val_fraction": 0.1, "shard_tokens": 10**8})
    counts = shard_corpus(corpus, gpt2_directory, config, project / "tokens")
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
    with pytest.raises(UserError, match=r"no text fell into (train|val); .*val_fraction 0\.3, or for a single"):
        shard_corpus(corpus, tokenizer, CONFIG, project / "tokens")
    assert not (project / "tokens").exists()


@pytest.mark.parametrize("config", [CONFIG, TAIL, CONFIG.model_copy(update={"near_duplicates": "drop"})])
@pytest.mark.parametrize("files", [{}, {"a.jsonl": []}, {"a.jsonl": ["", ""], "b.txt": [""]}])
def test_a_corpus_of_nothing_is_refused(files: dict, config: ShardConfig, tokenizer: Path, project: Path):
    corpus = write_corpus(project / "corpus", files)
    with pytest.raises(UserError, match=r"corpus has no text that stays \(0 short documents and 0 near-duplicates"):
        shard_corpus(corpus, tokenizer, config, project / "tokens")
    assert not (project / "tokens").exists()


def test_a_corpus_of_one_document_is_cut_by_its_tail(tokenizer: Path, project: Path):
    corpus = write_corpus(project / "corpus", {"a.jsonl": ["0123456789"], "empty.jsonl": []})
    counts = shard_corpus(corpus, tokenizer, TAIL, project / "tokens")
    assert (counts["train_documents"], counts["train_text_bytes"]) == (1, 9)
    assert (counts["val_documents"], counts["val_text_bytes"]) == (1, 1)


def test_20000_tiny_documents_become_as_many_documents(tokenizer: Path, project: Path):
    texts = [f"{number}" for number in range(20_000)]
    corpus = write_corpus(project / "corpus", {"a.jsonl": texts})
    config = CONFIG.model_copy(update={"shard_tokens": 20_000})
    counts = shard_corpus(corpus, tokenizer, config, project / "tokens")
    assert counts["train_documents"] + counts["val_documents"] == 20_000
    shards, decode = TokenShards(project / "tokens"), load_tokenizer(tokenizer).decode
    assert sorted(decode(tokens.tolist()) for split in SPLITS for tokens in shards.documents(split)) == sorted(texts)


def test_a_streamed_text_has_the_shards_of_the_same_text_in_a_row(
    gpt2_directory: Path, mirror: Path, project: Path, monkeypatch: pytest.MonkeyPatch
):
    """The blocks and parts of the stream are small, the row is encoded in two."""
    text = (mirror / "raw.githubusercontent.com/karpathy/char-rnn/master/data/tinyshakespeare/input.txt").read_text()
    row = write_corpus(project / "row", {"a.jsonl": [text]})
    stream = write_corpus(project / "stream", {"a.txt": [text]})
    for config in (CONFIG, TAIL):
        in_parts, whole = (project / f"{config.split}-{name}" for name in ("parts", "whole"))
        shard_in_process(row, gpt2_directory, config, whole)
        with monkeypatch.context() as small:
            small.setattr(documents, "BLOCK", 1_000)
            small.setattr(documents, "BOOK_BYTES", 0)
            small.setattr(tokenizers_module, "PART", 5_000)
            shard_in_process(stream, gpt2_directory, config, in_parts)
        for split in SPLITS:
            assert read_all(in_parts, split) == read_all(whole, split)


def test_a_long_text_is_never_in_memory_as_a_whole(tokenizer: Path, project: Path, monkeypatch: pytest.MonkeyPatch):
    for module, name, size in ((documents, "BOOK_BYTES", 0), (documents, "BLOCK", 10_000)):
        monkeypatch.setattr(module, name, size)
    monkeypatch.setattr(tokenizers_module, "PART", 10_000)
    monkeypatch.setattr(encoding, "BATCH", 10_000)
    text_bytes = 4_000_000
    corpus = write_corpus(project / "corpus", {"a.txt": ["word " * (text_bytes // 5)]})
    tracemalloc.start()
    shard_in_process(corpus, tokenizer, TAIL, project / "tokens")
    _, peak = tracemalloc.get_traced_memory()
    tracemalloc.stop()
    assert peak < text_bytes / 4


def test_a_corpus_file_that_changed_is_named(corpus: Path, tokenizer: Path, project: Path):
    (corpus / "b.jsonl").write_text((corpus / "b.jsonl").read_text().replace("b1 ", "b2 "))
    with pytest.raises(UserError, match=r"b\.jsonl has sha256"):
        shard_corpus(corpus, tokenizer, CONFIG, project / "tokens")


def test_a_senseless_number_of_workers_is_refused(
    corpus: Path, tokenizer: Path, project: Path, monkeypatch: pytest.MonkeyPatch
):
    monkeypatch.setenv("SCRATCHLM_WORKERS", "0")
    with pytest.raises(UserError, match="SCRATCHLM_WORKERS is '0'; it has to be a number of processors"):
        shard_corpus(corpus, tokenizer, CONFIG, project / "tokens")


def test_one_file_needs_no_other(corpus: Path, tokenizer: Path, project: Path):
    shard_corpus(corpus, tokenizer, CONFIG, project / "tokens")
    (part,) = (project / ".work").glob("shard_corpus/*/files/d.jsonl")
    path = corpus / "d.jsonl"
    entry = {"name": path.name, "bytes": path.stat().st_size, "sha256": file_hashes(corpus)[path.name]}
    shard_file(corpus, entry, tokenizer, CONFIG, project / "alone", np.empty(0, np.int64), threads=3)
    assert file_hashes(project / "alone") == file_hashes(part)
