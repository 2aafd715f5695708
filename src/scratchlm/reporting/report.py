"""The report: one HTML file that holds its figures, and shows what was measured, what was written and what ran."""

import base64
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pandas as pd
import yaml
from jinja2 import Environment, PackageLoader, StrictUndefined

from scratchlm.errors import UserError
from scratchlm.reporting.figures import Panel, Score
from scratchlm.reporting.model_card import flatten
from scratchlm.reporting.provenance import changed_params, lineage_tree, source_files, versions
from scratchlm.reporting.published import comparable

SHOWN_PREDICTIONS = 10
SHOWN_ANSWERS = 5
SHOWN_STEPS = 6

Metrics = Mapping[str, float]


@dataclass(frozen=True)
class Result:
    """A row of the table of results: what was measured, the figure with its interval, and what stands beside it."""

    name: str
    figure: str
    beside: str = ""


def render_report(
    *,
    params: Mapping[str, Any],
    sample_params: Mapping[str, Any],
    metrics: Mapping[str, Metrics],
    corpus: Sequence[Mapping[str, Any]],
    cards: Mapping[str, Sequence[Mapping[str, Any]]],
    figures: Mapping[str, Path],
    samples: Mapping[str, Sequence[Mapping[str, Any]]],
    continuations: Sequence[Mapping[str, Any]],
    predictions: pd.DataFrame,
    classes: Sequence[str],
    answers: Sequence[Mapping[str, Any]],
) -> str:
    """The HTML of the report: every text of a model or a message is escaped, every figure embedded.

    `params` are the sections of params.yaml, `sample_params` those of the sample, `metrics` those of each stage,
    `corpus` the files of its manifest, `cards` the lineage of each model, `figures` PNG files by name, `samples` the
    texts over training of each model; `classes` are those of the `predictions`, `answers` come from `rank_answers`.
    """
    environment = Environment(
        loader=PackageLoader("scratchlm.reporting"),
        undefined=StrictUndefined,
        autoescape=True,
        trim_blocks=True,
        lstrip_blocks=True,
        keep_trailing_newline=True,
    )
    return environment.get_template("report.html.j2").render(
        params=params,
        params_yaml=yaml.safe_dump(params, sort_keys=False, allow_unicode=True),
        changed=changed_params(params, sample_params),
        metrics=metrics,
        results=list_results(metrics, classes),
        published=comparable(flatten(params)),
        files=source_files(params, metrics, corpus),
        lineage=lineage_tree(cards),
        versions=versions(cards),
        figures={name: embed_png(path) for name, path in figures.items()},
        samples={model: spread_samples(rows) for model, rows in samples.items()},
        continuations=continuations,
        right=surest_predictions(predictions, right=True),
        wrong=surest_predictions(predictions, right=False),
        best=answers[:SHOWN_ANSWERS],
        worst=answers[SHOWN_ANSWERS:][-SHOWN_ANSWERS:],
    )


def read_table(path: Path) -> pd.DataFrame:
    """Read a CSV of `write_csv`: texts such as `NA` or `1` and lone carriage returns stay as they are."""
    try:
        return pd.read_csv(
            path, keep_default_na=False, lineterminator="\n", dtype={"label": str, "predicted": str, "text": str}
        )
    except FileNotFoundError:
        raise UserError(f"{path} is missing; run `dvc repro` to make it.") from None


def embed_png(path: Path) -> str:
    """A PNG file as a data URI."""
    return "data:image/png;base64," + base64.b64encode(path.read_bytes()).decode()


def surest_predictions(predictions: pd.DataFrame, right: bool) -> list[dict[str, Any]]:
    """The right or the wrong predictions with the `probability` of the predicted class, the greatest first."""
    rows = [row | {"probability": row[f"probability_{row['predicted']}"]} for row in predictions.to_dict("records")]
    chosen = [row for row in rows if (row["label"] == row["predicted"]) == right]
    return sorted(chosen, key=lambda row: -row["probability"])[:SHOWN_PREDICTIONS]


def rank_answers(responses: Sequence[Mapping[str, Any]], scores: pd.DataFrame) -> list[dict[str, Any]]:
    """The responses with their reference metrics, which are joined by `id`, the best by chrF++ first."""
    joined = pd.DataFrame(responses).merge(scores, on="id")
    return joined.sort_values("ref_chrf", ascending=False, kind="stable").to_dict("records")


def spread_samples(samples: Sequence[Mapping[str, Any]]) -> dict[str, list[Mapping[str, Any]]]:
    """The samples of each prompt at a few evenly spaced steps, the last one among them."""
    by_prompt: dict[str, list[Mapping[str, Any]]] = {}
    for row in samples:
        by_prompt.setdefault(row["prompt"], []).append(row)
    return {prompt: rows[::-1][:: -(-len(rows) // SHOWN_STEPS)][::-1] for prompt, rows in by_prompt.items()}


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
        Panel("Test messages: accuracy", messages, limit=1.0),
        Panel("Validation text: bits per byte, less is better", text),
        Panel("Answers: chrF++ against the references", answers, limit=100.0),
    ]


def _score(name: str, scores: Metrics, key: str) -> Score:
    return Score(name, scores[key], scores.get(f"{key}_low"), scores.get(f"{key}_high"))


def list_results(metrics: Mapping[str, Metrics], classes: Sequence[str]) -> dict[str, list[Result]]:
    """The table of results by the job that was measured, each figure beside its interval and its baselines."""
    return {
        "Classification, on the test messages": [
            *_classifier_results(metrics["finetune_classifier"], metrics["score_sms_baselines"], classes),
            _paired_result(metrics["compare_classifiers"]),
        ],
        "Pretraining, on the validation tokens": _pretraining_results(metrics["pretrain"], metrics["fit_bigram"]),
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
    names = {
        "val_loss": ("Loss, nats a token", ".3f"),
        "val_perplexity": ("Perplexity", ",.1f"),
        "val_bits_per_byte": ("Bits per byte", ".3f"),
    }
    return [
        Result(name, format(ours[key], form), f"bigrams: {bigram[key]:{form}}") for key, (name, form) in names.items()
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
