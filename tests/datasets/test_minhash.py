"""Near-duplicates found by signatures are those of the exact definition, but for pairs close to the threshold."""

import random
from pathlib import Path

import numpy as np
import pytest

from scratchlm.datasets import minhash
from scratchlm.datasets.minhash import find_near_duplicates, write_signatures
from scratchlm.datasets.near_duplicates import near_duplicate_pairs
from tests.corpora import read_texts

MARGIN = 0.08  # three standard deviations of an estimate from 256 bins


def find(texts: list[str], threshold: float, folder: Path) -> set[int]:
    write_signatures(([text] for text in texts), threshold, folder)
    (rows,) = find_near_duplicates([folder], threshold)
    return set(rows.tolist())


def resembling(texts: list[str], threshold: float) -> set[int]:
    """By the exact similarity, what resembles an earlier text."""
    return {second for _, second in near_duplicate_pairs(texts, threshold)}


@pytest.fixture(scope="module")
def texts(shared: Path) -> list[str]:
    """Genuine documents, the same with words left out, and their beginnings."""
    (path,) = (shared / "corpora/openwebtext-1000").glob("*.parquet")
    documents = read_texts(path)[:60]
    draw = random.Random(0)

    def thin_out(text: str, share: float) -> str:
        return " ".join(word for word in text.split() if draw.random() > share)

    shares = (0, 0.005, 0.01, 0.02, 0.03, 0.04, 0.06)
    changed = [thin_out(text, draw.choice(shares)) for text in documents]
    short = [text[: draw.choice((40, 80, 200))] for text in documents]
    return [*documents, *changed, *short, *(thin_out(text, 0.05) for text in short)]


@pytest.mark.parametrize("threshold", [0.5, 0.7, 0.8, 0.9])
def test_near_duplicates_are_those_of_the_definition(threshold: float, texts: list[str], tmp_path: Path):
    found, expected = find(texts, threshold, tmp_path / "signatures"), resembling(texts, threshold)
    assert len(expected) > 50
    assert len(found & expected) > 0.95 * max(len(found), len(expected))
    assert resembling(texts, min(1, threshold + MARGIN)) <= found <= resembling(texts, threshold - MARGIN)


def test_exact_duplicates_are_always_found(tmp_path: Path):
    texts = ["", "a", " ", "abcde", "Abcde\n", "A", "日本語", "x" * 10_000, "日本語", "X" * 10_000]
    assert find(texts, 1.0, tmp_path / "signatures") == {2, 4, 5, 8, 9}


def test_rows_are_counted_in_each_folder_and_the_first_folder_comes_first(tmp_path: Path):
    parts = [["one text", "another one"], [], ["ONE TEXT", "a third", "a third"], ["a third", "one text", "new here"]]
    folders = [tmp_path / str(number) for number in range(len(parts))]
    for folder, texts in zip(folders, parts, strict=True):
        write_signatures(([text] for text in texts), 0.8, folder)
    assert [rows.tolist() for rows in find_near_duplicates(folders, 0.8)] == [[], [], [0, 2], [0, 1]]


def test_a_crowd_of_duplicates_costs_no_more_than_others(tmp_path: Path, monkeypatch: pytest.MonkeyPatch):
    compared = []
    similarity = minhash._similarity
    monkeypatch.setattr(minhash, "_similarity", lambda *pair: compared.append(len(pair[0])) or similarity(*pair))
    assert find(["the same"] * 3_000, 0.8, tmp_path / "signatures") == set(range(1, 3_000))
    assert sum(compared) < 4 * 3_000


def test_batches_and_blocks_of_pairs_do_not_change_the_result(
    texts: list[str], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
):
    whole = find(texts, 0.8, tmp_path / "whole")
    monkeypatch.setattr(minhash, "BATCH", 7)
    monkeypatch.setattr(minhash, "PAIRS", 3)
    assert find(texts, 0.8, tmp_path / "parts") == whole
    for path in (tmp_path / "whole").iterdir():
        assert path.read_bytes() == (tmp_path / "parts" / path.name).read_bytes(), path.name


def test_the_signature_of_a_document_in_parts_is_nearly_that_of_the_whole(texts: list[str]):
    text = max(texts, key=len)
    whole, parts = (minhash._sign(document) for document in ([text], [text[:5_000], text[5_000:]]))
    assert np.mean(whole == parts) > 0.98


def test_tiny_documents_that_differ_are_no_near_duplicates(tmp_path: Path):
    """Of each the signature has one value."""
    assert find([f"{number:05d}" for number in range(20_000)], 0.8, tmp_path / "signatures") == set()


def test_signatures_are_the_same_on_every_machine():
    signature = minhash._sign(["The same text, whatever numpy's version."])
    assert np.flatnonzero(signature != minhash.EMPTY)[:3].tolist() == [1, 4, 8]
    assert int(signature[1]) == 99145731259818952
