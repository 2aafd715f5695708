"""The rows of what was judged."""

import pytest

from scratchlm.judging.judged_items import instruction_kind, judged_items


@pytest.mark.parametrize(
    ("instruction", "kind"),
    [
        ("Rewrite the sentence.", "rewrite"),
        ("  \n**What** is it?", "what"),
        ("2 + 2?", "none"),
        ("", "none"),
        ("7 days: name them", "days"),
        ("\u00c9cris une phrase", "\u00e9cris"),
        ("snake_case it", "snake"),
    ],
)
def test_the_kind_of_an_instruction_is_its_first_word(instruction: str, kind: str):
    assert instruction_kind(instruction) == kind


def test_an_answer_that_was_not_scored_is_left_out():
    answers = [{"id": n, "instruction": "Say it.", "response": "a b\nc"} for n in range(3)]
    rows = judged_items(answers, [1.5, None, 0.0])
    assert rows == [{"id": n, "kind": "say", "words": 3, "score": score} for n, score in ((0, 1.5), (2, 0.0))]
