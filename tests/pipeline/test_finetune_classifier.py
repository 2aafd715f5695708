"""The stage finetune_classifier."""

from pathlib import Path

import pandas as pd
import pytest
from typer.testing import CliRunner

from scratchlm.artifacts import read_json
from scratchlm.cli import cli
from scratchlm.datasets.sms_spam import SPLITS, write_sms_spam
from scratchlm.models.classifier import GPTClassifier
from scratchlm.models.storage import load_model, read_class_names
from tests.conftest import Workspace
from tests.records import sha256_directory
from tests.tiny_model import save_tiny_model, tiny_gpt


@pytest.fixture(autouse=True)
def project(workspace: Workspace) -> None:
    """Two kinds of messages that a tiny base can tell apart."""
    save_tiny_model(Path("data/models/tiny"), tiny_gpt(context_length=64))
    rows = [("ham", f"see you at {n}") for n in range(20)] + [("spam", f"WIN {n}000 NOW!") for n in range(20)]
    frame = pd.DataFrame(rows, columns=["label", "text"])
    write_sms_spam(Path("data/sms_spam"), dict.fromkeys(SPLITS, frame) | {"unused": frame[:20]}, ["ham", "spam"])
    for key, value in {
        "base": "tiny",
        "epochs": 4,
        "max_tokens": 32,
        "learning_rate": 1e-2,
        "eval_every_steps": 5,
    }.items():
        workspace.set(f"finetune_classifier.{key}", value)


@pytest.mark.parametrize("part", ["all", "lora"])
def test_it_writes_a_classifier_and_its_scores(workspace: Workspace, part: str):
    workspace.set("finetune_classifier.train", part)
    done = workspace.run("finetune_classifier")
    assert done.returncode == 0, done.stderr
    assert "val loss" in done.stderr
    metrics = read_json(Path("metrics/finetune_classifier.json"))
    assert metrics["accuracy"] == 1.0
    assert metrics["accuracy_low"] < 1.0
    assert (metrics["false_positive_rate"], metrics["f1"]) == (0.0, 1.0)
    assert 0 < metrics["brier_score"] < metrics["expected_calibration_error"] < 0.5
    assert isinstance(load_model(Path("data/models/classifier")), GPTClassifier)
    assert read_class_names(Path("data/models/classifier")) == ["ham", "spam"]
    assert Path("data/models/classifier/adapter/adapter_model.safetensors").exists() == (part == "lora")
    predictions = pd.read_csv("data/predictions/classifier.csv")
    assert list(predictions.columns) == ["label", "predicted", "probability_ham", "probability_spam", "text"]
    reliability = pd.read_csv("metrics/plots/finetune_classifier_reliability.csv")
    assert reliability["messages"].sum() == 40
    assert (reliability["accuracy"] == 1).all()
    assert (predictions["label"] == predictions["predicted"]).all()


VARIANTS = {
    "padded": {"position": "last_padded", "padding": "longest_train", "causal": False, "seeds": [0, 1]},
    "mean": {"position": "mean", "padding": "none", "weights": "random", "epochs": 8},
}


@pytest.mark.parametrize("changes", VARIANTS.values(), ids=VARIANTS)
def test_scratchlm_classify_gives_the_probabilities_of_the_stage(workspace: Workspace, changes: dict[str, object]):
    for key, value in changes.items():
        workspace.set(f"finetune_classifier.{key}", value)
    done = workspace.run("finetune_classifier")
    assert done.returncode == 0, done.stderr
    metrics = read_json(Path("metrics/finetune_classifier.json"))
    assert ("accuracy_std" in metrics) == ("seeds" in changes)
    longest = max(len(text) for text in pd.read_csv("data/sms_spam/train.csv")["text"])  # of bytes, a token each
    reads = longest if changes["padding"] == "longest_train" else 32
    assert f"It reads {reads} tokens at most." in Path("data/models/classifier/README.md").read_text()
    predictions = pd.read_csv("data/predictions/classifier.csv")
    printed = CliRunner().invoke(cli, ["classify", "data/models/classifier"], input="\n".join(predictions["text"]))
    for line, row in zip(printed.stdout.splitlines(), predictions.to_dict("records"), strict=True):
        label, probability = line.split("\t")
        assert label == row["predicted"]
        assert float(probability) == pytest.approx(row[f"probability_{label}"], abs=1e-4)


def test_an_update_of_random_weights_is_no_adapter_of_the_base(workspace: Workspace):
    workspace.set("finetune_classifier.train", "lora")
    workspace.set("finetune_classifier.weights", "random")
    done = workspace.run("finetune_classifier")
    assert done.returncode == 0, done.stderr
    assert not Path("data/models/classifier/adapter").exists()
    card = Path("data/models/classifier/README.md").read_text()
    assert "Its weights began random: of `tiny` it has the shape and the tokenizer." in card


def test_a_base_that_is_not_there_is_one_line(workspace: Workspace):
    workspace.set("finetune_classifier.base", "gpt2-1B")
    done = workspace.run("finetune_classifier")
    assert done.returncode == 1
    assert "data/models/gpt2-1B" in done.stderr
    assert len(done.stderr.splitlines()) == 1


def test_a_second_run_gives_the_same_bytes_and_dropout_other_weights(workspace: Workspace):
    workspace.run("finetune_classifier")
    first = sha256_directory(Path("data/models/classifier"))
    assert workspace.run("finetune_classifier", SCRATCHLM_RESUME="fresh").returncode == 0
    assert sha256_directory(Path("data/models/classifier")) == first
    workspace.set("finetune_classifier.dropout", 0.5)
    assert workspace.run("finetune_classifier").returncode == 0
    assert sha256_directory(Path("data/models/classifier"))["model.safetensors"] != first["model.safetensors"]
