"""The stage sample_text."""

import csv
from pathlib import Path

import pytest

from pipeline.sample_text import main
from scratchlm.artifacts import read_json, read_jsonl
from tests.conftest import Workspace
from tests.records import sha256_directory
from tests.tiny_model import save_tiny_model


@pytest.fixture(autouse=True)
def sampled(workspace: Workspace) -> None:
    """The project folder after the stage ran on a tiny model."""
    save_tiny_model(workspace.path / "data/models/pretrained")
    workspace.set("sample_text.prompts", ["Hello", "Good evening, and"])
    workspace.set("sample_text.temperatures", [0.1, 1])
    workspace.set("sample_text.max_new_tokens", 20)
    main()


def test_every_prompt_is_continued_at_every_temperature():
    rows = read_jsonl(Path("data/samples/continuations.jsonl"))
    assert [(row["temperature"], row["prompt"]) for row in rows] == [
        (0.1, "Hello"),
        (0.1, "Good evening, and"),
        (1, "Hello"),
        (1, "Good evening, and"),
    ]
    assert len({row["text"] for row in rows}) == 4


def test_a_low_temperature_sharpens_the_distribution():
    with Path("metrics/plots/sample_text_temperature.csv").open(newline="") as file:
        table = list(csv.DictReader(file))
    cold, warm = table[:10], table[10:]
    assert [row["token"] for row in cold] == [row["token"] for row in warm]
    for rows in (cold, warm):
        probabilities = [float(row["probability"]) for row in rows]
        assert probabilities == sorted(probabilities, reverse=True)
    assert float(cold[0]["probability"]) > float(warm[0]["probability"])
    metrics = read_json(Path("metrics/sample_text.json"))
    assert metrics.keys() == {"entropy_at_0.1", "entropy_at_1", "distinct_2_at_0.1", "distinct_2_at_1"}
    assert metrics["entropy_at_0.1"] < metrics["entropy_at_1"]


def test_another_process_gives_the_same_bytes_and_prints_nothing(workspace: Workspace):
    outputs, found = (Path("data/samples"), Path("metrics/plots")), []
    for _ in range(2):  # of as many threads each: sums depend on it
        result = workspace.run("sample_text")
        assert (result.returncode, result.stdout, result.stderr) == (0, "", "")
        found.append([sha256_directory(path) for path in outputs])
    assert "sample_text_temperature.png" in found[0][1]
    assert found[0] == found[1]
