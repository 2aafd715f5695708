"""Texts encoded together have the tokens that each has alone, with every engine."""

import shutil
import time
from pathlib import Path

import numpy as np
import pytest
from hypothesis import example, given
from hypothesis import strategies as st

from scratchlm.datasets import encoding
from scratchlm.datasets.encoding import Encoder, Engine, Part, encode_parts, map_in_threads
from scratchlm.datasets.sharding import shard_corpus
from scratchlm.datasets.tokenizers import END_OF_TEXT
from tests.corpora import DOCUMENT, file_hashes, write_corpus
from tests.datasets.test_tokenizers import TEXTS

BEGINNING, END = END_OF_TEXT[:5], END_OF_TEXT[5:]


def assert_same_as_alone(encoder: Encoder, texts: list[str]) -> None:
    for text, tokens in zip(texts, encoder.encode(texts), strict=True):
        assert np.array_equal(tokens, encoder.tokenizer.encode_to_numpy(text)), text


@pytest.mark.parametrize("engine", ["tiktoken", "gigatoken"])
@pytest.mark.parametrize("name", ["gpt2", "trained"])
@given(texts=st.lists(TEXTS, max_size=6))
@example(texts=[BEGINNING, END, "", END_OF_TEXT, "a ", " \n", f" {END_OF_TEXT} ", ""])
def test_texts_encoded_together_have_the_tokens_of_each_alone(
    name: str, engine: Engine, texts: list[str], encoders: dict[tuple[str, Engine], Encoder]
):
    assert_same_as_alone(encoders[name, engine], texts)


@pytest.mark.parametrize("threads", [1, 2, 5])
def test_parts_come_back_in_order(
    threads: int, encoders: dict[tuple[str, Engine], Encoder], monkeypatch: pytest.MonkeyPatch
):
    monkeypatch.setattr(encoding, "BATCH", 50)
    encoder = encoders["trained", "tiktoken"]
    parts = [Part(number % 3 == 0, f"é {number} " * (number % 7), number % 5 > 0) for number in range(500)]
    encoded = list(encode_parts(parts, encoder, threads))
    assert [(part.is_val, part.ends) for part in encoded] == [(part.is_val, part.ends) for part in parts]
    for part, (_, tokens, text_bytes, _) in zip(parts, encoded, strict=True):
        assert np.array_equal(tokens, encoder.tokenizer.encode_to_numpy(part.text))
        assert text_bytes == len(part.text.encode())


def test_items_are_taken_no_sooner_than_threads_can_use_them():
    taken: list[int] = []

    def items():
        for number in range(100):
            taken.append(number)
            yield number

    results = map_in_threads(lambda number: number, items(), threads=3)
    assert next(results) == 0
    time.sleep(0.05)
    assert len(taken) == 6
    assert list(results) == list(range(1, 100))


def test_threads_work_at_the_same_time():
    def sleep(number: int) -> None:
        time.sleep(0.1)

    start = time.perf_counter()
    list(map_in_threads(sleep, range(8), threads=8))
    assert time.perf_counter() - start < 0.5


@pytest.mark.usefixtures("one_worker")
def test_one_file_has_the_same_shards_with_any_threads_and_engine(
    gpt2_directory: Path, project: Path, monkeypatch: pytest.MonkeyPatch
):
    monkeypatch.setattr(encoding, "BATCH", 1_000)
    texts = [f"document {number} ends here{END_OF_TEXT * (number % 9 == 0)} " * 9 for number in range(300)]
    corpus = write_corpus(project / "corpus", {"a.jsonl": texts})
    hashes = []
    for workers, engine in (("1", "tiktoken"), ("7", "tiktoken"), ("2", "gigatoken")):
        monkeypatch.setenv("SCRATCHLM_WORKERS", workers)
        shutil.rmtree(project / ".work", ignore_errors=True)
        folder = project / f"tokens-{workers}-{engine}"
        shard_corpus(corpus, gpt2_directory, DOCUMENT.model_copy(update={"engine": engine}), folder)
        hashes.append(file_hashes(folder))
    assert hashes[0] == hashes[1] == hashes[2]
    assert len(hashes[0]) > 10
