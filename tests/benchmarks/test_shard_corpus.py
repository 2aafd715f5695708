"""The benchmark of tokenising runs on a small corpus, and sees documents that differ."""

from argparse import Namespace
from pathlib import Path

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq
import pytest

from benchmarks import shard_corpus


def test_both_engines_are_measured_and_write_the_same(mirror: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch):
    monkeypatch.setattr(shard_corpus, "measure_limits", dict)
    texts = [f"Document {number} of the corpus.\n" * 9 for number in range(200)]
    pq.write_table(pa.table({"text": texts}), tmp_path / "a.parquet")
    options = Namespace(nanogpt=None, rounds=1)
    lines = list(shard_corpus.compare(options, [tmp_path / "a.parquet"], tmp_path))
    assert [line.split(" | ")[0] for line in lines[3:5]] == ["| ours, tiktoken", "| ours, gigatoken"]
    assert lines[-1] == "\nBoth engines wrote the same bytes: True."


def test_documents_are_compared_whatever_their_order_and_split():
    one, other = np.array([5, 0, 6, 7, 0]), np.array([8, 0])
    together = shard_corpus.count_documents([one, other], 0)
    assert together == shard_corpus.count_documents([np.array([6, 7, 0, 8, 0]), np.array([5, 0])], 0)
    assert together != shard_corpus.count_documents([np.array([7, 6, 0, 8, 0]), np.array([5, 0])], 0)
