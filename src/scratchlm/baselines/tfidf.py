"""TF-IDF of characters and logistic regression: the bar that a classifier of messages must beat."""

from collections import Counter
from collections.abc import Sequence
from itertools import product

import numpy as np
import pandas as pd
from sklearn.feature_extraction.text import TfidfVectorizer
from sklearn.linear_model import LogisticRegression
from sklearn.metrics import log_loss
from sklearn.pipeline import Pipeline, make_pipeline

INVERSE_REGULARIZATION = (1.0, 10.0, 100.0)


def fit_tfidf(train: pd.DataFrame, val: pd.DataFrame, classes: Sequence[str]) -> Pipeline:
    """A classifier fitted on train, which holds every class.

    Val chooses among three strengths of regularization and, where train has more messages of one class than of another,
    whether each message or each class counts the same.
    """
    train_targets, val_targets = ([classes.index(label) for label in split["label"]] for split in (train, val))
    is_balanced = len(set(Counter(train_targets).values())) == 1
    settings = product(INVERSE_REGULARIZATION, [None] if is_balanced else [None, "balanced"])
    fitted = [_make_classifier(*setting).fit(train["text"], train_targets) for setting in settings]

    def val_loss(classifier: Pipeline) -> float:
        return float(log_loss(val_targets, predict_tfidf(classifier, val["text"].tolist()), labels=range(len(classes))))

    return min(fitted, key=val_loss)


def predict_tfidf(classifier: Pipeline, texts: Sequence[str]) -> np.ndarray:
    """The probability of each class (N, K)."""
    if not len(texts):  # scikit-learn takes no empty list
        return np.empty((0, len(classifier.classes_)))
    return classifier.predict_proba(texts)


def _make_classifier(c: float, class_weight: str | None) -> Pipeline:
    return make_pipeline(
        TfidfVectorizer(analyzer="char_wb", ngram_range=(2, 5), sublinear_tf=True),
        LogisticRegression(C=c, class_weight=class_weight, max_iter=1_000),
    )
