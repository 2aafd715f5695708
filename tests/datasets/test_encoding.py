"""Texts encoded together have the tokens that each has alone, with every engine."""

import random
import shutil
import time
from pathlib import Path

import numpy as np
import pyarrow.parquet as pq
import pytest
from hypothesis import example, given
from hypothesis import strategies as st

from scratchlm.datasets import encoding, gigatoken_engine
from scratchlm.datasets.encoding import Encoder, Engine, Part, encode_parts, map_in_threads
from scratchlm.datasets.lookup_tokenizers import char_tokens, write_char_tokenizer
from scratchlm.datasets.sharding import shard_corpus
from scratchlm.datasets.tokenizer_building import train_bpe
from scratchlm.datasets.tokenizers import END_OF_TEXT, write_byte_pair_tokenizer
from scratchlm.errors import UserError
from tests.corpora import DOCUMENT, file_hashes, write_corpus
from tests.datasets.test_tokenizers import PROSE, TEXTS

BEGINNING, END = END_OF_TEXT[:5], END_OF_TEXT[5:]
POOLS = [
    "abc 'sdmtlvre\n\t 12",
    "\u00e9\u00df\u4e2d\u6587 \u3000\u00a0'",
    " \n\r\t\x0b\x0c\x1c\x85\u2028\ufeff'a<|endoftext>",
    [chr(point) for point in range(0x20, 0x250)],
    [chr(point) for point in [*range(1, 0xD800), *range(0xE000, 0x11000)]],
    [chr(point) for point in range(0x10000, 0x110000, 7)],
]


@pytest.fixture(scope="session")
def encoders(gpt2_directory: Path, tmp_path_factory: pytest.TempPathFactory) -> dict[tuple[str, Engine], Encoder]:
    """GPT-2's tokenizer and a trained one, each on both engines."""
    trained = tmp_path_factory.mktemp("trained")
    write_byte_pair_tokenizer(trained, *train_bpe([PROSE], 280))
    engines: tuple[Engine, Engine] = ("tiktoken", "gigatoken")
    folders = {"gpt2": gpt2_directory, "trained": trained}
    return {(name, engine): Encoder(folder, engine) for name, folder in folders.items() for engine in engines}


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


@pytest.mark.parametrize("name", ["gpt2", "trained"])
def test_gigatoken_encodes_thousands_of_random_texts_as_tiktoken(
    name: str, encoders: dict[tuple[str, Engine], Encoder]
):
    draw = random.Random(0)
    texts = ["".join(draw.choices(pool, k=draw.randrange(60))) for pool in POOLS for _ in range(2_000)]
    assert_same_as_alone(encoders[name, "gigatoken"], texts)


@pytest.mark.parametrize("folder", ["openwebtext-1000", pytest.param("web-text", marks=pytest.mark.slow)])
def test_gigatoken_encodes_all_real_documents_as_tiktoken(
    folder: str, shared: Path, encoders: dict[tuple[str, Engine], Encoder], monkeypatch: pytest.MonkeyPatch
):
    monkeypatch.setattr(gigatoken_engine, "CACHE_TOKENS", 2**19)  # it is loaded anew on the way
    encoder = encoders["gpt2", "gigatoken"]
    for path in sorted((shared / "corpora" / folder).glob("*.parquet")):
        for batch in pq.ParquetFile(path).iter_batches(64, columns=["text"]):
            assert_same_as_alone(encoder, batch.column(0).to_pylist())


def test_a_sample_that_differs_from_tiktoken_is_an_error(gpt2_directory: Path):
    encoder = Encoder(gpt2_directory, "gigatoken")

    class Wrong:
        def encode(self, text: str) -> np.ndarray:
            return np.append(encoder.tokenizer.encode_to_numpy(text)[1:], 0)

    encoder._encode_with_ends._engine = Wrong()  # type: ignore[union-attr]
    with pytest.raises(UserError, match=r"gigatoken encodes a text that begins 'one two' otherwise than tiktoken"):
        encoder.encode(["one two"])
    with pytest.raises(UserError, match=r"begins 'xxxx"):
        encoder.encode(["x" * 9_000 + "one two"])  # which has no place for a cut within the sample
    with pytest.raises(UserError, match=r"set shard_corpus\.engine to tiktoken"):
        encoder.encode(["one two " * 5_000])


def test_an_engine_that_is_not_installed_is_one_line(gpt2_directory: Path, monkeypatch: pytest.MonkeyPatch):
    monkeypatch.setattr(gigatoken_engine, "find_spec", lambda name: None)
    with pytest.raises(UserError, match=r"gigatoken, which is not installed; run `pip install .*or set it to tiktoken"):
        Encoder(gpt2_directory, "gigatoken")


def test_gigatoken_knows_no_tokenizer_of_characters(tmp_path: Path):
    write_char_tokenizer(tmp_path, char_tokens(["abc"]))
    with pytest.raises(UserError, match=r"is no byte-level BPE, and gigatoken knows no other tokenizer; set"):
        Encoder(tmp_path, "gigatoken")
    assert [tokens.tolist() for tokens in Encoder(tmp_path, "tiktoken").encode(["ab", "", "c"])] == [[0, 1], [], [2]]


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
