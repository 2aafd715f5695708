"""The stage fetch_preferences."""

from pathlib import Path

import pytest

from pipeline.fetch_preferences import main
from scratchlm.artifacts import read_json
from scratchlm.checksums import sha256_file
from scratchlm.datasets.sources import PREFERENCES
from tests.conftest import Workspace


@pytest.mark.usefixtures("mirror")
def test_the_sample_and_the_books_file_arrive_whole(workspace: Workspace, monkeypatch: pytest.MonkeyPatch):
    monkeypatch.setattr("sys.argv", ["fetch_preferences", "dpo"])
    for name in ("sample", "book"):
        workspace.set("fetch_preferences.source", name)
        main()
        assert sha256_file(Path("data/raw/preferences.json")) == PREFERENCES[name].sha256
        assert read_json(Path("metrics/fetch_preferences_dpo.json"))["source_sha256"] == PREFERENCES[name].sha256


def test_without_its_argument_it_is_one_line(workspace: Workspace):
    done = workspace.run("fetch_preferences")
    message = (
        "fetch_preferences: one argument is needed, the name that stands in finetune_dpo.names; `dvc repro` gives it."
    )
    assert (done.returncode, done.stderr) == (1, f"{message}\n")
