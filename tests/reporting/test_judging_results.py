"""How the answers were judged, as the report tells it: what was measured, and what was not."""

from collections.abc import Mapping
from typing import Any

from scratchlm.reporting.results import Result, list_judging
from tests.reporting.made_up_run import METRICS, REPLIES

RUN, JUDGED = METRICS["judge_responses"], METRICS["score_judgements"]


def rows_by_name(backend: str, run: Mapping[str, Any] = RUN, judged: Mapping[str, Any] = JUDGED) -> dict[str, Result]:
    return {row.name: row for row in list_judging(backend, run, judged, REPLIES)}


def without(metrics: Mapping[str, Any], *keys: str) -> dict[str, Any]:
    return {key: value for key, value in metrics.items() if key not in keys}


def test_a_server_is_named_with_its_model_what_it_honoured_its_tokens_and_their_cost():
    rows = rows_by_name("openai")
    assert rows["Judge"].beside == f"{REPLIES[0]['model']}; rubric points-100-v1, the grade of the reply"
    assert rows["Honoured by its server"].figure == "JSON schema, seed"
    assert rows["Tokens"].figure == "98,765 read, 4,321 written"
    assert rows["Cost"].figure == "$0.0217"


def test_the_success_of_attacks_stands_with_its_interval_and_beside_the_score_of_the_wrong_answers():
    attacks = rows_by_name("openai")["Hostile answers that raised their score"]
    assert (attacks.figure, attacks.beside) == (
        "15.0% (5.2% to 36.0%)",
        "of 20, 1 unparsed; the wrong answers score 12.5",
    )
    unread = rows_by_name("openai", judged=without(JUDGED, "wrong_score"))["Hostile answers that raised their score"]
    assert unread.beside.endswith("the wrong answers could not be read")


def test_several_judgements_of_an_answer_stand_with_their_spread():
    several = rows_by_name("openai")["Judgements of each answer"]
    assert several.figure == "2"
    assert several.beside == (
        "spread within an answer: a standard deviation of 7.9 points; 1 verbatim got full marks unasked"
    )
    once = RUN | {"judgements": RUN["items"], "verbatim": 0}
    single = rows_by_name("openai", once, without(JUDGED, "sample_sd"))["Judgements of each answer"]
    assert (single.figure, single.beside) == ("1", "no spread within an answer")


def test_a_cost_that_is_not_known_is_not_called_zero():
    assert rows_by_name("openai", without(RUN, "cost_usd"))["Cost"].figure == "not known"


def test_of_a_local_judge_no_server_and_no_cost_is_claimed():
    rows = rows_by_name("local")
    assert "Honoured by its server" not in rows
    assert rows["Cost"].figure == "none"


def test_a_server_that_honours_nothing_is_said_to():
    deaf = [{**row, "honoured": []} for row in REPLIES]
    (honoured,) = (row for row in list_judging("openai", RUN, JUDGED, deaf) if row.name == "Honoured by its server")
    assert honoured.figure == "nothing"
