"""Training a tokenizer is deterministic, and takes no more text than it was given."""

import os
import subprocess
import sys
from pathlib import Path

import pytest

from scratchlm.datasets.tokenizer_building import TokenizerConfig, build_tokenizer, sample_documents, train_bpe
from scratchlm.datasets.tokenizers import load_tokenizer
from scratchlm.errors import UserError
from tests.corpora import file_hashes, read_texts, write_corpus

CONFIG = TokenizerConfig(kind="bpe", vocab_size=400, train_bytes=60_000)


@pytest.fixture
def corpus(tmp_path: Path, mirror: Path) -> Path:
    (book,) = read_texts(mirror / "www.gutenberg.org/cache/epub/1661/pg1661.txt")
    paragraphs = book.split("\n\n")
    return write_corpus(tmp_path / "corpus", {"a.jsonl": paragraphs[:200], "b.jsonl": paragraphs[200:1000]})


def test_training_gives_the_same_bytes_every_time(corpus: Path, tmp_path: Path):
    metrics = build_tokenizer(CONFIG, corpus, tmp_path / "0")
    code = (
        "from pathlib import Path; from scratchlm.datasets.tokenizer_building import *; "
        f"build_tokenizer(TokenizerConfig.model_validate({CONFIG.model_dump()}), Path({str(corpus)!r}), Path('1'))"
    )
    for threads in ("1", "3"):  # another process has another hash seed
        environment = os.environ | {"RAYON_NUM_THREADS": threads}
        subprocess.run([sys.executable, "-c", code], cwd=tmp_path, env=environment, check=True)
        assert file_hashes(tmp_path / "1") == file_hashes(tmp_path / "0")
    assert metrics["vocab_size"] == load_tokenizer(tmp_path / "0").vocab_size == 400
    assert 59_000 < metrics["train_bytes"] <= 60_000
    assert 1.5 < metrics["bytes_per_token"] < 3


def test_the_sample_is_the_same_share_of_every_file(tmp_path: Path):
    corpus = write_corpus(tmp_path / "corpus", {"a.txt": ["é" * 3_000], "b.jsonl": ["bb"] * 1_000})
    whole = list(sample_documents(corpus, 10**9))
    assert (len(whole[0]), len(whole[1:])) == (3_000, 1_000)
    sample = list(sample_documents(corpus, 1_001))
    assert sum(len(text.encode()) for text in sample) in range(950, 1_002)
    shares = [len(sample[0].encode()) / 1_001, sum(map(len, sample[1:])) / 1_001]
    sizes = [(corpus / name).stat().st_size for name in ("a.txt", "b.jsonl")]
    assert shares == pytest.approx([size / sum(sizes) for size in sizes], abs=0.01)


def test_too_little_text_for_the_vocabulary_is_refused():
    with pytest.raises(UserError, match=r"gives 2\d\d entries, fewer than build_tokenizer\.vocab_size 5,000; lower"):
        train_bpe(["abc abc"], 5_000)


@pytest.mark.parametrize("files", [{"a.jsonl": []}, {"a.txt": [""], "b.jsonl": [""]}, {"a.txt": ["a"], "b.txt": ["b"]}])
def test_a_corpus_that_gives_no_text_is_refused(files: dict[str, list[str]], tmp_path: Path):
    config = CONFIG.model_copy(update={"train_bytes": 1})
    with pytest.raises(UserError, match=r"corpus gave no text for the tokenizer; name another source in fetch_corpus"):
        build_tokenizer(config, write_corpus(tmp_path / "corpus", files), tmp_path / "tokenizer")


def test_an_empty_file_beside_others_is_passed_over(tmp_path: Path):
    corpus = write_corpus(tmp_path / "corpus", {"a.txt": [""], "b.jsonl": ["b", "c"]})
    assert list(sample_documents(corpus, 10**6)) == ["b", "c"]


def test_gpt2_needs_no_training_text_and_reports_its_bytes_per_token(corpus: Path, tmp_path: Path):
    metrics = build_tokenizer(CONFIG.model_copy(update={"kind": "gpt2"}), corpus, tmp_path / "gpt2")
    assert metrics["vocab_size"] == 50_257
    assert 3.5 < metrics["bytes_per_token"] < 5
