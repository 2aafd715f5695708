"""The package gigatoken has the tokens of tiktoken, or says that it has not."""

import random
from pathlib import Path

import numpy as np
import pyarrow.parquet as pq
import pytest

from scratchlm.datasets import gigatoken_engine
from scratchlm.datasets.encoding import Encoder, Engine
from scratchlm.datasets.lookup_tokenizers import char_tokens, write_char_tokenizer
from scratchlm.errors import UserError
from tests.datasets.test_encoding import assert_same_as_alone

POOLS = [
    "abc 'sdmtlvre\n\t 12",
    "\u00e9\u00df\u4e2d\u6587 \u3000\u00a0'",
    " \n\r\t\x0b\x0c\x1c\x85\u2028\ufeff'a<|endoftext>",
    [chr(point) for point in range(0x20, 0x250)],
    [chr(point) for point in [*range(1, 0xD800), *range(0xE000, 0x11000)]],
    [chr(point) for point in range(0x10000, 0x110000, 7)],
]


@pytest.mark.parametrize("name", ["gpt2", "trained"])
def test_it_encodes_thousands_of_random_texts_as_tiktoken(name: str, encoders: dict[tuple[str, Engine], Encoder]):
    draw = random.Random(0)
    texts = ["".join(draw.choices(pool, k=draw.randrange(60))) for pool in POOLS for _ in range(2_000)]
    assert_same_as_alone(encoders[name, "gigatoken"], texts)


@pytest.mark.parametrize("folder", ["openwebtext-1000", pytest.param("web-text", marks=pytest.mark.slow)])
def test_it_encodes_all_real_documents_as_tiktoken(
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


def test_it_knows_no_tokenizer_of_characters(tmp_path: Path):
    write_char_tokenizer(tmp_path, char_tokens(["abc"]))
    with pytest.raises(UserError, match=r"is no byte-level BPE, and gigatoken knows no other tokenizer; set"):
        Encoder(tmp_path, "gigatoken")
    assert [tokens.tolist() for tokens in Encoder(tmp_path, "tiktoken").encode(["ab", "", "c"])] == [[0, 1], [], [2]]
