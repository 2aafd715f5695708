"""TF-IDF of characters and logistic regression: the bar that a spam classifier must beat."""

from collections.abc import Sequence

from sklearn.feature_extraction.text import TfidfVectorizer
from sklearn.linear_model import LogisticRegression
from sklearn.metrics import log_loss
from sklearn.pipeline import Pipeline, make_pipeline

INVERSE_REGULARIZATION = (1.0, 10.0, 100.0)


def fit_tfidf(
    train_texts: Sequence[str], train_spam: Sequence[bool], val_texts: Sequence[str], val_spam: Sequence[bool]
) -> Pipeline:
    """A classifier fitted on train; validation chooses among three strengths of regularization."""
    fitted = [_make_classifier(c).fit(train_texts, train_spam) for c in INVERSE_REGULARIZATION]
    return min(fitted, key=lambda classifier: log_loss(val_spam, predict_tfidf(classifier, val_texts)))


def predict_tfidf(classifier: Pipeline, texts: Sequence[str]) -> list[float]:
    """The probability that each text is spam."""
    if not texts:  # scikit-learn takes no empty list
        return []
    return classifier.predict_proba(texts)[:, 1].tolist()


def _make_classifier(c: float) -> Pipeline:
    return make_pipeline(
        TfidfVectorizer(analyzer="char_wb", ngram_range=(2, 5), sublinear_tf=True),
        LogisticRegression(C=c, max_iter=1_000),
    )
