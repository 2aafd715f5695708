"""The probabilities of the grades, found in the tokens of a reply at the place of its score."""

import math

import pytest

from scratchlm.judging.grades import grade_probabilities

Tokens = list[tuple[str, dict[str, float]]]


def tokens(*texts: str, at: int, **grades: float) -> Tokens:
    """Tokens of which the one at a place has these grades (`g3` is `3`) among its likeliest; others have grade 0."""
    tops = {name.removeprefix("g"): math.log(probability) for name, probability in grades.items()}
    return [(text, tops if place == at else {"0": 0.0}) for place, text in enumerate(texts)]


@pytest.mark.parametrize(
    "reply",
    [
        tokens("3", at=0, g3=0.5, g4=0.25),
        tokens("Good", ".", " SC", "ORE", ":", " ", "3", at=6, g3=0.5, g4=0.25),
        tokens("SCORE", ":", " 3", at=2, g3=0.5, g4=0.25),
        tokens("SCORE: 1", ", no, SCORE", ": ", "3", ".", at=3, g3=0.5, g4=0.25),
        tokens('{"', "reason", '":"', "right", '","', "score", '":', "3", "}", at=7, g3=0.5, g4=0.25),
        tokens("**", "Score", ":**", " ", "3", at=4, g3=0.5, g4=0.25),
    ],
)
def test_the_grades_are_those_at_the_last_score(reply: Tokens):
    assert grade_probabilities(reply, 4) == pytest.approx([0, 0, 0, 0.5, 0.25])


def test_a_grade_counts_in_every_spelling_and_what_is_no_grade_does_not():
    likeliest = {"3": 0.5, " 3": 0.125, '"3': 0.0625, "5": 0.1, "33": 0.1, "three": 0.1}
    reply = [("SCORE: ", {}), ("3", {token: math.log(p) for token, p in likeliest.items()})]
    assert grade_probabilities(reply, 4) == pytest.approx([0, 0, 0, 0.6875, 0])


def test_no_sum_of_spellings_is_above_1():
    assert grade_probabilities([("3", {"3": 0.0, " 3": math.log(0.5)})], 4) == [0, 0, 0, 1, 0]


@pytest.mark.parametrize(
    "reply",
    [
        [],
        tokens("I", " cannot", " say", at=1, g3=0.5),
        tokens("SCORE: ", "85", at=1, g3=0.5),
        [("SCORE: ", {}), ("3", {})],
        [("SCORE: ", {}), ("3", {"three": -0.1, "7": -3.0})],
    ],
)
def test_where_no_grade_stands_or_none_is_among_the_likeliest_there_are_no_probabilities(reply: Tokens):
    assert grade_probabilities(reply, 4) is None
