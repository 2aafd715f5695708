"""Model cards: metadata that the Hugging Face hub reads, and every parameter, metric and input in a table."""

from huggingface_hub import ModelCard

from scratchlm.params import Schema
from scratchlm.reporting.model_card import model_card


class Config(Schema):
    """A made-up training."""

    base: str
    learning_rate: float
    top_k: int | None


CONFIG = Config(base="gpt2-roundtrip", learning_rate=6e-4, top_k=None)
METRICS = {"accuracy": 0.93750001, "steps": 60, "resumed_with_other_code": False}
LINEAGE = {"data/models/gpt2-roundtrip": "a" * 64, "data/sms_spam": "b" * 64}


def card() -> str:
    """The card of a made-up classifier."""
    return model_card("A spam classifier", "finetune_classifier", CONFIG, METRICS, LINEAGE, "text-classification")


def table(text: str, title: str) -> dict[str, str]:
    """The two columns of the table under a heading."""
    lines = text.split(f"## {title}\n\n")[1].split("\n\n")[0].splitlines()
    assert lines[1] == "|---|---|"
    return dict(line.strip("| ").split(" | ") for line in lines[2:])


def test_the_hub_reads_the_metadata():
    data = ModelCard(card()).data.to_dict()
    assert data == {
        "library_name": "transformers",
        "pipeline_tag": "text-classification",
        "tags": ["gpt2", "scratchlm"],
    }


def test_every_input_metric_and_parameter_has_a_row():
    assert table(card(), "Lineage") == {name: f"`{sha256[:16]}`" for name, sha256 in LINEAGE.items()}
    assert table(card(), "Metrics") == {"accuracy": "0.9375", "steps": "60", "resumed_with_other_code": "False"}
    assert table(card(), "Parameters") == {"base": "`gpt2-roundtrip`", "learning_rate": "`0.0006`", "top_k": "`None`"}


def test_the_same_training_gives_the_same_card():
    assert card() == card()
    assert card().endswith("|\n")
