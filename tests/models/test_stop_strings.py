"""Stop strings in the text of tokens, and the text in pieces."""

from collections.abc import Sequence
from itertools import pairwise
from pathlib import Path

import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st

from scratchlm.models.sampling import generate
from scratchlm.models.stop_strings import cut_at_stop, stream_text
from tests.corpora import write_byte_tokenizer
from tests.tiny_model import greedy, save_tiny_model, teach, tiny_gpt


def decode(parts: Sequence[bytes]) -> str:
    """The text of tokens that are bytes, as a byte-level BPE has them."""
    return b"".join(parts).decode(errors="replace")


def pieces(parts: Sequence[bytes], stop_strings: Sequence[str] = ()) -> list[str]:
    """What is shown of a text whose tokens come one by one."""
    return list(stream_text((parts[: n + 1] for n in range(len(parts))), decode, stop_strings))


@pytest.mark.parametrize(
    ("text", "stop_strings", "expected"),
    [
        ("a b c", [], ("a b c", False)),
        ("a b c", [" c", "b"], ("a ", True)),
        ("a b c", ["d"], ("a b c", False)),
        ("###", ["###"], ("", True)),
        ("one. two. ", [". "], ("one", True)),
    ],
)
def test_a_text_ends_before_its_first_stop_string(text: str, stop_strings: list[str], expected: tuple[str, bool]):
    assert cut_at_stop(text, stop_strings) == expected


def test_a_character_is_shown_when_it_is_whole():
    parts = [bytes([byte]) for byte in "né🙂.".encode()]
    assert pieces(parts) == ["n", "é", "🙂", "."]


def test_bytes_that_make_no_character_are_shown_once_that_is_certain():
    assert pieces([b"a", b"\xf0", b"\x9f", b"b", b"\xe2"]) == ["a", "\ufffdb", "\ufffd"]


def test_what_may_begin_a_stop_string_is_held_back_until_it_does_not():
    assert pieces([b"a", b"\n", b"#", b"#b", b"\n#"], ["\n###"]) == ["a", "\n##b", "\n#"]


def test_a_stop_string_over_several_tokens_is_cut_off_and_ends_the_text():
    assert pieces([b"yes", b" #", b"#", b"# no", b" more"], ["###"]) == ["yes", " "]


def test_no_step_is_asked_for_after_the_stop_string():
    def steps():
        yield [b"a"]
        yield [b"a", b"."]
        raise AssertionError("one step too many")

    assert list(stream_text(steps(), decode, ["."])) == ["a"]


def test_a_stop_string_ends_the_tokens_where_transformers_ends_them(tmp_path: Path):
    from transformers import AutoTokenizer, GPT2LMHeadModel

    tokenizer = write_byte_tokenizer(tmp_path / "tokenizer")
    model = teach(tiny_gpt(), tokenizer.encode("abcdefgh"))
    save_tiny_model(tmp_path / "model", model)
    prompt = tokenizer.encode("a")
    for stop_strings in (["def"], ["h", "ef"], ["fgz"]):
        (ours,) = generate(
            model,
            [prompt],
            greedy(6),
            has_ended=lambda new, stop=stop_strings: cut_at_stop(tokenizer.decode(new), stop)[1],
        )
        theirs = GPT2LMHeadModel.from_pretrained(tmp_path / "model").generate(
            torch.tensor([prompt]),
            attention_mask=torch.ones(1, 1, dtype=torch.long),
            max_new_tokens=6,
            do_sample=False,
            stop_strings=stop_strings,
            tokenizer=AutoTokenizer.from_pretrained(tmp_path / "model"),
        )
        assert ours == theirs[0, 1:].tolist()


ALPHABET = "ab\n#é🙂"


@given(
    st.text(ALPHABET, max_size=20),
    st.lists(st.text(ALPHABET, min_size=1, max_size=4), max_size=3),
    st.lists(st.integers(0, 60), max_size=20),
)
def test_the_pieces_are_together_the_text_up_to_where_it_ends(text: str, stop_strings: list[str], cuts: list[int]):
    content = text.encode()
    edges = sorted({0, len(content), *(cut for cut in cuts if cut < len(content))})
    parts = [content[start:end] for start, end in pairwise(edges)]
    expected, read = "", 0
    for read in range(1, len(parts) + 1):
        expected, has_stopped = cut_at_stop(decode(parts[:read]), stop_strings)
        if has_stopped:
            break
    shown = pieces(parts, stop_strings)
    assert "".join(shown) == expected
    assert "" not in shown
    assert not any("\ufffd" in piece for piece in shown)
