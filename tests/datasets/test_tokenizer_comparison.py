"""The table of tokenizers holds what each of them gives, and says which could not be made."""

from pathlib import Path

import pytest

from scratchlm.datasets.tokenizer_building import TokenizerConfig, build_tokenizer
from scratchlm.datasets.tokenizer_comparison import compare_tokenizers
from scratchlm.datasets.tokenizers import load_tokenizer
from scratchlm.errors import UserError
from tests.corpora import write_corpus

TEXT = "The cat's hat isn't the dog's 2nd hat; the 3 cats' hats are. " * 40


@pytest.fixture
def corpus(tmp_path: Path) -> Path:
    return write_corpus(tmp_path / "corpus", {"a.txt": [TEXT]})


def rows(corpus: Path, sizes: list[int], max_bytes: int = 10**6) -> list[list[str]]:
    return [line.split() for line in compare_tokenizers(corpus, max_bytes, sizes)]


def test_every_row_is_what_building_that_tokenizer_measures(corpus: Path, tmp_path: Path, mirror: Path):
    header, *table = rows(corpus, [270, 280])
    assert header == ["tokenizer", "vocabulary", "bytes/token", "tokens", "unknown", "seconds"]
    assert [row[0] for row in table] == ["gpt2", "bpe", "bpe", "char", "word"]
    for row, size in zip(table, [257, 270, 280, 257, 280], strict=True):
        config = TokenizerConfig(kind=row[0], vocab_size=size, train_bytes=10**6)
        metrics = build_tokenizer(config, corpus, tmp_path / "tokenizer")
        tokens = len(load_tokenizer(tmp_path / "tokenizer").encode(TEXT))
        assert row[1:5] == [
            f"{metrics['vocab_size']:,}",
            f"{metrics['bytes_per_token']:.3f}",
            f"{tokens:,}",
            f"{metrics['unknown_rate']:.2%}",
        ]


def test_a_tokenizer_that_cannot_be_made_is_a_line_and_the_others_follow(corpus: Path, monkeypatch: pytest.MonkeyPatch):
    monkeypatch.setattr("scratchlm.datasets.tokenizer_building.fetch_all", refuse)
    lines = list(compare_tokenizers(corpus, 10**6, [5_000]))
    assert lines[1] == "gpt2       left out: no network"
    assert lines[2].startswith("bpe        left out: the sample gives")
    assert [line.split()[0] for line in lines[3:]] == ["char", "word"]


def refuse(*arguments: object, **options: object) -> None:
    raise UserError("no network")


def test_a_corpus_without_text_is_refused(tmp_path: Path):
    with pytest.raises(UserError, match=r"gave no text; name another corpus, or raise --max-bytes 5\."):
        rows(write_corpus(tmp_path / "corpus", {"a.jsonl": []}), [270], max_bytes=5)
