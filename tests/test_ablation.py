"""Each row of recipes/ablation.yaml is run on every split, and stands beside the published figure."""

import json
from pathlib import Path

import pytest
from typer.testing import CliRunner

from scratchlm.ablation import ROWS, ablate, ablation_table, read_rows
from scratchlm.cli import cli
from scratchlm.errors import UserError
from scratchlm.params import read_params, read_yaml
from scratchlm.training.classification import ClassificationConfig
from tests.conftest import ROOT
from tests.made_up_project import PARAMS, make_project, stages_run

MADE_UP_ROWS = """
rows:
  - {row: "1", what: as it is, published: 0.95, set: {gain: 0.1}}
  - {row: "2", what: better, published: null, set: {gain: 0.15, lora: {r: 4, alpha: 2}}}
  - {row: "3", what: a size that is not there, published: 0.9, size: 355M, set: {gain: 0.3}}
  - {row: "4", what: as row 1, published: 0.5, set: {gain: 0.1}}
  - {row: "5", what: row 1 three times, published: null, ensemble: 3, set: {gain: 0.1}}
"""


@pytest.fixture
def rows(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """The file of the rows, in a folder that is the project."""
    monkeypatch.setenv("DVC_ROOT", str(tmp_path))
    return write_rows(tmp_path)


def write_rows(project: Path) -> Path:
    (project / ROWS).parent.mkdir()
    (project / ROWS).write_text(MADE_UP_ROWS)
    return project / ROWS


@pytest.mark.slow  # some forty seconds of DVC
def test_rows_run_once_on_every_split_and_a_size_that_is_not_there_is_said(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
):
    project = make_project(tmp_path, monkeypatch)
    write_rows(project)
    first, better, absent, as_first, three = ablate(2, [], jobs=1)
    assert first["accuracy"] == pytest.approx(0.855)  # 0.9 and, of the other split and seed, 0.81
    assert first["difference_to_tfidf_mean"] == pytest.approx(0.08)
    assert better["accuracy"] == pytest.approx(0.905)
    assert (absent["splits"], as_first["accuracy"]) == (0, first["accuracy"])
    assert three["accuracy"] == pytest.approx(0.975)  # the ensemble's: 0.93 of the seeds 0 to 2, 1.02 of 3 to 5
    assert len([run for run in stages_run(project) if run.startswith("finetune_classifier")]) == 6
    done = CliRunner().invoke(
        cli, ["ablate", "--splits", "2", "--row", "2", "--output", "json"], catch_exceptions=False
    )
    assert json.loads(done.stdout)["rows"] == [better]
    lines = list(ablation_table([first, better, absent]))
    assert lines[2].startswith("| 1 | as it is | 95.0% | 85.5% (81.0% to 90.0%) | 6.4% | +8.0% ")
    assert lines[4] == "| 3 | a size that is not there | 90.0% | not run: convert_gpt2.names lacks the size | | |"
    assert (project / "params.yaml").read_text() == PARAMS.format(fails_at="null", gain=0.1)


@pytest.mark.usefixtures("rows")
def test_a_row_that_is_not_there_names_those_that_are():
    with pytest.raises(UserError, match="has no row 9; it has 1, 2, 3, 4, 5"):
        read_rows(["9"])


def test_a_file_that_is_no_list_of_rows_is_one_line(rows: Path):
    rows.write_text("rows: [{row: 1}]")
    with pytest.raises(UserError, match="is no list of rows"):
        read_rows([])


def test_every_row_is_a_valid_setting_and_the_first_nineteen_are_the_books(
    monkeypatch: pytest.MonkeyPatch, tmp_path: Path
):
    monkeypatch.setenv("DVC_ROOT", str(ROOT))
    rows = read_rows([])
    assert [row.row for row in rows[:19]] == [str(number) for number in range(1, 20)]
    assert all(row.published for row in rows[:19])
    section = read_yaml(ROOT / "recipes/sample.yaml")["finetune_classifier"]
    for row in rows:
        (tmp_path / "params.yaml").write_text(json.dumps({"finetune_classifier": {**section, **row.settings()}}))
        read_params("finetune_classifier", ClassificationConfig, tmp_path / "params.yaml")
