"""The tables that the report reads."""

from pathlib import Path

import pytest

from scratchlm.artifacts import write_csv
from scratchlm.errors import UserError
from scratchlm.reporting.report import read_predictions, read_table
from tests.reporting.made_up_run import CLASSES, PREDICTIONS


def test_tables_and_predictions_are_read_as_they_were_written(tmp_path: Path):
    write_csv(tmp_path / "table.csv", PREDICTIONS, list(PREDICTIONS[0]))
    assert read_predictions(tmp_path / "table.csv", CLASSES).to_dict("records") == PREDICTIONS


def test_classes_that_are_numbers_are_read_as_texts(tmp_path: Path):
    rows = [{"label": "0", "predicted": "01", "probability_0": 0.25, "text": "7"}]
    write_csv(tmp_path / "table.csv", rows, list(rows[0]))
    assert read_predictions(tmp_path / "table.csv", ["0"]).to_dict("records") == rows


@pytest.mark.parametrize(
    ("content", "message"),
    [
        (None, r"table\.csv is missing; run `dvc repro`"),
        (b"", "table.csv cannot be read as CSV: No columns"),
        (b"step,loss\n1,\xe9\n", "table.csv cannot be read as CSV: 'utf-8'"),
        (b"step\n1\n", "table.csv has no column loss"),
        (b"step,loss\n1,much\n", "table.csv cannot be read as CSV: could not convert string to float: 'much'"),
        (b"step,loss\n1,2,3\n4,5\n6,7,8,9\n", "table.csv cannot be read as CSV"),
    ],
)
def test_a_table_that_is_wrong_is_one_line_that_names_it(tmp_path: Path, content: bytes | None, message: str):
    if content is not None:
        (tmp_path / "table.csv").write_bytes(content)
    with pytest.raises(UserError, match=message):
        read_table(tmp_path / "table.csv", {"step": int, "loss": float})
