"""The report: one HTML file that holds its figures, and shows what was measured, what was written and what ran."""

import base64
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

import pandas as pd
import yaml

from scratchlm.errors import UserError
from scratchlm.reporting.figures import figure_png, loss_figure
from scratchlm.reporting.model_card import flatten
from scratchlm.reporting.provenance import changed_params, lineage_tree, recorded_trainings, source_files, versions
from scratchlm.reporting.published import comparable
from scratchlm.reporting.results import list_judging, list_results
from scratchlm.reporting.templating import load_template

DATA_STAGES = ("fetch_sms_spam", "prepare_sms_spam", "fetch_instructions", "prepare_instructions", "fetch_corpus")
TOKEN_STAGES = ("build_tokenizer", "shard_corpus")
CLASSIFIER_STAGES = ("score_sms_baselines", "finetune_classifier", "compare_classifiers")
MODEL_STAGES = ("fit_bigram", "pretrain", *CLASSIFIER_STAGES, "finetune_instruct")
ANSWER_STAGES = ("generate_responses", "score_references", "judge_responses", "score_judgements")
STAGES = DATA_STAGES + TOKEN_STAGES + MODEL_STAGES + ANSWER_STAGES  # whose metrics are shown
ANSWER_SCORES = {"id": int, "ref_chrf": float}
SAMPLE = {"step": int, "prompt": str, "text": str}
CONTINUATION = {"temperature": float, "prompt": str, "text": str}
SHOWN_PREDICTIONS = 10
SHOWN_ANSWERS = 5
SHOWN_STEPS = 6

Metrics = Mapping[str, float]


def render_report(
    *,
    params: Mapping[str, Any],
    sample_params: Mapping[str, Any],
    metrics: Mapping[str, Metrics],
    corpus: Sequence[Mapping[str, Any]],
    cards: Mapping[str, Sequence[Mapping[str, Any]]],
    figures: Mapping[str, bytes],
    samples: Mapping[str, Sequence[Mapping[str, Any]]],
    continuations: Sequence[Mapping[str, Any]],
    predictions: pd.DataFrame,
    classes: Sequence[str],
    answers: Sequence[Mapping[str, Any]],
    judged: Sequence[Mapping[str, Any]],
    replies: Sequence[Mapping[str, Any]],
) -> str:
    """The HTML of the report: every text of a model or a message is escaped, every figure embedded.

    `params` are the sections of params.yaml, `sample_params` those of the sample, `metrics` those of each stage,
    `corpus` the files of its manifest, `cards` the lineage of each model, `figures` PNG files by name, `samples` the
    texts over training of each model; `classes` are those of the `predictions`, `answers` come from `rank_answers`,
    `judged` from `rank_judged`; `replies` are the judge's rows about the answers.
    """
    continued = recorded_trainings(cards)
    return load_template("report.html.j2", autoescape=True).render(
        params=params,
        params_yaml=yaml.safe_dump(params, sort_keys=False, allow_unicode=True),
        changed=changed_params(params, sample_params),
        metrics=metrics,
        results=list_results(metrics, classes, {title: each["metrics"] for title, each in continued.items()}),
        judging=list_judging(
            params["judge_responses"]["backend"], metrics["judge_responses"], metrics["score_judgements"], replies
        ),
        published=comparable(flatten(params)),
        files=source_files(params, metrics, corpus),
        lineage=lineage_tree(cards),
        versions=versions(cards),
        figures={name: embed_png(png) for name, png in figures.items()},
        continued={
            title: {
                "metrics": training["metrics"],
                "figure": embed_png(figure_png(loss_figure(pd.DataFrame(training["curve"])))),
                "samples": spread_samples(training["samples"]),
            }
            for title, training in continued.items()
        },
        samples={model: spread_samples(rows) for model, rows in samples.items()},
        continuations=continuations,
        right=surest_predictions(predictions, right=True),
        wrong=surest_predictions(predictions, right=False),
        best=answers[:SHOWN_ANSWERS],
        worst=answers[SHOWN_ANSWERS:][-SHOWN_ANSWERS:],
        best_judged=judged[:SHOWN_ANSWERS],
        worst_judged=judged[SHOWN_ANSWERS:][-SHOWN_ANSWERS:],
    )


def read_table(path: Path, columns: Mapping[str, type]) -> pd.DataFrame:
    """Read a CSV of `write_csv` with at least these columns; UserError names the file, and what it lacks.

    Texts such as `NA` or `1` and lone carriage returns stay as they are.
    """
    types: Any = dict(columns)
    try:
        table = pd.read_csv(path, keep_default_na=False, lineterminator="\n", dtype=types)
    except FileNotFoundError:
        raise UserError(f"{path} is missing; run `dvc repro` to make it.") from None
    except ValueError as error:  # not UTF-8, no columns, rows of several lengths, or a text where a number should be
        raise UserError(f"{path} cannot be read as CSV: {error}; run `dvc repro` to make it again.") from None
    if missing := sorted(columns.keys() - set(table.columns)):
        raise UserError(f"{path} has no column {missing[0]}; run `dvc repro` to make it again.")
    return table


def read_predictions(path: Path, classes: Sequence[str]) -> pd.DataFrame:
    """The test messages with label, predicted class, and the probability of each class."""
    columns = {"label": str, "predicted": str, **{f"probability_{name}": float for name in classes}, "text": str}
    return read_table(path, columns)


def embed_png(png: bytes) -> str:
    """A PNG file as a data URI."""
    return "data:image/png;base64," + base64.b64encode(png).decode()


def surest_predictions(predictions: pd.DataFrame, right: bool) -> list[dict[str, Any]]:
    """The right or the wrong predictions with the `probability` of the predicted class, the greatest first."""
    rows = [row | {"probability": row[f"probability_{row['predicted']}"]} for row in predictions.to_dict("records")]
    chosen = [row for row in rows if (row["label"] == row["predicted"]) == right]
    return sorted(chosen, key=lambda row: -row["probability"])[:SHOWN_PREDICTIONS]


def rank_answers(responses: Sequence[Mapping[str, Any]], scores: pd.DataFrame) -> list[dict[str, Any]]:
    """The responses with their reference metrics, which are joined by `id`, the best by chrF++ first."""
    joined = pd.DataFrame(responses).merge(scores, on="id")
    return joined.sort_values("ref_chrf", ascending=False, kind="stable").to_dict("records")


def rank_judged(
    responses: Sequence[Mapping[str, Any]], items: pd.DataFrame, reasons: Mapping[int, str]
) -> list[dict[str, Any]]:
    """The responses whose judgement was read, with `score` and the judge's `reason`, the best first."""
    joined = pd.DataFrame(responses).merge(items[["id", "score"]], on="id")
    ranked = joined.sort_values("score", ascending=False, kind="stable").to_dict("records")
    return [{**row, "reason": reasons[row["id"]]} for row in ranked]


def spread_samples(samples: Sequence[Mapping[str, Any]]) -> dict[str, list[Mapping[str, Any]]]:
    """The samples of each prompt at a few evenly spaced steps, the last one among them."""
    by_prompt: dict[str, list[Mapping[str, Any]]] = {}
    for row in samples:
        by_prompt.setdefault(row["prompt"], []).append(row)
    return {prompt: rows[::-1][:: -(-len(rows) // SHOWN_STEPS)][::-1] for prompt, rows in by_prompt.items()}
