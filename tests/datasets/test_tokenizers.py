"""The tokenizers give what their references give, and every text comes back byte for byte."""

from pathlib import Path

import pytest
import tiktoken
import tokenizers
import transformers
from hypothesis import example, given
from hypothesis import strategies as st
from tiktoken.load import data_gym_to_mergeable_bpe_ranks

from scratchlm.artifacts import read_json, sha256_file, write_json
from scratchlm.datasets.tokenizer_building import train_bpe
from scratchlm.datasets.tokenizers import END_OF_TEXT, PATTERN, load_tokenizer, write_byte_pair_tokenizer
from scratchlm.errors import UserError
from tests.corpora import write_byte_tokenizer

ANY_TEXT = st.text(st.characters(exclude_categories=["Cs"]))
# Random characters seldom make a merge: words, contractions and runs of spaces do.
WORDLY = st.lists(st.sampled_from(["the", " The", "'s", " '", "  ", "\n", "123", " 4", "é", "!?", END_OF_TEXT])).map("".join)
TEXTS = st.one_of(ANY_TEXT, WORDLY)
PROSE = "The cat's hat isn't the dog's 2nd hat; the 3 cats' hats are. " * 9


@pytest.fixture(scope="module")
def bpe_directory(tmp_path_factory: pytest.TempPathFactory) -> Path:
    directory = tmp_path_factory.mktemp("bpe")
    write_byte_pair_tokenizer(directory, *train_bpe([PROSE], 300))
    return directory


@given(text=TEXTS)
@example(text=" \n  x 'tis don't 3,000  \t")
def test_gpt2_gives_the_ids_of_tiktokens_own_gpt2(text: str, gpt2_directory: Path, reference: tiktoken.Encoding):
    tokenizer = load_tokenizer(gpt2_directory)
    assert tokenizer.encode(text) == reference.encode_ordinary(text)


@pytest.fixture(scope="module")
def reference(shared: Path) -> tiktoken.Encoding:
    """tiktoken's gpt2, from OpenAI's files by tiktoken's own reader."""
    folder = shared / "mirror/openaipublic.blob.core.windows.net/gpt-2/encodings/main"
    ranks = data_gym_to_mergeable_bpe_ranks(str(folder / "vocab.bpe"), str(folder / "encoder.json"))
    pattern = r"""'s|'t|'re|'ve|'m|'ll|'d| ?\p{L}+| ?\p{N}+| ?[^\s\p{L}\p{N}]+|\s+(?!\S)|\s+"""  # as published in 2019
    return tiktoken.Encoding("gpt2", pat_str=pattern, mergeable_ranks=ranks, special_tokens={END_OF_TEXT: 50256})
