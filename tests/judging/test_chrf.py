"""chrF++ is that of sacrebleu, and that of a case computed by hand."""

import pytest
from sacrebleu import corpus_chrf as sacrebleu_corpus
from sacrebleu import sentence_chrf as sacrebleu_sentence

from scratchlm.judging.chrf import chrf, corpus_chrf

RESPONSES = ["The fish was eaten.", "", "It is 42", "caf\u00e9 au lait"]
REFERENCES = ["The fish was eaten by the cat.", "Nothing.", "42", "cafe au lait"]


def test_a_case_computed_by_hand():
    # ab against abc: letters 2/2 and 2/3, pairs of letters 1/1 and 1/2, words 0 of 1; nothing longer stands in both.
    precision, recall = (1 + 1 + 0) / 3, (2 / 3 + 1 / 2 + 0) / 3
    assert chrf("ab", "abc") == pytest.approx(100 * 5 * precision * recall / (4 * precision + recall))


@pytest.mark.parametrize(("response", "reference"), list(zip(RESPONSES, REFERENCES, strict=True)))
def test_an_answer_is_scored_as_sacrebleu_scores_it_with_word_pairs(response: str, reference: str):
    assert chrf(response, reference) == sacrebleu_sentence(response, [reference], word_order=2).score


def test_all_answers_are_scored_as_one_text_and_not_as_a_mean():
    expected = sacrebleu_corpus(RESPONSES, [REFERENCES], word_order=2).score
    assert corpus_chrf(RESPONSES, REFERENCES) == expected
    mean = sum(map(chrf, RESPONSES, REFERENCES)) / len(RESPONSES)
    assert abs(expected - mean) > 1
