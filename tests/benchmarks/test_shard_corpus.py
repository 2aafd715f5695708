"""The benchmark of tokenising runs on a small corpus, and sees documents that differ."""

import sys
from argparse import Namespace
from pathlib import Path

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq
import pytest

from benchmarks import shard_corpus

# As much of litgpt and litdata as the benchmark calls.
DATA = """
from dataclasses import dataclass
from pathlib import Path

@dataclass
class OpenWebText:
    data_path: Path

    def connect(self, tokenizer):
        self.tokenizer = tokenizer

    def prepare_data(self):
        from datasets import load_dataset
        from litdata import optimize

        documents = load_dataset("openwebtext", trust_remote_code=True)["train"]["text"]
        for split, indices in {"train": range(1, len(documents)), "val": range(1)}.items():
            optimize(
                fn=lambda index: self.tokenizer.encode(documents[index], eos=True),
                inputs=indices,
                output_dir=self.data_path / split,
                num_workers=0,
            )
"""
TOKENIZER = """
from tokenizers import Tokenizer as Processor

class Tokenizer:
    def __init__(self, folder):
        self.processor = Processor.from_file(str(folder / "tokenizer.json"))

    def encode(self, text, eos):
        return [*self.processor.encode(text).ids, *[self.processor.token_to_id("<|endoftext|>")] * eos]
"""
LITDATA = """
import json

import numpy as np

def optimize(fn, inputs, output_dir, num_workers, start_method):
    assert num_workers > 0 and start_method == "fork"
    output_dir.mkdir(parents=True)
    documents = [fn(item) for item in inputs]
    items = [[4 * len(tokens), *tokens] for tokens in documents]
    offsets = 4 * (len(items) + 2 + np.cumsum([0, *map(len, items)]))
    np.concatenate([[len(items)], offsets, *items]).astype("<i4").tofile(output_dir / "chunk-0-0.bin")
    (output_dir / "index.json").write_text(json.dumps({"chunks": [{"filename": "chunk-0-0.bin"}]}))
"""


@pytest.fixture
def corpus(tmp_path: Path) -> Path:
    """200 documents."""
    texts = [f"Document {number} of the corpus.\n" * 9 for number in range(200)]
    pq.write_table(pa.table({"text": texts}), tmp_path / "a.parquet")
    return tmp_path / "a.parquet"


@pytest.fixture
def litgpt(tmp_path: Path) -> Path:
    """A stand-in for litgpt's checkout, with litdata beside it."""
    (tmp_path / "checkout/litgpt").mkdir(parents=True)
    (tmp_path / "checkout/litgpt/data.py").write_text(DATA)
    (tmp_path / "checkout/litgpt/tokenizer.py").write_text(TOKENIZER)
    (tmp_path / "checkout/litdata.py").write_text(LITDATA)
    return tmp_path / "checkout"


@pytest.fixture(autouse=True)
def _no_limits(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(shard_corpus, "measure_limits", dict)


def test_both_engines_are_measured_and_write_the_same(mirror: Path, corpus: Path, tmp_path: Path):
    options = Namespace(nanogpt=None, litgpt=None, rounds=1)
    lines = list(shard_corpus.compare(options, [corpus], tmp_path))
    assert [line.split(" | ")[0] for line in lines[3:5]] == ["| ours, tiktoken", "| ours, gigatoken"]
    assert lines[-1] == "\nBoth engines wrote the same bytes: True."


@pytest.mark.parametrize(("encoded", "same"), [("text", True), ("text.strip()", False)])
def test_litgpt_is_measured_and_its_documents_compared(
    mirror: Path, corpus: Path, litgpt: Path, tmp_path: Path, encoded: str, same: bool
):
    (litgpt / "litgpt/tokenizer.py").write_text(TOKENIZER.replace("encode(text)", f"encode({encoded})"))
    (tmp_path / "litgpt/train").mkdir(parents=True)  # of an earlier round
    options = Namespace(nanogpt=None, litgpt=litgpt, litgpt_python=Path(sys.executable), rounds=1)
    lines = list(shard_corpus.compare(options, [corpus], tmp_path))
    assert [line.split(" | ")[0] for line in lines[3:6]] == ["| litgpt", "| ours, tiktoken", "| ours, gigatoken"]
    assert lines[-2] == f"litgpt's documents have the same tokens: {same}."
    assert lines[-1].startswith("litgpt's seconds after its imports: ")


def test_documents_are_compared_whatever_their_order_and_split():
    one, other = np.array([5, 0, 6, 7, 0]), np.array([8, 0])
    together = shard_corpus.count_documents([one, other], 0)
    assert together == shard_corpus.count_documents([np.array([6, 7, 0, 8, 0]), np.array([5, 0])], 0)
    assert together != shard_corpus.count_documents([np.array([7, 6, 0, 8, 0]), np.array([5, 0])], 0)
