"""Token shards: what is written is what is read, whole and in order."""

import resource
from contextlib import closing
from pathlib import Path

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from scratchlm.artifacts import read_json, write_json
from scratchlm.datasets import shards as shards_module
from scratchlm.datasets.shards import ShardWriter, TokenShards
from scratchlm.datasets.tokenizers import BytePairTokenizer, Tokenizer
from scratchlm.errors import UserError
from tests.corpora import write_byte_tokenizer, write_shards

TEXTS = {"train": ["one", "", "three words here", "é", "x" * 40], "val": ["val"]}


@pytest.fixture(scope="module")
def tokenizer(tmp_path_factory: pytest.TempPathFactory) -> Tokenizer:
    return write_byte_tokenizer(tmp_path_factory.mktemp("tokenizer") / "bytes")


@pytest.fixture(scope="module")
def folder(tokenizer: Tokenizer, tmp_path_factory: pytest.TempPathFactory) -> Path:
    return write_shards(tmp_path_factory.mktemp("tokens") / "tokens", tokenizer, TEXTS, shard_tokens=20)


def expected_tokens(tokenizer: Tokenizer, split: str) -> list[int]:
    return [token for text in TEXTS[split] for token in [*tokenizer.encode(text), tokenizer.eot_id]]


def test_an_end_of_text_follows_every_document(folder: Path, tokenizer: Tokenizer):
    shards = TokenShards(folder)
    for split, texts in TEXTS.items():
        tokens = shards.read(split, 0, shards.token_count(split))
        assert tokens.dtype == np.int64
        assert tokens.tolist() == expected_tokens(tokenizer, split)
        assert shards.byte_count(split) == sum(len(text.encode()) for text in texts)
    assert (shards.eot_id, shards.vocab_size) == (tokenizer.eot_id, tokenizer.vocab_size)


def test_a_shard_holds_whole_documents_and_no_more_tokens_than_allowed(folder: Path):
    shards = [shard for shard in TokenShards(folder).manifest["shards"] if shard["split"] == "train"]
    assert [shard["tokens"] for shard in shards] == [5, 20, 41]  # the last document alone is longer than 20
    assert [shard["documents"] for shard in shards] == [2, 2, 1]
    assert [shard["file"] for shard in shards] == [f"train-{index:05d}.bin" for index in range(3)]


@given(data=st.data())
def test_any_range_reads_the_same_across_shards_as_from_one_array(
    data: st.DataObject, folder: Path, tokenizer: Tokenizer
):
    tokens = expected_tokens(tokenizer, "train")
    start = data.draw(st.integers(0, len(tokens)))
    length = data.draw(st.integers(0, len(tokens) - start))
    assert TokenShards(folder, verify=False).read("train", start, length).tolist() == tokens[start : start + length]


@pytest.mark.parametrize(("start", "length"), [(-1, 2), (0, 67), (67, 0), (3, -1)])
def test_a_range_outside_of_the_split_is_refused(start: int, length: int, folder: Path):
    with pytest.raises(IndexError, match="of the 66 in train"):
        TokenShards(folder).read("train", start, length)


def test_tokens_take_two_little_endian_bytes_up_to_65536_entries_and_four_above(tmp_path: Path):
    for entries, itemsize in ((2**16, 2), (2**16 + 1, 4)):
        ranks = {bytes([byte]): byte for byte in range(256)}
        ranks |= {b"_%d" % rank: rank for rank in range(256, entries - 1)}
        tokenizer = BytePairTokenizer(ranks, "sha256")
        assert tokenizer.vocab_size == entries
        folder = write_shards(tmp_path / str(entries) / "tokens", tokenizer, {"train": ["ab"]}, 100)
        expected = [*b"ab", tokenizer.eot_id]
        assert (folder / "train-00000.bin").read_bytes() == b"".join(
            token.to_bytes(itemsize, "little") for token in expected
        )
        assert TokenShards(folder).read("train", 0, 3).tolist() == expected


def test_a_damaged_shard_is_named(tokenizer: Tokenizer, tmp_path: Path):
    folder = write_shards(tmp_path / "tokens", tokenizer, TEXTS, shard_tokens=100)
    path = folder / "train-00000.bin"
    whole = path.read_bytes()
    path.write_bytes(whole[:-2])
    with pytest.raises(UserError, match=r"train-00000\.bin has 130 bytes, its manifest says 132"):
        TokenShards(folder, verify=False)
    path.write_bytes(whole[:-2] + b"\0\0")
    with pytest.raises(UserError, match=r"train-00000\.bin has sha256"):
        TokenShards(folder)
    path.unlink()
    with pytest.raises(UserError, match=r"train-00000\.bin is missing"):
        TokenShards(folder)


def test_shards_of_another_format_are_refused(tokenizer: Tokenizer, tmp_path: Path):
    folder = write_shards(tmp_path / "tokens", tokenizer, TEXTS, shard_tokens=100)
    write_json(folder / "manifest.json", read_json(folder / "manifest.json") | {"format": 99})
    with pytest.raises(UserError, match="has format 99, not 2; run shard_corpus again"):
        TokenShards(folder)


def test_a_writer_that_was_given_nothing_leaves_no_file(tokenizer: Tokenizer, tmp_path: Path):
    writer = ShardWriter(tmp_path, "val", "memory", tokenizer, 100)
    writer.close()
    assert writer.shards == []
    assert list(tmp_path.iterdir()) == []


def test_every_document_is_read_by_its_number_and_in_order(folder: Path, tokenizer: Tokenizer):
    shards = TokenShards(folder)
    for split, texts in TEXTS.items():
        assert shards.document_count(split) == len(texts)
        assert [tokenizer.decode(tokens.tolist()) for tokens in shards.documents(split)] == texts
        for index in reversed(range(len(texts))):
            assert tokenizer.decode(shards.document(split, index).tolist()) == texts[index]
            assert shards.document_source(split, index) == "memory"


def test_documents_are_found_across_windows(folder: Path, tokenizer: Tokenizer, monkeypatch: pytest.MonkeyPatch):
    monkeypatch.setattr(shards_module, "WINDOW", 3)
    assert [tokenizer.decode(tokens.tolist()) for tokens in TokenShards(folder).documents("train")] == TEXTS["train"]


def test_a_document_is_a_view_of_the_file_that_cannot_be_written(folder: Path):
    document = TokenShards(folder).document("train", 2)
    assert isinstance(document, np.memmap)
    with pytest.raises(ValueError, match="read-only"):
        document[0] = 1


@pytest.mark.parametrize("index", [-1, 5])
def test_a_document_outside_of_the_split_is_refused(index: int, folder: Path):
    with pytest.raises(IndexError, match=f"document {index} of the 5 in train"):
        TokenShards(folder).document("train", index)


def test_a_split_without_documents_has_none(tokenizer: Tokenizer, tmp_path: Path):
    shards = TokenShards(write_shards(tmp_path / "tokens", tokenizer, {"train": ["a"]}, 100))
    assert list(shards.documents("val")) == []


def test_a_document_in_parts_is_written_as_in_one(tokenizer: Tokenizer, tmp_path: Path):
    texts = ["one two three", "four", "five six seven eight nine ten", "eleven twelve"]
    whole = write_shards(tmp_path / "whole", tokenizer, {"train": texts}, shard_tokens=20)
    with closing(ShardWriter(tmp_path, "train", "memory", tokenizer, 20)) as writer:
        for text in texts:
            for start in range(0, len(text), 3):
                part = text[start : start + 3]
                writer.add(tokenizer.encode_to_numpy(part), len(part), ends=start + 3 >= len(text))
    assert writer.shards == read_json(whole / "manifest.json")["shards"]
    assert [shard["tokens"] for shard in writer.shards] == [19, 30, 14]
    for shard in writer.shards:
        assert (tmp_path / shard["file"]).read_bytes() == (whole / shard["file"]).read_bytes()


def test_more_shards_than_a_process_may_have_open_are_read(tokenizer: Tokenizer, project: Path):
    texts = [f"{number:03d}" for number in range(600)]
    directory = write_shards(project / "tokens", tokenizer, {"train": texts, "val": ["val"]}, 4)
    limits = resource.getrlimit(resource.RLIMIT_NOFILE)
    resource.setrlimit(resource.RLIMIT_NOFILE, (450, limits[1]))
    try:
        shards = TokenShards(directory)
        assert len(shards.shards["train"]) == 600
        numbers = [bytes(shards.read("train", 4 * number, 3).tolist()) for number in range(599, -1, -1)]
    finally:
        resource.setrlimit(resource.RLIMIT_NOFILE, limits)
    assert len(set(numbers)) == 600
