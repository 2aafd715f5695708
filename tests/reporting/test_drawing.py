"""The report's figures: all that it shows, each drawn from the table or the figure that it is about."""

from collections.abc import Mapping

import pandas as pd
import pytest

from scratchlm.reporting.drawing import TABLES, draw_figures
from scratchlm.reporting.report import read_table
from tests.reporting.conftest import FIGURES
from tests.reporting.made_up_run import CLASSES, METRICS, predictions_frame, write_run

Tables = Mapping[str, pd.DataFrame]
DRAWN = set(FIGURES) - {"temperature"}  # which another stage draws


@pytest.fixture(scope="module")
def tables(tmp_path_factory: pytest.TempPathFactory) -> Tables:
    """The tables of the made-up run, read as the stage reads them."""
    folder = tmp_path_factory.mktemp("run")
    write_run(folder)
    return {name: read_table(folder / f"metrics/plots/{name}.csv", columns) for name, columns in TABLES.items()}


@pytest.fixture(scope="module")
def drawn(tables: Tables) -> dict[str, bytes]:
    """The figures of the made-up run."""
    return draw_figures(tables, METRICS, predictions_frame(), CLASSES)


def raised(table: pd.DataFrame) -> pd.DataFrame:
    """The table with the first number of its last column of numbers raised by half of the largest."""
    column = table.select_dtypes("number").columns[-1]
    values = table[column].astype(float)
    return table.assign(**{column: values.where(table.index > 0, values + values.max() / 2)})


def changed(drawn: Mapping[str, bytes], others: Mapping[str, bytes]) -> set[str]:
    """The names of the figures that are not the same."""
    return {name for name, png in drawn.items() if others[name] != png}


def test_every_figure_of_the_report_is_drawn_as_a_png(drawn: dict[str, bytes]):
    assert drawn.keys() == DRAWN
    assert all(png.startswith(b"\x89PNG\r\n\x1a\n") for png in drawn.values())
    assert len(set(drawn.values())) == len(drawn)


def test_every_table_is_drawn(tables: Tables, drawn: dict[str, bytes]):
    others = {name: raised(table) for name, table in tables.items()}
    expected = DRAWN - {"results", "classifier_confusion"}
    assert changed(drawn, draw_figures(others, METRICS, predictions_frame(), CLASSES)) == expected


def test_metrics_stand_among_the_results_the_bigrams_beside_the_curve_and_predictions_are_counted(
    tables: Tables, drawn: dict[str, bytes]
):
    bigram = METRICS["fit_bigram"] | {"val_loss": 6.2, "val_perplexity": 492.7, "val_bits_per_byte": 2.6}
    others = draw_figures(tables, METRICS | {"fit_bigram": bigram}, predictions_frame().iloc[:4], CLASSES)
    assert changed(drawn, others) == {"results", "pretrain_loss", "classifier_confusion"}
