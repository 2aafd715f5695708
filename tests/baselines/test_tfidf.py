"""The TF-IDF baseline, on a toy and on UCI's messages."""

import numpy as np
import pandas as pd
import pytest

from scratchlm.baselines.tfidf import fit_tfidf, predict_tfidf
from scratchlm.datasets.sms_spam import SplitConfig, split_sms_spam
from scratchlm.datasets.sms_spam_reading import ReadConfig, extract_sms_spam, read_sms_spam

LABELS = ["ham", "spam"]
TEXTS = {
    "ham": [f"see you at {n} then, I am on the bus" for n in range(20)],
    "spam": [f"WIN a FREE prize number {n}, call now!!!" for n in range(20)],
    "eggs": [f"boil {n} eggs, add salt" for n in range(20)],
}


def toy(classes: list[str], start: int, end: int) -> pd.DataFrame:
    rows = [(label, text) for label in classes for text in TEXTS[label][start:end]]
    return pd.DataFrame(rows, columns=["label", "text"])


@pytest.mark.parametrize("classes", [["ham", "spam"], ["spam", "ham"], ["spam", "eggs", "ham"]])
def test_probabilities_are_in_the_order_of_the_classes(classes: list[str]):
    classifier = fit_tfidf(toy(classes, 0, 15), toy(classes, 15, 20), classes)
    probabilities = predict_tfidf(classifier, ["free prize, call!", "on the bus, see you"])
    assert probabilities.shape == (2, len(classes))
    assert probabilities.sum(axis=1) == pytest.approx(1)
    assert [classes[index] for index in probabilities.argmax(axis=1)] == ["spam", "ham"]
    assert probabilities.max(axis=1).min() > 0.8
    assert predict_tfidf(classifier, []).shape == (0, len(classes))


def test_where_one_class_is_rare_val_decides_whether_every_class_counts_the_same():
    train = pd.concat([toy(LABELS, 0, 15), *[toy(["ham"], 0, 15)] * 20])
    rare = pd.DataFrame({"label": ["spam", "ham"] * 4, "text": ["call now about the prize", "see you on the bus"] * 4})
    assert fit_tfidf(train, rare, LABELS)[-1].class_weight == "balanced"
    assert fit_tfidf(toy(LABELS, 0, 15), rare, LABELS)[-1].class_weight is None


def test_it_reaches_what_the_design_says_on_ucis_messages(mirror, tmp_path):
    extract_sms_spam(mirror / "archive.ics.uci.edu/static/public/228/sms+spam+collection.zip", tmp_path / "raw.tsv")
    config = ReadConfig(labels=LABELS, separator="tab", quoting="none", columns=None)
    messages = read_sms_spam(tmp_path / "raw.tsv", config)
    config = SplitConfig(
        seed=0, group_by="normalized", balance="undersample", split="stratified", train_fraction=0.7, val_fraction=0.1
    )
    splits, _ = split_sms_spam(messages, LABELS, config)
    probabilities = predict_tfidf(fit_tfidf(splits["train"], splits["val"], LABELS), splits["test"]["text"].tolist())
    predicted = np.array(LABELS)[probabilities.argmax(axis=1)]
    assert 0.955 < (predicted == splits["test"]["label"]).mean() < 0.995  # over ten seeds 97.7 %, deviation 0.6
