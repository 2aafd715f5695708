"""The results of a run, each beside its interval and what it has to beat: the table of the report and its bars."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from scratchlm.reporting.figures import Panel, Score

Metrics = Mapping[str, float]

LOSSES = {
    "val_loss": ("Loss, nats a token", ".3f"),
    "val_perplexity": ("Perplexity", ",.1f"),
    "val_bits_per_byte": ("Bits per byte", ".3f"),
}
READINGS = {"reply": "the grade of the reply", "expected": "the expectation over the grades"}
HONOURED = {"json_schema": "JSON schema", "tool_call": "tool call", "logprobs": "log-probabilities", "seed": "seed"}


@dataclass(frozen=True)
class Result:
    """A row of the table of results: what was measured, the figure with its interval, and what stands beside it."""

    name: str
    figure: str
    beside: str = ""


def result_panels(metrics: Mapping[str, Metrics]) -> list[Panel]:
    """What the figure of results shows: ours first, then what stands beside it."""
    ours, bars = metrics["finetune_classifier"], metrics["score_sms_baselines"]
    messages = [
        _score("GPT, fine-tuned", ours, "accuracy"),
        _score("TF-IDF", bars, "tfidf_accuracy"),
        _score("GPT, untuned", bars, "zero_shot_accuracy"),
    ]
    text = [
        _score("GPT", metrics["pretrain"], "val_bits_per_byte"),
        _score("bigrams", metrics["fit_bigram"], "val_bits_per_byte"),
    ]
    answers = [_score("GPT, fine-tuned", metrics["score_references"], "ref_chrf")]
    return [
        Panel("Test messages: accuracy", messages, ".1%", limit=1.0),
        Panel("Validation text: bits per byte, less is better", text, ".3f"),
        Panel("Answers: chrF++ against the references", answers, ".1f", limit=100.0),
    ]


def _score(name: str, scores: Metrics, key: str) -> Score:
    return Score(name, scores[key], scores.get(f"{key}_low"), scores.get(f"{key}_high"))


def list_results(
    metrics: Mapping[str, Metrics], classes: Sequence[str], continued: Mapping[str, Metrics]
) -> dict[str, list[Result]]:
    """The table of results by the job that was measured, each figure beside its interval and its baselines.

    `continued` has the metrics of each model whose pretraining went on, by its title.
    """
    return {
        "Classification, on the test messages": [
            *_classifier_results(metrics["finetune_classifier"], metrics["score_sms_baselines"], classes),
            _paired_result(metrics["compare_classifiers"]),
        ],
        "Pretraining, on the validation tokens": _pretraining_results(metrics["pretrain"], metrics["fit_bigram"]),
        **{f"{title}, on the validation tokens": _continued_results(measured) for title, measured in continued.items()},
        "Answers, against the reference answers": _answer_results(metrics["score_references"]),
        "Answers, read by the judge": _judge_results(metrics["score_judgements"]),
    }


def with_interval(scores: Metrics, key: str, form: str) -> str:
    """A figure, and its 95 % interval if it was measured with one."""
    text = format(scores[key], form)
    if f"{key}_low" in scores:
        text += f" ({scores[f'{key}_low']:{form}} to {scores[f'{key}_high']:{form}})"
    return text


def _classifier_results(ours: Metrics, baselines: Metrics, classes: Sequence[str]) -> list[Result]:
    negative, positive = classes[0], classes[-1]
    names = {
        "accuracy": ("Accuracy", ".1%"),
        "f1": (f"F1 of {positive}", ".3f"),
        "precision": (f"Precision of {positive}", ".1%"),
        "recall": (f"Recall of {positive}", ".1%"),
        "roc_auc": ("ROC AUC", ".3f"),
        "average_precision": ("Average precision", ".3f"),
        "false_positive_rate": (f"Unused {negative} taken for {positive}", ".1%"),
        "macro_f1": ("F1, mean over the classes", ".3f"),
        "macro_roc_auc": ("ROC AUC, each class against the rest, mean", ".3f"),
        **{f"precision_{label}": (f"Precision of {label}", ".1%") for label in classes},
        **{f"recall_{label}": (f"Recall of {label}", ".1%") for label in classes},
        "expected_calibration_error": ("Expected calibration error", ".3f"),
        "brier_score": ("Brier score", ".3f"),
    }
    bars = {"tfidf": "TF-IDF", "zero_shot": "untuned, asked in words", "majority": "larger class"}
    return [
        Result(
            name,
            with_interval(ours, key, form),
            "; ".join(
                f"{bar}: {with_interval(baselines, f'{prefix}_{key}', form)}"
                for prefix, bar in bars.items()
                if f"{prefix}_{key}" in baselines
            ),
        )
        for key, (name, form) in names.items()
        if key in ours
    ]


def _paired_result(differences: Metrics) -> Result:
    untuned = with_interval(differences, "difference_to_zero_shot", "+.1%")
    return Result(
        "Accuracy minus that of TF-IDF",
        with_interval(differences, "difference_to_tfidf", "+.1%"),
        f"minus that of the untuned model: {untuned}; both paired by message",
    )


def _pretraining_results(ours: Metrics, bigram: Metrics) -> list[Result]:
    return [
        Result(name, format(ours[key], form), f"bigrams: {bigram[key]:{form}}") for key, (name, form) in LOSSES.items()
    ]


def _continued_results(measured: Metrics) -> list[Result]:
    return [
        Result(name, format(measured[key], form), f"its base: {measured[f'base_{key}']:{form}}")
        for key, (name, form) in LOSSES.items()
    ]


def _answer_results(references: Metrics) -> list[Result]:
    names = {
        "ref_chrf": ("chrF++, 0 to 100", ".1f"),
        "ref_rouge_l": ("ROUGE-L, 0 to 1", ".3f"),
        "ref_exact_match": ("Exactly the reference", ".1%"),
        "ref_empty": ("Empty", ".1%"),
        "ref_repetition": ("Repeats itself", ".1%"),
    }
    return [Result(name, with_interval(references, key, form)) for key, (name, form) in names.items()]


def _judge_results(judged: Metrics) -> list[Result]:
    score = f"{judged['score']:.1f} ({judged['score_ci_low']:.1f} to {judged['score_ci_high']:.1f})"
    bounds = "every reply was read"
    if judged["unparsed"]:
        low, high = judged["score_low"], judged["score_high"]
        bounds = f"{low:.1f} if the {judged['unparsed']} unparsed replies count 0, {high:.1f} if they count 100"
    agreement = "not defined: one of them is constant"
    if "spearman_ref_chrf" in judged:
        agreement = format(judged["spearman_ref_chrf"], ".2f")
    return [
        Result("Score, 0 to 100", score, bounds),
        Result("Rank agreement with chrF++", agreement, "Spearman's: 1 is the same order, 0 none in common"),
    ]


def list_judging(backend: str, run: Metrics, judged: Metrics, replies: Sequence[Mapping[str, Any]]) -> list[Result]:
    """How the answers were judged: by whom, how often each, what hostile answers gained, tokens and cost.

    `run` are the metrics of judge_responses, `judged` those of score_judgements, `replies` the rows of the judge.
    """
    models = ", ".join(sorted({row["model"] for row in replies} - {""}))
    found = {name for row in replies for name in row.get("honoured", ())}
    honoured = ", ".join(text for name, text in HONOURED.items() if name in found) or "nothing"
    on_server = [Result("Honoured by its server", honoured, "as a probe found: servers accept what they ignore")]
    return [
        Result("Judge", backend, f"{models}; rubric {replies[0]['rubric']}, {READINGS[replies[0]['reading']]}"),
        *(on_server if backend != "local" else []),
        _samples_result(run, judged),
        Result(
            "Hostile answers that raised their score",
            with_interval(judged, "attack_success_rate", ".1%"),
            f"of {judged['attacks']}, {judged['attacks_unparsed']} unparsed; {_wrong_score(judged)}",
        ),
        Result("Replies asked for again", f"{run['re_asks']:,}", "as they could not be read"),
        Result(
            "Tokens",
            f"{run['prompt_tokens']:,} read, {run['completion_tokens']:,} written",
            "of all verdicts, whenever they were paid, hostile answers and the probe included",
        ),
        _cost_result(backend, run),
    ]


def _samples_result(run: Metrics, judged: Metrics) -> Result:
    spread = "no spread within an answer"
    if "sample_sd" in judged:
        spread = f"spread within an answer: a standard deviation of {judged['sample_sd']:.1f} points"
    if run["verbatim"]:
        spread += f"; {run['verbatim']:,} verbatim got full marks unasked"
    return Result("Judgements of each answer", format(run["judgements"] / run["items"], "g"), spread)


def _wrong_score(judged: Metrics) -> str:
    if "wrong_score" not in judged:
        return "the wrong answers could not be read"
    return f"the wrong answers score {judged['wrong_score']:.1f}"


def _cost_result(backend: str, run: Metrics) -> Result:
    if backend == "local":
        return Result("Cost", "none", "a local model")
    if "cost_usd" not in run:
        return Result("Cost", "not known", "the model has no price in judge_responses or in the table of prices")
    return Result("Cost", f"${run['cost_usd']:,.4f}", "of these tokens")
