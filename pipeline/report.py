"""Draw the figures, and show in one HTML file what the other stages measured and wrote."""

from pathlib import Path

import pandas as pd

from scratchlm.artifacts import read_json, read_jsonl, write_text
from scratchlm.datasets.sms_spam import BIN_WIDTH, LABELS
from scratchlm.params import PARAMS, read_yaml
from scratchlm.reporting import figures
from scratchlm.reporting.report import rank_answers, read_table, render_report
from scratchlm.stages import run_stage

METRICS = Path("metrics")
PLOTS = Path("metrics/plots")
PRETRAIN_CURVE = Path("metrics/plots/pretrain_loss.csv")
CLASSIFIER_CURVE = Path("metrics/plots/finetune_classifier_loss.csv")
INSTRUCT_CURVE = Path("metrics/plots/finetune_instruct_loss.csv")
SMS_LENGTHS = Path("metrics/plots/prepare_sms_spam_lengths.csv")
JUDGE_SCORES = Path("metrics/plots/score_judgements_histogram.csv")
ANSWER_SCORES = Path("metrics/plots/score_references_items.csv")
TEMPERATURE = Path("metrics/plots/sample_text_temperature.png")
SAMPLES = Path("data/samples/pretrain.jsonl")
CONTINUATIONS = Path("data/samples/continuations.jsonl")
PREDICTIONS = Path("data/predictions/classifier.csv")
RESPONSES = Path("data/responses/test.jsonl")
REPORT = Path("metrics/report.html")
DATA_STAGES = ("prepare_sms_spam", "prepare_instructions", "fetch_corpus", "build_tokenizer", "shard_corpus")
MODEL_STAGES = ("fit_bigram", "pretrain", "score_sms_baselines", "finetune_classifier", "finetune_instruct")
ANSWER_STAGES = ("generate_responses", "score_references", "judge_responses", "score_judgements")


def main() -> None:
    metrics = {stage: read_json(METRICS / f"{stage}.json") for stage in DATA_STAGES + MODEL_STAGES + ANSWER_STAGES}
    predictions = read_table(PREDICTIONS)
    html = render_report(
        params=read_yaml(PARAMS),
        metrics=metrics,
        figures=draw_figures(metrics["fit_bigram"]["val_loss"], predictions) | {"temperature": TEMPERATURE},
        samples=read_jsonl(SAMPLES),
        continuations=read_jsonl(CONTINUATIONS),
        predictions=predictions,
        answers=rank_answers(read_jsonl(RESPONSES), read_table(ANSWER_SCORES)),
    )
    write_text(REPORT, html)


def draw_figures(bigram_loss: float, predictions: pd.DataFrame) -> dict[str, Path]:
    """Draw the report's own figures; returns the PNG files by name."""
    drawn = {
        "pretrain_loss": figures.loss_figure(read_table(PRETRAIN_CURVE), bigram_loss),
        "classifier_curves": figures.classifier_figure(read_table(CLASSIFIER_CURVE)),
        "classifier_confusion": figures.confusion_figure(predictions, LABELS),
        "instruct_loss": figures.loss_figure(read_table(INSTRUCT_CURVE)),
        "sms_lengths": figures.lengths_figure(read_table(SMS_LENGTHS), BIN_WIDTH),
        "judge_scores": figures.scores_figure(read_table(JUDGE_SCORES)),
    }
    for name, figure in drawn.items():
        figures.save_figure(figure, PLOTS / f"report_{name}.png")
    return {name: PLOTS / f"report_{name}.png" for name in drawn}


if __name__ == "__main__":
    run_stage("report", main)
