"""The report: one file that needs nothing else, and says what its figures are worth."""

from collections.abc import Callable
from itertools import pairwise

from scratchlm.reporting.published import COMPARISONS
from scratchlm.reporting.results import list_judging
from tests.reporting.conftest import FIGURES, PARAMS
from tests.reporting.made_up_run import (
    ANSWERS_OVER_TRAINING,
    ATTACK,
    CARDS,
    CONTINUATIONS,
    CONTINUED,
    CORPUS,
    METRICS,
    PREDICTIONS,
    REPLIES,
    RESPONSES,
    SAMPLES,
    predictions_frame,
)
from tests.reporting.page import Page

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


def test_pretraining_that_went_on_is_shown_with_its_base_curve_and_samples(render: Callable[..., str]):
    before = Page(render())
    cards = CARDS | {"instruct": [CARDS["instruct"][0], CONTINUED, *CARDS["instruct"][1:]]}
    page = Page(render(cards=cards))
    assert len(page.addresses) == len(before.addresses) + 1
    assert "the validation loss was 5.000 before and is 3.000 at the end." in " ".join(page.alts)
    assert "Bits per byte1.250its base: 2.080" in page.text
    assert f"step 300Now like {ATTACK}." in page.text
    assert "its base" not in before.text
