"""The report: one file that needs nothing else, shows the right rows, and says what its figures are worth."""

from collections.abc import Callable
from html.parser import HTMLParser
from itertools import pairwise
from pathlib import Path
from typing import Any

import pandas as pd
import pytest

from scratchlm.artifacts import write_csv
from scratchlm.errors import UserError
from scratchlm.judging.reading import read_reason
from scratchlm.reporting.published import COMPARISONS
from scratchlm.reporting.report import (
    rank_answers,
    rank_judged,
    read_predictions,
    read_table,
    render_report,
    spread_samples,
    surest_predictions,
)
from scratchlm.reporting.results import list_judging
from tests.reporting.made_up_run import (
    ANSWERS_OVER_TRAINING,
    ATTACK,
    CARDS,
    CLASSES,
    CONTINUATIONS,
    CONTINUED,
    CORPUS,
    JUDGED_ITEMS,
    METRICS,
    PREDICTIONS,
    REFERENCE_ITEMS,
    REPLIES,
    RESPONSES,
    SAMPLES,
    predictions_frame,
    write_run,
)

PARAMS: dict[str, Any] = {
    "fetch_sms_spam": {"source": "uci"},
    "fetch_instructions": {"source": "sample"},
    "fetch_corpus": {"sources": ["package_docs", {"url": "mine.txt", "sha256": "0" * 64}]},
    "finetune_classifier": {"base": "gpt2-roundtrip"},
    "finetune_instruct": {"base": "gpt2-124M"},
    "judge_responses": {"backend": "local", "model": "gpt2-roundtrip"},
}
CLASSIFIER_FIGURES = ["classifier_curves", "classifier_confusion", "classifier_reliability"]
FIGURES = ["results", "pretrain_loss", *CLASSIFIER_FIGURES, "instruct_loss", "sms_lengths", "sms_classes"]
FIGURES += ["judge_scores", "judge_kinds", "judge_lengths", "temperature"]
BOOK_SPLIT = PARAMS | {
    "prepare_sms_spam": {
        "labels": ["ham", "spam"],
        "quoting": "csv",
        "seed": 123,
        "group_by": "none",
        "balance": "undersample",
        "split": "book",
        "train_fraction": 0.7,
        "val_fraction": 0.1,
    }
}
REASONS = {row["id"]: read_reason(row) for row in REPLIES if row["sample"] == 0}
VOID = {"meta", "img"}


class Page(HTMLParser):
    """The elements, the addresses and the text of a page; asserts that every element is closed where it should be."""

    def __init__(self, html: str) -> None:
        super().__init__()
        self.open: list[str] = []
        self.tags: list[str] = []
        self.addresses: list[str] = []
        self.links: list[str] = []
        self.ids: list[str] = []
        self.alts: list[str] = []
        self.text = ""
        self.feed(html)
        self.close()
        assert not self.open

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        self.tags.append(tag)
        for name, value in attrs:
            kept = self.links if (tag, name) == ("a", "href") else self.addresses
            if name in {"src", "href", "srcset", "action"}:
                kept.append(value or "")
            assert not name.startswith("on")
        self.ids += [value or "" for name, value in attrs if name == "id"]
        self.alts += [value or "" for name, value in attrs if name == "alt"]
        if tag not in VOID:
            self.open.append(tag)

    def handle_endtag(self, tag: str) -> None:
        assert self.open.pop() == tag

    def handle_data(self, data: str) -> None:
        self.text += data


@pytest.fixture
def render(tmp_path: Path) -> Callable[..., str]:
    """The HTML of the made-up run, with some of the arguments replaced."""
    write_run(tmp_path)
    figure = (tmp_path / "metrics/plots/sample_text_temperature.png").read_bytes()

    def render(**changes: Any) -> str:
        content = {
            "params": PARAMS,
            "sample_params": PARAMS,
            "metrics": METRICS,
            "corpus": CORPUS,
            "cards": CARDS,
            "figures": dict.fromkeys(FIGURES, figure),
            "samples": {"pretrain": SAMPLES, "finetune_instruct": ANSWERS_OVER_TRAINING},
            "continuations": CONTINUATIONS,
            "predictions": predictions_frame(),
            "classes": CLASSES,
            "answers": rank_answers(RESPONSES, pd.DataFrame(REFERENCE_ITEMS)),
            "judged": rank_judged(RESPONSES, pd.DataFrame(JUDGED_ITEMS), REASONS),
            "replies": REPLIES,
        }
        return render_report(**content | changes)

    return render


def test_the_page_is_well_formed_and_every_address_is_embedded(render: Callable[..., str]):
    page = Page(render())
    assert len(page.addresses) == len(FIGURES)
    assert all(address.startswith("data:image/png;base64,iVBOR") for address in page.addresses)


def test_headings_go_down_by_one_level_every_picture_says_what_it_shows_and_every_link_has_a_target(
    render: Callable[..., str],
):
    page = Page(render(params=BOOK_SPLIT))
    levels = [int(tag[1]) for tag in page.tags if tag in {"h1", "h2", "h3", "h4"}]
    assert levels[0] == 1
    assert levels.count(1) == 1
    assert all(below <= above + 1 for above, below in pairwise(levels))
    assert len(page.alts) == len(FIGURES)
    assert all(page.alts)
    inside = {link.removeprefix("#") for link in page.links if link.startswith("#")}
    assert inside == set(page.ids)
    assert [link for link in page.links if not link.startswith("#")] == [COMPARISONS[0].source]


def test_texts_of_messages_and_models_are_shown_as_they_are_and_never_run(render: Callable[..., str]):
    page = Page(render())
    assert "script" not in page.tags
    assert page.tags.count("img") == len(FIGURES)
    texts = [SAMPLES[-1]["text"], CONTINUATIONS[0]["text"], PREDICTIONS[0]["text"]]
    texts += [RESPONSES[0]["input"], RESPONSES[9]["response"], CORPUS[0]["url"], f"data/{ATTACK}"]
    texts += [ANSWERS_OVER_TRAINING[0]["prompt"]]
    assert all(text in page.text for text in texts)


def test_the_same_run_gives_the_same_bytes(render: Callable[..., str]):
    assert render() == render()


def test_a_hostile_parameter_is_shown_as_it_is(render: Callable[..., str]):
    params = PARAMS | {"pretrain": {"sample_prompts": [f"</code></pre>{ATTACK}"]}}
    page = Page(render(params=params))
    assert "script" not in page.tags
    assert page.tags.count("img") == len(FIGURES)


def test_what_differs_from_the_sample_stands_above_all_parameters(render: Callable[..., str]):
    assert "every parameter as it stands there" in render()
    text = Page(render(sample_params=PARAMS | {"fetch_sms_spam": {"source": "sample"}})).text
    assert 'fetch_sms_spam.source"uci""sample"' in text
    assert text.index("fetch_sms_spam.source") < text.index("All parameters")


def test_a_published_figure_is_shown_only_beside_the_same_measurement(render: Callable[..., str]):
    assert "this one does not" in render()
    text = Page(render(params=BOOK_SPLIT)).text
    assert "This run93.8% (91.8% to 95.8%)" in text
    assert "GPT-2 124M, last block, last position (row 1)95.0%" in text
    assert "Llama" not in text


def test_a_local_judge_is_said_to_show_the_machinery_only(render: Callable[..., str]):
    assert "shows the\n  machinery and no more" in render()
    server = PARAMS | {"judge_responses": {"backend": "openai", "model": "unused"}}
    assert "machinery" not in render(params=server)


def test_how_the_answers_were_judged_stands_above_the_judges_scores(render: Callable[..., str]):
    rows = list_judging("local", METRICS["judge_responses"], METRICS["score_judgements"], REPLIES)
    judging = Page(render()).text.split("Worst by chrF++")[1].split("Best by the judge")[0]
    assert all(f"{row.name}{row.figure}{row.beside}" in judging for row in rows)


def test_the_sample_is_named_as_one_only_where_it_was_used(render: Callable[..., str]):
    assert "The instructions are the small sample" in render()
    both = PARAMS | {"fetch_sms_spam": {"source": "sample"}}
    assert "The SMS messages and instructions are the small sample" in render(params=both)
    mine = PARAMS | {"fetch_instructions": {"source": {"url": "mine.json", "sha256": "0" * 64}}}
    assert "small sample" not in render(params=mine)


def test_a_stage_resumed_with_other_code_is_named(render: Callable[..., str]):
    assert "other code" not in render()
    metrics = METRICS | {"pretrain": METRICS["pretrain"] | {"resumed_with_other_code": True}}
    assert "<code>pretrain</code> was resumed with other code" in render(metrics=metrics)


def test_a_run_without_samples_or_wrong_predictions_says_none(render: Callable[..., str]):
    right = predictions_frame().query("label == predicted")
    samples = {"pretrain": [], "finetune_instruct": []}
    assert render(samples=samples, predictions=right).count("<p>None.</p>") == 3


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


def test_pretraining_that_went_on_is_shown_with_its_base_curve_and_samples(render: Callable[..., str]):
    before = Page(render())
    cards = CARDS | {"instruct": [CARDS["instruct"][0], CONTINUED, *CARDS["instruct"][1:]]}
    page = Page(render(cards=cards))
    assert len(page.addresses) == len(before.addresses) + 1
    assert "the validation loss was 5.000 before and is 3.000 at the end." in " ".join(page.alts)
    assert "Bits per byte1.250its base: 2.080" in page.text
    assert f"step 300Now like {ATTACK}." in page.text
    assert "its base" not in before.text


def test_tables_and_predictions_are_read_as_they_were_written(tmp_path: Path):
    write_csv(tmp_path / "table.csv", PREDICTIONS, list(PREDICTIONS[0]))
    assert read_predictions(tmp_path / "table.csv", CLASSES).to_dict("records") == PREDICTIONS


def test_classes_that_are_numbers_are_read_as_texts(tmp_path: Path):
    rows = [{"label": "0", "predicted": "01", "probability_0": 0.25, "text": "7"}]
    write_csv(tmp_path / "table.csv", rows, list(rows[0]))
    assert read_predictions(tmp_path / "table.csv", ["0"]).to_dict("records") == rows


@pytest.mark.parametrize(
    ("content", "message"),
    [
        (None, r"table\.csv is missing; run `dvc repro`"),
        (b"", "table.csv cannot be read as CSV: No columns"),
        (b"step,loss\n1,\xe9\n", "table.csv cannot be read as CSV: 'utf-8'"),
        (b"step\n1\n", "table.csv has no column loss"),
        (b"step,loss\n1,much\n", "table.csv cannot be read as CSV: could not convert string to float: 'much'"),
        (b"step,loss\n1,2,3\n4,5\n6,7,8,9\n", "table.csv cannot be read as CSV"),
    ],
)
def test_a_table_that_is_wrong_is_one_line_that_names_it(tmp_path: Path, content: bytes | None, message: str):
    if content is not None:
        (tmp_path / "table.csv").write_bytes(content)
    with pytest.raises(UserError, match=message):
        read_table(tmp_path / "table.csv", {"step": int, "loss": float})
