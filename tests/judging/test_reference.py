"""Reference metrics against the packages and against cases computed by hand."""

import runpy

import pytest
from rouge_score.rouge_scorer import RougeScorer
from sacrebleu import corpus_chrf, sentence_chrf

from scratchlm.judging import chrf, reference
from scratchlm.judging.reference import normalise, repeats_itself, score_answer, score_answers
from scratchlm.statistics import bootstrap_interval, wilson_interval

ANSWERS = [
    {"id": 0, "response": "The cat sat on the mat.", "output": "the cat sat on the mat"},
    {"id": 1, "response": "A dog ran.", "output": "The dog ran home quickly."},
    {"id": 2, "response": "", "output": "Nothing is nothing."},
    {"id": 3, "response": "go on and on " * 3, "output": "Go on."},
]


def test_chrf_and_rouge_are_those_of_sacrebleu_and_rouge_score():
    items, metrics = score_answers(ANSWERS)
    responses, references = [a["response"] for a in ANSWERS], [a["output"] for a in ANSWERS]
    sentences = [sentence_chrf(r, [o], word_order=2).score for r, o in zip(responses, references, strict=True)]
    assert [item["ref_chrf"] for item in items] == pytest.approx(sentences)
    assert metrics["ref_chrf"] == pytest.approx(sum(sentences) / 4)
    assert metrics["ref_chrf_corpus"] == pytest.approx(corpus_chrf(responses, [references], word_order=2).score)
    rouge = RougeScorer(["rougeL"])
    assert items[1]["ref_rouge_l"] == pytest.approx(rouge.score(references[1], responses[1])["rougeL"].fmeasure)
    assert items[1]["ref_rouge_l"] == pytest.approx(2 * (2 / 3) * (2 / 5) / (2 / 3 + 2 / 5))


def test_exact_empty_and_repetitive_answers_are_counted():
    _, metrics = score_answers(ANSWERS)
    assert (metrics["ref_exact_match"], metrics["ref_empty"], metrics["ref_repetition"]) == (0.25, 0.25, 0.25)
    assert metrics["answers"] == 4


def test_every_mean_lies_in_its_interval():
    _, metrics = score_answers(ANSWERS)
    for name in ("ref_exact_match", "ref_chrf", "ref_rouge_l", "ref_empty", "ref_repetition"):
        assert metrics[f"{name}_low"] <= metrics[name] <= metrics[f"{name}_high"]


def test_proportions_have_wilson_intervals_and_means_bootstrap_intervals():
    items, metrics = score_answers(ANSWERS)
    for name in ("ref_exact_match", "ref_empty", "ref_repetition"):
        assert (metrics[f"{name}_low"], metrics[f"{name}_high"]) == wilson_interval(1, 4)
    for name in ("ref_chrf", "ref_rouge_l"):
        interval = bootstrap_interval([item[name] for item in items])
        assert (metrics[f"{name}_low"], metrics[f"{name}_high"]) == interval
    _, metrics = score_answers(ANSWERS[:2])
    assert metrics["ref_empty_low"] == 0 < metrics["ref_empty_high"]


def test_importing_builds_no_scorer(monkeypatch: pytest.MonkeyPatch):
    monkeypatch.setattr("sacrebleu.metrics.chrf.CHRF", None)
    monkeypatch.setattr("rouge_score.rouge_scorer.RougeScorer", None)
    runpy.run_path(reference.__file__)
    runpy.run_path(chrf.__file__)


def test_a_verbatim_answer_has_the_best_figures():
    best = {"ref_exact_match": 1, "ref_chrf": 100, "ref_rouge_l": 1, "ref_empty": 0, "ref_repetition": 0}
    assert score_answer("Paris is the capital.", "Paris is the capital.") == pytest.approx(best)


def test_normalisation_forgets_case_punctuation_and_spacing_only():
    assert normalise("  The  CAT,\nsat. ") == normalise("the cat sat")
    assert normalise("the cat sat") != normalise("a cat sat")


def test_four_words_in_a_row_three_times_are_a_repetition():
    assert repeats_itself("a b c d a b c d a b c d")
    assert not repeats_itself("a b c d a b c d a b c")
    assert not repeats_itself("no no no")


def test_the_books_own_answers_can_be_scored(mirror):
    from scratchlm.artifacts import read_json

    path = "raw.githubusercontent.com/rasbt/LLMs-from-scratch/main/ch07/01_main-chapter-code"
    entries = read_json(mirror / path / "instruction-data-with-response.json")
    _, metrics = score_answers([{"id": n, **e, "response": e["model_response"]} for n, e in enumerate(entries)])
    assert metrics["answers"] == 110
    assert 0 < metrics["ref_exact_match"] < metrics["ref_rouge_l"] < 1
