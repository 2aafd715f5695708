"""The two bars for the classifier: TF-IDF with logistic regression, and the untuned model asked in words."""

from collections.abc import Sequence
from pathlib import Path

import pandas as pd

from scratchlm.artifacts import write_csv, write_json
from scratchlm.baselines.tfidf import fit_tfidf, predict_tfidf
from scratchlm.baselines.zero_shot import predict_zero_shot
from scratchlm.checksums import verify_manifest, write_sha256
from scratchlm.datasets.sms_spam import read_classes, read_splits
from scratchlm.datasets.tokenizers import load_tokenizer
from scratchlm.models.storage import load_gpt
from scratchlm.params import Schema, read_params
from scratchlm.stages import run_stage
from scratchlm.training.device import pick_device
from scratchlm.training.scores import prediction_rows, score_splits

MESSAGES = Path("data/sms_spam")
MODELS = Path("data/models")
TFIDF = Path("data/predictions/tfidf.csv")
ZERO_SHOT = Path("data/predictions/zero_shot.csv")
METRICS = Path("metrics/score_sms_baselines.json")


class Params(Schema):
    """Section `score_sms_baselines` of params.yaml."""

    base: str


def main() -> None:
    base = MODELS / read_params("score_sms_baselines", Params).base
    verify_manifest(MESSAGES)
    classes, splits = read_classes(MESSAGES), read_splits(MESSAGES)
    texts = {name: split["text"].tolist() for name, split in splits.items()}
    classifier = fit_tfidf(splits["train"], splits["val"], classes)
    tfidf = {name: predict_tfidf(classifier, texts[name]) for name in ("test", "unused")}
    model, tokenizer = load_gpt(base).to(pick_device()), load_tokenizer(base)
    zero_shot = {"test": predict_zero_shot(model, tokenizer, texts["test"], classes)}
    metrics = {}
    for name, path, probabilities in (("tfidf", TFIDF, tfidf), ("zero_shot", ZERO_SHOT, zero_shot)):
        rows = prediction_rows(splits["test"], probabilities["test"], classes)
        write_csv(path, rows, list(rows[0]))
        write_sha256(path)
        scores = score_splits(splits, probabilities, classes)
        metrics |= {f"{name}_{key}": value for key, value in scores.items()}
    write_json(METRICS, metrics | {"majority_accuracy": majority_accuracy(splits["train"], splits["test"], classes)})


def majority_accuracy(train: pd.DataFrame, test: pd.DataFrame, classes: Sequence[str]) -> float:
    """How often the largest class of train, of equal ones the first, is right."""
    largest = max(classes, key=train["label"].tolist().count)
    return test["label"].tolist().count(largest) / len(test)


if __name__ == "__main__":
    run_stage("score_sms_baselines", main)
