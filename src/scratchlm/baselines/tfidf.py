"""TF-IDF of characters and logistic regression: the bar that a classifier of messages must beat."""

from collections.abc import Sequence

import numpy as np
import pandas as pd
from sklearn.feature_extraction.text import TfidfVectorizer
from sklearn.linear_model import LogisticRegression
from sklearn.metrics import log_loss
from sklearn.pipeline import Pipeline, make_pipeline

INVERSE_REGULARIZATION = (1.0, 10.0, 100.0)


def fit_tfidf(train: pd.DataFrame, val: pd.DataFrame, classes: Sequence[str]) -> Pipeline:
    """A classifier fitted on train, which holds every class; val chooses among three strengths of regularization."""
    train_targets, val_targets = ([classes.index(label) for label in split["label"]] for split in (train, val))
    fitted = [_make_classifier(c).fit(train["text"], train_targets) for c in INVERSE_REGULARIZATION]

    def val_loss(classifier: Pipeline) -> float:
        return float(log_loss(val_targets, predict_tfidf(classifier, val["text"].tolist()), labels=range(len(classes))))

    return min(fitted, key=val_loss)


def predict_tfidf(classifier: Pipeline, texts: Sequence[str]) -> np.ndarray:
    """The probability of each class (N, K)."""
    if not len(texts):  # scikit-learn takes no empty list
        return np.empty((0, len(classifier.classes_)))
    return classifier.predict_proba(texts)


def _make_classifier(c: float) -> Pipeline:
    return make_pipeline(
        TfidfVectorizer(analyzer="char_wb", ngram_range=(2, 5), sublinear_tf=True),
        LogisticRegression(C=c, max_iter=1_000),
    )
