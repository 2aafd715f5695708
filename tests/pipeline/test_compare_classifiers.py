"""The stage compare_classifiers."""

from pathlib import Path

import pytest

from pipeline.compare_classifiers import main
from scratchlm.artifacts import read_json
from scratchlm.errors import UserError
from tests.conftest import Workspace
from tests.records import record_csv

CLASSIFIERS = {"classifier": 90, "tfidf": 95, "zero_shot": 50}


def write_predictions(name: str, right: int) -> None:
    """A hundred predictions of which the first ones are right, of a text that CSV readers like to take for none."""
    labels = ["ham" if row < right else "spam" for row in range(100)]
    rows = [{"label": "ham", "predicted": predicted, "text": "NA"} for predicted in labels]
    record_csv(Path(f"data/predictions/{name}.csv"), rows)


@pytest.fixture(autouse=True)
def predictions(workspace: Workspace) -> None:
    for name, right in CLASSIFIERS.items():
        write_predictions(name, right)


def test_differences_are_paired_by_message():
    main()
    metrics = read_json(Path("metrics/compare_classifiers.json"))
    assert metrics["difference_to_tfidf"] == pytest.approx(-0.05)
    assert -0.11 < metrics["difference_to_tfidf_low"] < -0.05 < metrics["difference_to_tfidf_high"] < 0
    assert metrics["difference_to_zero_shot"] == pytest.approx(0.4)


def test_predictions_of_other_messages_are_refused():
    record_csv(Path("data/predictions/tfidf.csv"), [{"label": "ham", "predicted": "ham", "text": "x"}])
    with pytest.raises(UserError, match="other messages"):
        main()
