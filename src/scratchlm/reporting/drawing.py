"""The report's own figures: which there are, and the tables that they show."""

from collections.abc import Mapping, Sequence

import pandas as pd

from scratchlm.datasets.sms_spam import BIN_WIDTH
from scratchlm.reporting import figures, judge_figures
from scratchlm.reporting.results import result_panels

LOSSES = {"step": int, "train_loss": float, "val_loss": float}
TABLES: dict[str, dict[str, type]] = {
    "pretrain_loss": LOSSES,
    "finetune_classifier_loss": LOSSES | {"val_accuracy": float},
    "finetune_classifier_reliability": {"confidence": float, "accuracy": float, "messages": int},
    "finetune_instruct_loss": LOSSES,
    "prepare_sms_spam_lengths": {"length": int, "label": str, "messages": int},
    "prepare_sms_spam_classes": {"part": str, "label": str, "messages": int},
    "score_judgements_histogram": {"score_from": float, "score_to": float, "count": int},
    "score_judgements_items": {"id": int, "kind": str, "words": int, "score": float},
}


def draw_figures(
    tables: Mapping[str, pd.DataFrame],
    metrics: Mapping[str, Mapping[str, float]],
    predictions: pd.DataFrame,
    classes: Sequence[str],
) -> dict[str, bytes]:
    """The figures by name, as PNG files; `tables` are those of TABLES."""
    drawn = {
        "results": figures.results_figure(result_panels(metrics)),
        "pretrain_loss": figures.loss_figure(tables["pretrain_loss"], metrics["fit_bigram"]["val_loss"]),
        "classifier_curves": figures.classifier_figure(tables["finetune_classifier_loss"]),
        "classifier_confusion": figures.confusion_figure(predictions, classes),
        "classifier_reliability": figures.reliability_figure(tables["finetune_classifier_reliability"]),
        "instruct_loss": figures.loss_figure(tables["finetune_instruct_loss"]),
        "sms_lengths": figures.lengths_figure(tables["prepare_sms_spam_lengths"], BIN_WIDTH),
        "sms_classes": figures.balance_figure(tables["prepare_sms_spam_classes"]),
        "judge_scores": judge_figures.scores_figure(tables["score_judgements_histogram"]),
        "judge_kinds": judge_figures.kinds_figure(tables["score_judgements_items"]),
        "judge_lengths": judge_figures.lengths_figure(tables["score_judgements_items"]),
    }
    return {name: figures.figure_png(figure) for name, figure in drawn.items()}
