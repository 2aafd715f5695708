"""Draw the figures, and show in one HTML file what the other stages measured and wrote."""

from collections.abc import Mapping, Sequence
from pathlib import Path

import pandas as pd

from scratchlm.artifacts import read_json, read_jsonl, write_text
from scratchlm.datasets.sms_spam import BIN_WIDTH, read_classes
from scratchlm.params import PARAMS, read_yaml
from scratchlm.reporting import figures
from scratchlm.reporting.model_card import CARD, read_lineage
from scratchlm.reporting.report import rank_answers, read_table, render_report, result_panels
from scratchlm.stages import run_stage

SAMPLE = Path("recipes/sample.yaml")
METRICS = Path("metrics")
PLOTS = Path("metrics/plots")
PRETRAIN_CURVE = Path("metrics/plots/pretrain_loss.csv")
CLASSIFIER_CURVE = Path("metrics/plots/finetune_classifier_loss.csv")
INSTRUCT_CURVE = Path("metrics/plots/finetune_instruct_loss.csv")
RELIABILITY = Path("metrics/plots/finetune_classifier_reliability.csv")
SMS_CLASSES = Path("metrics/plots/prepare_sms_spam_classes.csv")
SMS_LENGTHS = Path("metrics/plots/prepare_sms_spam_lengths.csv")
JUDGE_SCORES = Path("metrics/plots/score_judgements_histogram.csv")
ANSWER_SCORES = Path("metrics/plots/score_references_items.csv")
TEMPERATURE = Path("metrics/plots/sample_text_temperature.png")
CORPUS = Path("data/raw/corpus/manifest.json")
MESSAGES = Path("data/sms_spam")
CARDS = Path("data/models")
SAMPLES = Path("data/samples")
CONTINUATIONS = Path("data/samples/continuations.jsonl")
PREDICTIONS = Path("data/predictions/classifier.csv")
RESPONSES = Path("data/responses/test.jsonl")
REPORT = Path("metrics/report.html")
DATA_STAGES = ("fetch_sms_spam", "prepare_sms_spam", "fetch_instructions", "prepare_instructions", "fetch_corpus")
TOKEN_STAGES = ("build_tokenizer", "shard_corpus")
CLASSIFIER_STAGES = ("score_sms_baselines", "finetune_classifier", "compare_classifiers")
MODEL_STAGES = ("fit_bigram", "pretrain", *CLASSIFIER_STAGES, "finetune_instruct")
ANSWER_STAGES = ("generate_responses", "score_references", "judge_responses", "score_judgements")
STAGES = DATA_STAGES + TOKEN_STAGES + MODEL_STAGES + ANSWER_STAGES
MODELS = ("pretrained", "classifier", "instruct")
SAMPLED = ("pretrain", "finetune_instruct")


def main() -> None:
    metrics = {stage: read_json(METRICS / f"{stage}.json") for stage in STAGES}
    predictions, classes = read_table(PREDICTIONS), read_classes(MESSAGES)
    html = render_report(
        params=read_yaml(PARAMS),
        sample_params=read_yaml(SAMPLE),
        metrics=metrics,
        corpus=read_json(CORPUS)["files"],
        cards={model: read_lineage(CARDS / model / CARD) for model in MODELS},
        figures=draw_figures(metrics, predictions, classes) | {"temperature": TEMPERATURE},
        samples={stage: read_jsonl(SAMPLES / f"{stage}.jsonl") for stage in SAMPLED},
        continuations=read_jsonl(CONTINUATIONS),
        predictions=predictions,
        classes=classes,
        answers=rank_answers(read_jsonl(RESPONSES), read_table(ANSWER_SCORES)),
    )
    write_text(REPORT, html)


def draw_figures(
    metrics: Mapping[str, Mapping[str, float]], predictions: pd.DataFrame, classes: Sequence[str]
) -> dict[str, Path]:
    """Draw the report's own figures; returns the PNG files by name."""
    drawn = {
        "results": figures.results_figure(result_panels(metrics)),
        "pretrain_loss": figures.loss_figure(read_table(PRETRAIN_CURVE), metrics["fit_bigram"]["val_loss"]),
        "classifier_curves": figures.classifier_figure(read_table(CLASSIFIER_CURVE)),
        "classifier_confusion": figures.confusion_figure(predictions, classes),
        "classifier_reliability": figures.reliability_figure(read_table(RELIABILITY)),
        "instruct_loss": figures.loss_figure(read_table(INSTRUCT_CURVE)),
        "sms_lengths": figures.lengths_figure(read_table(SMS_LENGTHS), BIN_WIDTH),
        "sms_classes": figures.balance_figure(read_table(SMS_CLASSES)),
        "judge_scores": figures.scores_figure(read_table(JUDGE_SCORES)),
    }
    for name, figure in drawn.items():
        figures.save_figure(figure, PLOTS / f"report_{name}.png")
    return {name: PLOTS / f"report_{name}.png" for name in drawn}


if __name__ == "__main__":
    run_stage("report", main)
