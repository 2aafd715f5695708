"""What each kind of reply becomes, and what the judge is told of the others."""

import pytest

from scratchlm.judging.reply_form import UnreadableReplyError, read_form, request_again

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
    '{"reason": "SCORE: 85"}': "no integer",
    "[85]": "no line SCORE: n",
    '{"score": ' + "9" * 5000 + "}": "no integer score",
}


@pytest.mark.parametrize(("reply", "score"), READABLE.items())
def test_a_readable_reply_becomes_its_score(reply: str, score: int):
    assert read_form(reply) == score


@pytest.mark.parametrize(("reply", "problem"), UNREADABLE.items(), ids=lambda text: text[:20])
def test_an_unreadable_reply_says_what_is_wrong_with_it(reply: str, problem: str):
    with pytest.raises(UnreadableReplyError, match=problem):
        read_form(reply)


def test_the_judge_is_told_why_its_reply_could_not_be_read():
    with pytest.raises(UnreadableReplyError) as caught:
        read_form("SCORE: 101")
    assert "the score 101 is not between 0 and 100" in request_again(caught.value)
