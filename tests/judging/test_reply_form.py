"""What each kind of reply becomes, and what the judge is told of the others."""

import json

import pytest

from scratchlm.judging.reply_form import UnreadableReplyError, read_form, reply_schema, request_again

READABLE = {
    "SCORE: 85": 85,
    "Score: 85": 85,
    "score = 85": 85,
    "85": 85,
    "85.": 85,
    "85/100": 85,
    "SCORE: 85/100.": 85,
    "SCORE: 85 / 100": 85,
    "SCORE: 0": 0,
    "SCORE: 100": 100,
    "SCORE: 85 out of 100": 85,
    "**SCORE: 85**": 85,
    "**SCORE:** 85": 85,
    "The sum is right, though terse.\n\nSCORE: 85\n": 85,
    "SCORE: 85 because the sum is right": 85,
    "A first thought: SCORE: 20. On reflection:\nSCORE: 85": 85,
    '{"reason": "2 + 3 is 5", "score": 85}': 85,
    '{"score": 85.0}': 85,
    '{"reason": "not SCORE: 20", "score": 85}': 85,
    '```json\n{"score": 85}\n```': 85,
    'Here you are: {"reason": "right", "score": 85}': 85,
}
UNREADABLE = {
    "": "no line SCORE: n",
    "I cannot grade this answer.": "no line SCORE: n",
    "I would give it 85.": "no line SCORE: n",
    "80 or 90": "no line SCORE: n",
    "85.5": "no line SCORE: n",
    "SCORE: 80 or 90": "no integer score",
    "SCORE: 80-90": "no integer score",
    "SCORE: 8/10": "no integer score",
    "SCORE: 85/1000": "no integer score",
    "SCORE: 85.5": "no integer score",
    "SCORE: NaN": "no integer score",
    "SCORE: eighty": "no integer score",
    "SCORE:": "no integer score",
    "SCORE: " + "9" * 5000: "no integer score",
    "SCORE: 101": "not between 0 and 100",
    "SCORE: -3": "not between 0 and 100",
    '{"score": 101}': "not between 0 and 100",
    '{"score": NaN}': "not between 0 and 100",
    '{"score": 85.5}': "no integer",
    '{"score": "85"}': "no integer",
    '{"score": true}': "no integer",
    '{"reason": "two"}': "no line SCORE: n",
    "[85]": "no line SCORE: n",
    '{"score": ' + "9" * 5000 + "}": "no integer score",
}


@pytest.mark.parametrize(("reply", "score"), READABLE.items())
def test_a_readable_reply_becomes_its_score(reply: str, score: int):
    assert read_form({"content": reply}, 100) == score


@pytest.mark.parametrize(("reply", "problem"), UNREADABLE.items(), ids=lambda text: text[:20])
def test_an_unreadable_reply_says_what_is_wrong_with_it(reply: str, problem: str):
    with pytest.raises(UnreadableReplyError, match=problem):
        read_form({"content": reply}, 100)


@pytest.mark.parametrize(("reply", "score"), {"SCORE: 3": 3, "3/4": 3, "SCORE: 3 out of 4.": 3, "SCORE: 4": 4}.items())
def test_a_reply_is_read_on_the_rubrics_scale(reply: str, score: int):
    assert read_form({"content": reply}, 4) == score


@pytest.mark.parametrize("reply", ["SCORE: 5", "SCORE: 85/100", '{"score": 5}', "SCORE: 3/5"])
def test_a_grade_beyond_the_rubrics_scale_is_unreadable(reply: str):
    with pytest.raises(UnreadableReplyError):
        read_form({"content": reply}, 4)


def test_json_is_read_before_a_tool_call_and_that_before_the_last_score_line():
    tool = json.dumps({"reason": "", "score": 2})
    assert read_form({"content": '{"reason": "SCORE: 3", "score": 1}', "tool": tool}, 4) == 1
    assert read_form({"content": "At first SCORE: 3", "tool": tool}, 4) == 2
    assert read_form({"content": "At first SCORE: 3", "tool": "{"}, 4) == 3
    assert read_form({"content": '{"thought": 1}', "tool": tool}, 4) == 2
    with pytest.raises(UnreadableReplyError, match="9 is not between 0 and 4"):
        read_form({"content": "SCORE: 3", "tool": '{"score": 9}'}, 4)


def test_a_refusal_is_unreadable_and_said_to_be_one():
    with pytest.raises(UnreadableReplyError, match="refuses to grade"):
        read_form({"content": "", "refusal": "I cannot."}, 100)


def test_the_schema_takes_the_grades_of_the_rubric_alone():
    assert reply_schema(4)["properties"]["score"]["enum"] == [0, 1, 2, 3, 4]


def test_the_judge_is_told_why_its_reply_could_not_be_read():
    with pytest.raises(UnreadableReplyError) as caught:
        read_form({"content": "SCORE: 101"}, 100)
    assert "the score 101 is not between 0 and 100" in request_again(caught.value, 100)
