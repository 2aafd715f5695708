"""The two bars for the spam classifier: TF-IDF with logistic regression, and the untuned model asked in words."""

from pathlib import Path

import numpy as np
import pandas as pd

from scratchlm.artifacts import write_csv, write_json
from scratchlm.baselines.tfidf import fit_tfidf, predict_tfidf
from scratchlm.baselines.zero_shot import predict_zero_shot
from scratchlm.datasets.sms_spam import SPLITS, read_split
from scratchlm.datasets.tokenizers import load_tokenizer
from scratchlm.models.storage import load_gpt
from scratchlm.params import Schema, read_params
from scratchlm.stages import run_stage
from scratchlm.training.device import pick_device
from scratchlm.training.scores import binary_scores, false_positive_scores

MESSAGES = Path("data/sms_spam")
MODELS = Path("data/models")
PREDICTIONS = Path("data/baselines/sms_spam.csv")
METRICS = Path("metrics/score_sms_baselines.json")


class Params(Schema):
    """Section `score_sms_baselines` of params.yaml."""

    base: str


def main() -> None:
    base = MODELS / read_params("score_sms_baselines", Params).base
    splits = {name: read_split(MESSAGES / f"{name}.csv") for name in SPLITS}
    texts = {name: split["text"].tolist() for name, split in splits.items()}
    spam = {name: (split["label"] == "spam").tolist() for name, split in splits.items()}
    classifier = fit_tfidf(texts["train"], spam["train"], texts["val"], spam["val"])
    tfidf = predict_tfidf(classifier, texts["test"])
    zero_shot = predict_zero_shot(load_gpt(base).to(pick_device()), load_tokenizer(base), texts["test"])
    columns = {"label": splits["test"]["label"], "tfidf_probability": tfidf, "zero_shot_probability": zero_shot}
    write_csv(PREDICTIONS, pd.DataFrame(columns).to_dict("records"), list(columns))
    metrics = {
        "tfidf": binary_scores(spam["test"], tfidf)
        | false_positive_scores(predict_tfidf(classifier, texts["unused_ham"])),
        "zero_shot": binary_scores(spam["test"], zero_shot),
        "majority": {"accuracy": float(np.mean(np.equal(spam["test"], np.mean(spam["train"]) > 0.5)))},
    }
    write_json(METRICS, {f"{name}_{key}": value for name, scores in metrics.items() for key, value in scores.items()})


if __name__ == "__main__":
    run_stage("score_sms_baselines", main)
