"""The rows that the report shows: the surest predictions, the best and the worst answers, a few samples."""

from collections.abc import Callable

import pandas as pd
import pytest

from scratchlm.reporting.report import rank_answers, rank_judged, spread_samples, surest_predictions
from tests.reporting.conftest import REASONS
from tests.reporting.made_up_run import ATTACK, JUDGED_ITEMS, PREDICTIONS, REFERENCE_ITEMS, RESPONSES, predictions_frame
from tests.reporting.page import Page


def test_the_surest_predictions_come_first():
    right = surest_predictions(predictions_frame(), right=True)
    assert [row["probability"] for row in right] == [0.999, 0.999, 0.75, 0.75]
    wrong = surest_predictions(predictions_frame(), right=False)
    assert [row["probability"] for row in wrong] == [0.98, 0.9]


def test_ten_predictions_of_many_are_shown():
    many = pd.DataFrame([PREDICTIONS[0] | {"probability_spam": 0.5 + number / 100} for number in range(50)])
    chosen = [row["probability"] for row in surest_predictions(many, right=True)]
    assert chosen == sorted(many["probability_spam"], reverse=True)[:10]


@pytest.mark.parametrize(
    ("count", "shown"), [(0, []), (1, [1]), (6, [1, 2, 3, 4, 5, 6]), (7, [1, 3, 5, 7]), (600, range(100, 601, 100))]
)
def test_each_prompt_is_shown_at_a_few_evenly_spaced_steps_and_the_last_is_one(count: int, shown: list[int]):
    samples = [
        {"step": step, "prompt": prompt, "text": ""} for step in range(1, count + 1) for prompt in ("Return the", "If")
    ]
    spread = spread_samples(samples)
    assert list(spread) == (["Return the", "If"] if shown else [])
    assert all([row["step"] for row in rows] == list(shown) for rows in spread.values())


def test_answers_are_joined_with_their_metrics_by_id():
    scores = pd.DataFrame([{"id": 2, "ref_chrf": 1.0}, {"id": 0, "ref_chrf": 9.0}])
    ranked = rank_answers(RESPONSES, scores)
    assert [(row["id"], row["ref_chrf"], row["response"]) for row in ranked] == [
        (0, 9.0, RESPONSES[0]["response"]),
        (2, 1.0, RESPONSES[2]["response"]),
    ]


def test_no_answer_is_both_among_the_best_and_the_worst(render: Callable[..., str]):
    answers = rank_answers(RESPONSES[:7], pd.DataFrame(REFERENCE_ITEMS))
    judged = rank_judged(RESPONSES[:7], pd.DataFrame(JUDGED_ITEMS), REASONS)
    text = Page(render(answers=answers, judged=judged)).text
    answered, judgements = text.split("Best by the judge")
    assert [answered.count(row["instruction"]) for row in answers] == [1] * 7
    assert [judgements.count(row["instruction"]) for row in judged] == [1] * 6


def test_the_best_and_the_worst_by_the_judge_stand_with_its_reasons_and_the_unparsed_one_nowhere(
    render: Callable[..., str],
):
    judgements = Page(render()).text.split("Best by the judge")[1]
    best, worst = (part.split("Score")[1:] for part in judgements.split("Worst by the judge"))
    shown = [[float(row.split("Reason")[0]) for row in part] for part in (best, worst)]
    assert shown == [[99, 90, 81, 72, 63], [36, 27, 18, 9, 0]]
    assert best[0].split("Reason")[1].startswith(f"It is 11, not {ATTACK}.")


def test_a_judge_that_gives_no_reasons_is_said_to_give_none(render: Callable[..., str]):
    judged = rank_judged(RESPONSES, pd.DataFrame(JUDGED_ITEMS), dict.fromkeys(REASONS, ""))
    assert Page(render(judged=judged)).text.count("(the judge gave none)") == 10
    assert "Best by the judge\nNone." in Page(render(judged=[])).text
