"""The tokenizers give what their references give, and every text comes back byte for byte."""

from pathlib import Path

import pytest
import regex
import tiktoken
import tokenizers
import transformers
from hypothesis import example, given
from hypothesis import strategies as st
from tiktoken.load import data_gym_to_mergeable_bpe_ranks

from scratchlm.artifacts import read_json, write_json
from scratchlm.checksums import sha256_file
from scratchlm.datasets import tokenizers as tokenizers_module
from scratchlm.datasets.lookup_tokenizers import split_words
from scratchlm.datasets.tokenizer_building import train_bpe
from scratchlm.datasets.tokenizers import (
    END_OF_TEXT,
    PATTERN,
    BytePairTokenizer,
    cut_text,
    load_tokenizer,
    read_openai_vocabulary,
    write_byte_pair_tokenizer,
)
from scratchlm.errors import UserError
from tests.corpora import PROSE, write_byte_tokenizer

# Random characters seldom make a merge: words, contractions and runs of spaces do.
PIECES = ["the", " The", "'s", " '", "  ", "\n", "123", " 4", "é", "!?", "\U0001f600", END_OF_TEXT]
TEXTS = st.one_of(st.text(st.characters(exclude_categories=["Cs"])), st.lists(st.sampled_from(PIECES)).map("".join))
# As published in 2019; ours is written with possessive quantifiers.
GPT2_PATTERN = r"""'s|'t|'re|'ve|'m|'ll|'d| ?\p{L}+| ?\p{N}+| ?[^\s\p{L}\p{N}]+|\s+(?!\S)|\s+"""


@pytest.fixture(scope="module")
def gpt2(gpt2_directory: Path) -> BytePairTokenizer:
    tokenizer = load_tokenizer(gpt2_directory)
    assert isinstance(tokenizer, BytePairTokenizer)
    return tokenizer


@pytest.fixture(scope="module")
def tiktoken_gpt2(shared: Path) -> tiktoken.Encoding:
    """OpenAI's files, read by tiktoken's own reader."""
    folder = shared / "mirror/openaipublic.blob.core.windows.net/gpt-2/encodings/main"
    ranks = data_gym_to_mergeable_bpe_ranks(str(folder / "vocab.bpe"), str(folder / "encoder.json"))
    return tiktoken.Encoding("gpt2", pat_str=GPT2_PATTERN, mergeable_ranks=ranks, special_tokens={END_OF_TEXT: 50256})


@pytest.fixture(scope="module")
def bpe_directory(tmp_path_factory: pytest.TempPathFactory) -> Path:
    directory = tmp_path_factory.mktemp("bpe")
    write_byte_pair_tokenizer(directory, *train_bpe([PROSE], 280))
    return directory


@pytest.fixture(scope="module")
def bpe(bpe_directory: Path) -> BytePairTokenizer:
    tokenizer = load_tokenizer(bpe_directory)
    assert isinstance(tokenizer, BytePairTokenizer)
    return tokenizer


@pytest.fixture(scope="module")
def hugging_face_bpe(bpe_directory: Path) -> tokenizers.Tokenizer:
    """The same file, read by `tokenizers`, with end of text as ordinary text."""
    content = read_json(bpe_directory / "tokenizer.json") | {"added_tokens": []}
    write_json(bpe_directory / "ordinary.json", content)
    return tokenizers.Tokenizer.from_file(str(bpe_directory / "ordinary.json"))


@given(text=TEXTS)
@example(text=" \n  x 'tis don't I'LL 3,000  \t")
def test_gpt2_gives_the_ids_of_tiktokens_gpt2(text: str, gpt2: BytePairTokenizer, tiktoken_gpt2: tiktoken.Encoding):
    assert gpt2.encode(text) == tiktoken_gpt2.encode_ordinary(text)


@given(text=TEXTS)
@example(text=PROSE)
def test_a_trained_bpe_gives_the_ids_of_the_library_that_trained_it(
    text: str, bpe: BytePairTokenizer, hugging_face_bpe: tokenizers.Tokenizer
):
    assert bpe.encode(text) == hugging_face_bpe.encode(text).ids


@given(text=TEXTS)
def test_every_text_comes_back_byte_for_byte(text: str, bpe: BytePairTokenizer):
    assert bpe.decode_bytes(bpe.encode(text)) == text.encode()
    assert bpe.decode(bpe.encode(text)) == text
    assert bpe.encode_to_numpy(text).tolist() == bpe.encode(text)


@given(text=TEXTS)
def test_every_text_comes_back_from_gpt2s_tokens(text: str, gpt2: BytePairTokenizer):
    assert gpt2.decode_bytes(gpt2.encode(text)) == text.encode()


# Whatever `re`, `tiktoken` and `tokenizers` may take for white space, quotes or letters, and few other characters.
JOINTS = st.text(st.sampled_from(" \n\r\t\x0b\x1c\x85\xa0\u2028'slve.,-7é日\0"), max_size=80) | st.text(
    st.sampled_from(" \na'")
)


@given(text=st.one_of(TEXTS, JOINTS), size=st.integers(1, 12), sliced=st.integers(1, 20))
@example(text="a  b \n c's  \n\n'll 12 34 ", size=1, sliced=20)
def test_the_tokens_of_the_parts_are_those_of_the_whole(
    text: str, size: int, sliced: int, gpt2: BytePairTokenizer, tiktoken_gpt2: tiktoken.Encoding
):
    with pytest.MonkeyPatch.context() as monkeypatch:
        monkeypatch.setattr(tokenizers_module, "PART", size)
        parts = list(cut_text(text[start : start + sliced] for start in range(0, len(text), sliced)))
    assert "".join(parts) == text
    assert [token for part in parts for token in gpt2.encode(part)] == tiktoken_gpt2.encode_ordinary(text)
    assert [match for part in parts for match in regex.findall(PATTERN, part)] == regex.findall(GPT2_PATTERN, text)
    assert [word for part in parts for word in split_words(part)] == split_words(text)


def test_a_long_text_is_cut_into_parts_of_about_one_size():
    parts = list(cut_text(["one two\nthree " * 300_000]))
    assert [part[-1].isspace() for part in parts] == [False] * (len(parts) - 1) + [True]
    assert max(map(len, parts)) < 2 * tokenizers_module.PART
    assert len(parts) == 5


def test_a_text_without_a_place_to_cut_is_refused_beyond_what_fits_in_memory(monkeypatch: pytest.MonkeyPatch):
    monkeypatch.setattr(tokenizers_module, "PART", 10)
    monkeypatch.setattr(tokenizers_module, "UNBROKEN", 100)
    for text in ("日" * 101, " " * 101, "  a" + "b" * 98):
        assert list(cut_text([text[:100]])) == [text[:100]]
        with pytest.raises(UserError, match=r"a text has 100 characters without a space or line end after a word"):
            list(cut_text([text]))


@given(ids=st.lists(st.integers(0, 279)))
def test_any_ids_decode_to_some_text(ids: list[int], bpe: BytePairTokenizer):
    assert bpe.decode(ids) == bpe.decode_bytes(ids).decode(errors="replace")


def test_the_text_of_the_end_of_text_token_is_ordinary_text(gpt2: BytePairTokenizer, bpe: BytePairTokenizer):
    for tokenizer in (gpt2, bpe):
        assert tokenizer.eot_id == tokenizer.vocab_size - 1
        assert tokenizer.eot_id not in tokenizer.encode(f"a{END_OF_TEXT}b")
        assert tokenizer.decode([tokenizer.eot_id]) == END_OF_TEXT


def test_a_lone_surrogate_is_refused_where_tiktoken_would_replace_it(bpe: BytePairTokenizer):
    with pytest.raises(UserError, match=r"not valid Unicode.*surrogate"):
        bpe.encode("a\udcffb")


@pytest.mark.parametrize(
    "loader", [transformers.AutoTokenizer, transformers.PreTrainedTokenizerFast, transformers.GPT2TokenizerFast]
)
def test_transformers_loads_the_directory_with_the_same_ids(loader: type, gpt2_directory: Path, bpe_directory: Path):
    for directory in (gpt2_directory, bpe_directory):
        ours, theirs = load_tokenizer(directory), loader.from_pretrained(directory)
        text = f"{PROSE} \n\n naïve  \U0001f600"
        assert theirs(text)["input_ids"] == ours.encode(text)
        assert theirs.decode(ours.encode(text)) == text
        assert (len(theirs), theirs.eos_token_id) == (ours.vocab_size, ours.eot_id)


def test_the_directory_of_gpt2_holds_openais_vocabulary_and_merges(gpt2_directory: Path, shared: Path):
    folder = shared / "mirror/openaipublic.blob.core.windows.net/gpt-2/encodings/main"
    assert (gpt2_directory / "merges.txt").read_bytes() == (folder / "vocab.bpe").read_bytes()
    assert read_json(gpt2_directory / "vocab.json") == read_json(folder / "encoder.json")
    assert load_tokenizer(gpt2_directory).sha256 == sha256_file(gpt2_directory / "tokenizer.json")


def test_a_missing_file_of_openais_vocabulary_is_named(tmp_path: Path):
    with pytest.raises(UserError, match=r"encoder\.json is missing"):
        read_openai_vocabulary(tmp_path)
    write_json(tmp_path / "encoder.json", {END_OF_TEXT: 0})
    with pytest.raises(UserError, match=r"vocab\.bpe is missing; fetch it again"):
        read_openai_vocabulary(tmp_path)


@pytest.mark.parametrize(
    "change",
    [{"model": {"type": "WordPiece", "vocab": {}}}, {"model": {"type": "BPE", "vocab": {"a": 0}}}, {"model": None}],
)
def test_a_tokenizer_of_another_kind_is_refused(change: dict, tmp_path: Path):
    write_byte_tokenizer(tmp_path / "tokenizer")
    path = tmp_path / "tokenizer/tokenizer.json"
    write_json(path, read_json(path) | change)
    with pytest.raises(UserError, match=r"tokenizer\.json is no byte-level BPE"):
        load_tokenizer(path.parent)
