"""What is read in a judge's replies, by the rubric that asked for them."""

import json

import pytest

from scratchlm.errors import UserError
from scratchlm.judging.reading import read_expectation, read_points, read_score
from scratchlm.judging.reply_form import UnreadableReplyError, read_form

AMONG_WORDS = {
    'Here you are: {"reason": "2 of 3 parts", "score": 85}': 85,
    'Here you are: {"score": 85, "reason": "2 of 3 parts"}. Was that of use?': 85,
    '{"thought": 1}\n{"score": 85, "maximum": 100}': 85,
}


@pytest.mark.parametrize(("reply", "score"), AMONG_WORDS.items())
def test_a_json_object_among_words_is_read(reply: str, score: int):
    assert read_points(reply) == score


@pytest.mark.parametrize(
    "reply", ["", "85 or 90", 'A {"score": 101, "n": 1} it is', 'A {"score": NaN} or 3', "{" * 5000]
)
def test_what_holds_no_score_stays_unreadable(reply: str):
    with pytest.raises(UnreadableReplyError):
        read_points(reply)


def test_a_reply_in_the_form_asked_for_is_read_as_the_judge_was_told():
    for reply in ("SCORE: 85", '{"reason": "right", "score": 85}', "85/100"):
        assert read_points(reply) == read_form(reply) == 85


def test_the_expected_score_of_digits_is_mapped_to_0_to_100():
    def read(probabilities: list[float]) -> float:
        return read_expectation(json.dumps({"digit_probabilities": probabilities}))

    assert read([0.2] + 9 * [0.0]) == 0
    assert read(9 * [0.0] + [0.001]) == pytest.approx(100)
    assert read(10 * [0.01]) == pytest.approx(50)
    with pytest.raises(UnreadableReplyError):
        read(10 * [0.0])
    for edited in ("{}", "0.5", '{"digit_probabilities": [null]}', "{"):
        with pytest.raises(UnreadableReplyError, match="probabilities of the ten digits"):
            read_expectation(edited)


def test_a_row_is_read_by_its_rubric_from_the_first_readable_reply():
    assert read_score({"id": 1, "rubric": "points-1", "replies": ["SCORE: 101", "SCORE: 85", "SCORE: 3"]}) == 85
    assert read_score({"id": 1, "rubric": "points-1", "replies": ["", "no", "never"]}) is None
    digits = json.dumps({"digit_probabilities": [0.1] * 10})
    assert read_score({"id": 1, "rubric": "digit-1", "replies": [digits]}) == pytest.approx(50)
    with pytest.raises(UserError, match="item 1 was judged by the rubric 'points-0'"):
        read_score({"id": 1, "rubric": "points-0", "replies": []})
