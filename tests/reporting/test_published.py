"""Published figures: beside a run that measured the same on the same data, and beside no other."""

from pathlib import Path

import pytest

from scratchlm.params import read_yaml
from scratchlm.recipes import recipe_names, recipe_text
from scratchlm.reporting.model_card import flatten
from scratchlm.reporting.published import COMPARISONS, comparable
from tests.reporting.made_up_run import METRICS

COMPARABLE = {"book-split": ["finetune_classifier"], "shakespeare-char": ["pretrain"]}


@pytest.mark.parametrize("recipe", recipe_names())
def test_a_recipe_stands_beside_published_figures_only_on_the_same_data(recipe: str, tmp_path: Path):
    (tmp_path / "params.yaml").write_text(recipe_text(recipe))
    found = comparable(flatten(read_yaml(tmp_path / "params.yaml")))
    assert [comparison.stage for comparison in found] == COMPARABLE.get(recipe, [])


def test_every_condition_is_a_parameter_and_every_figure_of_ours_a_metric(tmp_path: Path):
    (tmp_path / "params.yaml").write_text(recipe_text("sample"))
    params = flatten(read_yaml(tmp_path / "params.yaml"))
    for comparison in COMPARISONS:
        assert set(comparison.same_data) <= set(params)
        assert comparison.key in METRICS[comparison.stage]
        assert comparison.source.startswith("https://")


def test_ours_has_the_form_of_the_published_ones_and_its_interval():
    assert [comparison.ours(METRICS) for comparison in COMPARISONS] == [
        "93.8% (91.8% to 95.8%)",
        "45.6 (40.1 to 51.2)",
        "4.100",
    ]
