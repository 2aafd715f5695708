"""The char and word tokenizers give what the book and `tokenizers` give, and their directories load elsewhere."""

import re
import shutil
from pathlib import Path

import pytest
import tokenizers
import transformers
from hypothesis import example, given
from hypothesis import strategies as st

from scratchlm.artifacts import read_json, write_json
from scratchlm.datasets.lookup_tokenizers import (
    END_OF_TEXT,
    UNKNOWN,
    char_tokens,
    split_words,
    word_tokens,
    write_char_tokenizer,
    write_word_tokenizer,
)
from scratchlm.datasets.sharding import shard_corpus
from scratchlm.datasets.tokenizer_building import TokenizerConfig, build_tokenizer
from scratchlm.datasets.tokenizers import Tokenizer, load_tokenizer
from scratchlm.errors import UserError
from tests.corpora import TAIL, read_all, write_corpus

PROSE = 'Hello, world -- "is this" a test? It is; a test (of_this): it\'s é 日\U0001f600\r\n\tEnd--or not!\n'
ALPHABET = sorted(set(PROSE))
SPACES = "".join(character for character in map(chr, range(0x11000)) if character.isspace())
PIECES = [*"ab,.:;?_!\"()'-é\U0001f600", *SPACES, "--", "Hello", "test", "the", UNKNOWN, END_OF_TEXT]
TEXTS = st.one_of(st.text(st.characters(exclude_categories=["Cs"])), st.lists(st.sampled_from(PIECES)).map("".join))


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A directory of each kind, made from one text."""
    folder = tmp_path_factory.mktemp("lookup")
    for name in ("char", "word"):
        (folder / name).mkdir()
    write_char_tokenizer(folder / "char", char_tokens([PROSE]))
    write_word_tokenizer(folder / "word", word_tokens([PROSE], 300))
    return folder


@pytest.fixture(scope="module")
def char(folder: Path) -> Tokenizer:
    return load_tokenizer(folder / "char")


@pytest.fixture(scope="module")
def word(folder: Path) -> Tokenizer:
    return load_tokenizer(folder / "word")


@pytest.fixture(scope="module")
def hugging_face(folder: Path) -> dict[str, tokenizers.Tokenizer]:
    """The same files, read by `tokenizers`, with the special tokens as ordinary text."""
    loaded = {}
    for name in ("char", "word"):
        content = read_json(folder / name / "tokenizer.json") | {"added_tokens": []}
        write_json(folder / f"{name}.json", content)
        loaded[name] = tokenizers.Tokenizer.from_file(str(folder / f"{name}.json"))
    return loaded


@given(text=st.text(st.sampled_from(ALPHABET)))
@example(text=PROSE)
@example(text="")
def test_char_gives_the_ids_of_tokenizers_and_the_text_back(
    text: str, char: Tokenizer, hugging_face: dict[str, tokenizers.Tokenizer]
):
    ids = char.encode(text)
    assert ids == [ALPHABET.index(character) for character in text] == hugging_face["char"].encode(text).ids
    assert char.decode(ids) == hugging_face["char"].decode(ids) == text
    assert char.encode_to_numpy(text).tolist() == ids


@given(text=TEXTS)
@example(text=PROSE)
@example(text=f"a{SPACES}b{END_OF_TEXT} {END_OF_TEXT} {UNKNOWN}")
def test_word_splits_as_the_book_does(text: str):
    pieces = re.split(r'([,.:;?_!"()\']|--|\s)', text)
    assert split_words(text) == [piece.strip() for piece in pieces if piece.strip()]


@given(text=TEXTS)
@example(text=PROSE)
@example(text=f"a{SPACES}test{SPACES}")
def test_word_gives_the_ids_of_tokenizers(text: str, word: Tokenizer, hugging_face: dict[str, tokenizers.Tokenizer]):
    # Without added tokens `tokenizers` finds the name of a special token among the words: here it is an unknown word.
    reference = [word.unk_id if index == word.eot_id else index for index in hugging_face["word"].encode(text).ids]
    assert word.encode(text) == reference == word.encode_to_numpy(text).tolist()


@given(ids=st.lists(st.integers(0, 20)))
def test_word_decodes_as_tokenizers_does(ids: list[int], word: Tokenizer, hugging_face: dict):
    assert word.decode(ids) == hugging_face["word"].decode(ids, skip_special_tokens=False)


def test_word_puts_one_space_between_words_and_none_before_punctuation(word: Tokenizer):
    assert word.decode(word.encode("Hello ,  world\nis gone .")) == f"Hello, world is {UNKNOWN} {UNKNOWN}"
    assert word.decode(word.encode("a test?!")) == "a test?!"


def test_the_most_frequent_words_are_kept_and_ties_go_by_the_word():
    texts = ["b a c b", f"c d {UNKNOWN} {END_OF_TEXT} {UNKNOWN}"]
    assert word_tokens(texts, 100) == ["b", "c", "a", "d", UNKNOWN, END_OF_TEXT]
    assert word_tokens(texts, 5) == ["b", "c", "a", UNKNOWN, END_OF_TEXT]


def test_a_character_outside_of_the_alphabet_is_named(char: Tokenizer):
    with pytest.raises(UserError, match=r"the character 'Z' is none of the \d+ of the tokenizer's alphabet"):
        char.encode("aZ")
    with pytest.raises(UserError, match=r"the character '\\udcff' is none"):
        char.encode("\udcff")


def test_the_text_of_the_end_of_text_token_is_ordinary_text(word: Tokenizer):
    ids = word.encode(f"a {END_OF_TEXT} b")
    assert word.eot_id not in ids
    assert ids[1] == word.unk_id


@pytest.mark.parametrize("loader", [transformers.AutoTokenizer, transformers.PreTrainedTokenizerFast])
@pytest.mark.parametrize("name", ["char", "word"])
def test_transformers_loads_the_directory_with_the_same_ids(name: str, loader: type, folder: Path):
    ours, theirs = load_tokenizer(folder / name), loader.from_pretrained(folder / name)
    assert theirs(PROSE)["input_ids"] == ours.encode(PROSE)
    assert theirs.decode(ours.encode(PROSE)) == ours.decode(ours.encode(PROSE))
    assert (len(theirs), theirs.eos_token_id) == (ours.vocab_size, ours.eot_id)
    assert theirs(END_OF_TEXT)["input_ids"] == [ours.eot_id]


@pytest.mark.parametrize("name", ["char", "word"])
def test_transformers_takes_the_tokenizer_of_a_model_directory_for_no_gpt2(name: str, folder: Path, tmp_path: Path):
    shutil.copytree(folder / name, tmp_path / "model")
    write_json(tmp_path / "model/config.json", {"model_type": "gpt2"})
    theirs = transformers.AutoTokenizer.from_pretrained(tmp_path / "model")
    assert theirs(PROSE)["input_ids"] == load_tokenizer(folder / name).encode(PROSE)


def test_a_lookup_with_another_split_is_refused(folder: Path, tmp_path: Path):
    content = read_json(folder / "word/tokenizer.json") | {"pre_tokenizer": {"type": "Whitespace"}}
    write_json(tmp_path / "tokenizer.json", content)
    with pytest.raises(UserError, match=r"is no byte-level BPE, char or word tokenizer that ends with"):
        load_tokenizer(tmp_path)


def test_tinyshakespeare_by_character_has_nanogpts_counts(mirror: Path, project: Path):
    text = (mirror / "raw.githubusercontent.com/karpathy/char-rnn/master/data/tinyshakespeare/input.txt").read_text()
    corpus = write_corpus(project / "corpus", {"tinyshakespeare.txt": [text]})
    config = TokenizerConfig(kind="char", vocab_size=300, train_bytes=1_000)
    metrics = build_tokenizer(config, corpus, project / "tokenizer")
    assert metrics == {"vocab_size": 65 + 1, "train_bytes": 1_000, "bytes_per_token": 1.0, "unknown_rate": 0.0}
    shard_corpus(corpus, project / "tokenizer", TAIL, project / "tokens")
    tokens = {split: read_all(project / "tokens", split) for split in ("train", "val")}
    assert {split: len(ids) - 1 for split, ids in tokens.items()} == {"train": 1_003_854, "val": 111_540}
    assert all(ids.index(65) == len(ids) - 1 for ids in tokens.values())  # ours ends each of the two texts


def test_words_left_out_of_the_vocabulary_are_the_unknown_rate(tmp_path: Path):
    words = [f"w{number}" for number in range(300)]
    corpus = write_corpus(tmp_path / "corpus", {"a.jsonl": [" ".join(words)]})
    config = TokenizerConfig(kind="word", vocab_size=257, train_bytes=10**6)
    metrics = build_tokenizer(config, corpus, tmp_path / "tokenizer")
    assert metrics["vocab_size"] == 257
    assert metrics["unknown_rate"] == pytest.approx(45 / 300)
