"""Metrics of answers against reference answers; no LLM, and never called a score."""

import string
from collections import Counter
from collections.abc import Mapping, Sequence
from functools import cache
from typing import Any

from rouge_score.rouge_scorer import RougeScorer

from scratchlm.judging.chrf import chrf, corpus_chrf
from scratchlm.statistics import bootstrap_interval, wilson_interval

NGRAM = 4
REPEATS = 3
PROPORTIONS = {"ref_exact_match", "ref_empty", "ref_repetition"}

_without_punctuation = str.maketrans("", "", string.punctuation)


def score_answer(response: str, reference: str) -> dict[str, float]:
    """The metrics of one answer: chrF++ is 0 to 100 as sacrebleu gives it, everything else 0 to 1."""
    return {
        "ref_exact_match": float(normalise(response) == normalise(reference)),
        "ref_chrf": chrf(response, reference),
        "ref_rouge_l": _rouge().score(reference, response)["rougeL"].fmeasure,
        "ref_empty": float(not response.strip()),
        "ref_repetition": float(repeats_itself(response)),
    }


def score_answers(answers: Sequence[Mapping[str, Any]]) -> tuple[list[dict[str, Any]], dict[str, float]]:
    """The metrics of each answer (rows with `response` and `output`) and their means with 95 % intervals."""
    items = [score_answer(answer["response"], answer["output"]) for answer in answers]
    metrics: dict[str, float] = {"answers": len(items)}
    for name in items[0]:
        values = [item[name] for item in items]
        metrics[name] = sum(values) / len(values)
        interval = wilson_interval(int(sum(values)), len(values)) if name in PROPORTIONS else bootstrap_interval(values)
        metrics[f"{name}_low"], metrics[f"{name}_high"] = interval
    responses, references = [[answer[key] for answer in answers] for key in ("response", "output")]
    metrics["ref_chrf_corpus"] = corpus_chrf(responses, references)
    return [{"id": answer["id"], **item} for answer, item in zip(answers, items, strict=True)], metrics


def normalise(text: str) -> str:
    """Lower case, no ASCII punctuation, single spaces."""
    return " ".join(text.casefold().translate(_without_punctuation).split())


def repeats_itself(text: str) -> bool:
    """Whether some four words in a row occur three times or more."""
    words = text.split()
    ngrams = Counter(tuple(words[start : start + NGRAM]) for start in range(len(words) - NGRAM + 1))
    return max(ngrams.values(), default=0) >= REPEATS


@cache
def _rouge() -> RougeScorer:
    return RougeScorer(["rougeL"])
