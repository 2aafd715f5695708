"""The stage prepare_preferences."""

import shutil
from pathlib import Path

import pytest

from pipeline.prepare_preferences import main
from scratchlm.artifacts import read_json, read_jsonl
from scratchlm.checksums import write_sha256
from scratchlm.datasets.entries import write_splits
from scratchlm.datasets.instructions import read_instructions
from tests.conftest import ROOT


@pytest.mark.usefixtures("workspace")
def test_no_instruction_that_answers_are_measured_on_is_trained_on(monkeypatch: pytest.MonkeyPatch):
    entries = read_instructions(ROOT / "data/sample/instructions.json")[:100]
    splits = {"train": entries[:80], "val": entries[80:90], "test": entries[90:]}
    write_splits(Path("data/instructions"), splits)
    Path("data/raw").mkdir()
    write_sha256(Path(shutil.copy(ROOT / "data/sample/preferences.json", "data/raw/preferences.json")))
    monkeypatch.setattr("sys.argv", ["prepare_preferences", "dpo"])
    main()
    asked = {
        name: [row["instruction"] for row in read_jsonl(Path(f"data/preferences/{name}.jsonl"))] for name in splits
    }
    for name, part in splits.items():
        assert {entry["instruction"] for entry in part} <= set(asked[name])
    metrics = read_json(Path("metrics/prepare_preferences_dpo.json"))
    assert (metrics["preferences"], metrics["repeated"]) == (488, 0)
    assert {name: len(part) for name, part in asked.items()}.items() <= metrics.items()
