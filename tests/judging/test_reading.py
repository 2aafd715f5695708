"""What is read in a judge's replies, by the reading that was asked for."""

from typing import Any

import pytest

from scratchlm.errors import UserError
from scratchlm.judging.reading import read_expectation, read_points, read_reason, read_score, read_scores
from scratchlm.judging.reply_form import UnreadableReplyError, read_form

AMONG_WORDS = {
    'Here you are: {"reason": "2 of 3 parts", "score": 85}': 85,
    'Here you are: {"score": 85, "reason": "2 of 3 parts"}. Was that of use?': 85,
    '{"thought": 1}\n{"score": 85, "maximum": 100}': 85,
}


def row(*replies: Any, **others: Any) -> dict[str, Any]:
    """A row of replies.jsonl."""
    contents = [reply if isinstance(reply, dict) else {"content": reply} for reply in replies]
    return {"id": 1, "maximum": 100, "reading": "reply", "status": "ok", "replies": contents, **others}


@pytest.mark.parametrize(("reply", "score"), AMONG_WORDS.items())
def test_a_json_object_among_words_is_read(reply: str, score: int):
    assert read_points({"content": reply}, 100) == score


@pytest.mark.parametrize(
    "reply", ["", "85 or 90", 'A {"score": 101, "n": 1} it is', 'A {"score": NaN} or 3', "{" * 5000]
)
def test_what_holds_no_score_stays_unreadable(reply: str):
    with pytest.raises(UnreadableReplyError):
        read_points({"content": reply}, 100)


def test_a_reply_in_the_form_asked_for_is_read_as_the_judge_was_told():
    for reply in ("SCORE: 85", '{"reason": "right", "score": 85}', "85/100"):
        assert read_points({"content": reply}, 100) == read_form({"content": reply}, 100) == 85


def test_the_expected_grade_is_that_of_the_probabilities_of_the_grades():
    def read(*probabilities: Any) -> float:
        return read_expectation({"probabilities": list(probabilities)}, 4)

    assert read(0.2, 0, 0, 0, 0) == 0
    assert read(0, 0, 0, 0, 0.001) == pytest.approx(4)
    assert read(0.1, 0.1, 0.1, 0.1, 0.1) == pytest.approx(2)
    for wrong in ([0.0] * 5, [0.1] * 4, [None] * 5, [float("nan")] * 5, [-0.1, 0.5, 0, 0, 0]):
        with pytest.raises(UnreadableReplyError):
            read(*wrong)
    with pytest.raises(UnreadableReplyError, match="probabilities of the grades 0 to 4"):
        read_expectation({"content": "SCORE: 3"}, 4)


def test_a_row_is_read_from_the_first_readable_reply():
    assert read_score(row("SCORE: 101", "SCORE: 85", "SCORE: 3")) == 85
    assert read_score(row("", "no", "never")) is None


def test_grades_are_mapped_to_0_to_100():
    assert read_score(row("SCORE: 3", maximum=4)) == 75
    expected = row({"content": "SCORE: 3", "probabilities": [0, 0, 0, 0.3, 0.3]}, maximum=4, reading="expected")
    assert read_score(expected) == pytest.approx(87.5)


def test_a_verbatim_answer_has_full_marks_without_a_reply():
    assert read_score(row(status="verbatim")) == 100


def test_an_unknown_reading_is_one_line():
    with pytest.raises(UserError, match="item 1 is to be read as 'stars'"):
        read_score(row(reading="stars"))


def test_the_samples_of_an_item_stand_together():
    rows = [row("SCORE: 1"), row("none"), row("SCORE: 5", id=2)]
    assert read_scores(rows) == {1: [1.0, None], 2: [5.0]}


@pytest.mark.parametrize(
    ("reply", "reason"),
    [
        ({"content": '{"reason": "Right.", "score": 4}'}, "Right."),
        ({"content": "", "tool": '{"reason": "Right.", "score": 4}'}, "Right."),
        ({"content": "Right, though terse.\n\n**SCORE: 85**"}, "Right, though terse."),
        ({"probabilities": [1.0]}, ""),
    ],
)
def test_the_reason_is_what_stands_beside_the_score(reply: dict[str, Any], reason: str):
    assert read_reason(row(reply)) == reason
