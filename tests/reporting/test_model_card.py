"""Model cards: metadata that the Hugging Face hub reads, and every parameter, metric and input in a table."""

from pathlib import Path

import pytest
from huggingface_hub import ModelCard

from scratchlm.errors import UserError
from scratchlm.params import Schema
from scratchlm.reporting.model_card import made_with, model_card, read_lineage


class Lora(Schema):
    """A made-up section within a section."""

    r: int


class Config(Schema):
    """A made-up training."""

    base: str
    learning_rate: float
    top_k: int | None
    prompt: str
    lora: Lora


HOSTILE = "one | two\n## `three`"
CONFIG = Config(base="gpt2-124M", learning_rate=6e-4, top_k=None, prompt=HOSTILE, lora=Lora(r=8))
METRICS = {
    "accuracy": 0.93750001,
    "accuracy_low": 0.9,
    "accuracy_high": 0.96,
    "balance_low": 1,
    "steps": 60,
    "resumed_with_other_code": False,
}
LINEAGE = {"data/models/gpt2-124M": "a" * 64, "data/sms_spam": "b" * 64}


def card(**changes: object) -> str:
    """The card of a made-up classifier."""
    return model_card(
        "A spam classifier", "finetune_classifier", CONFIG, METRICS | changes, LINEAGE, "text-classification", 87
    )


def table(text: str, title: str) -> list[list[str]]:
    """The rows of the table under a heading."""
    lines = text.split(f"## {title}\n\n")[1].split("\n\n")[0].splitlines()
    assert set(lines[1]) == {"|", "-"}
    return [line.removeprefix("| ").removesuffix(" |").split(" | ") for line in lines[2:]]


@pytest.fixture
def base(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """The card of the made-up classifier's base, as convert_gpt2 writes it, in the working folder."""
    monkeypatch.chdir(tmp_path)
    path = Path("data/models/gpt2-124M/README.md")
    path.parent.mkdir(parents=True)
    lineage = {"data/gpt2/124M": "c" * 64}
    path.write_text(
        model_card("GPT-2 124M", "convert_gpt2", CONFIG, {"tensors": 148}, lineage, "text-generation", 1024)
    )
    return path


def test_the_hub_reads_the_metadata(base: Path):
    data = ModelCard(card()).data
    assert data.library_name == "transformers"
    assert data.pipeline_tag == "text-classification"
    assert data.tags == ["gpt2", "scratchlm"]
    assert data.base_model == "openai-community/gpt2"
    [result] = data.eval_results
    assert (result.metric_type, result.metric_value, result.dataset_name) == ("accuracy", 0.93750001, "data/sms_spam")


def test_the_licence_of_openais_weights_is_theirs_and_nobody_elses_is_guessed(base: Path):
    converted, finetuned = ModelCard.load(base).data, ModelCard(card()).data
    assert (converted.license, converted.license_name) == ("other", "modified-mit")
    assert converted.license_link.startswith("https://github.com/openai/gpt-2/")
    assert finetuned.license is None


def test_random_weights_are_no_base_model_of_the_hub(base: Path):
    class Weights(Schema):
        base: str
        weights: str

    texts = {
        weights: model_card(
            "A classifier",
            "finetune_classifier",
            Weights(base="gpt2-124M", weights=weights),
            METRICS,
            LINEAGE,
            "text-classification",
            120,
        )
        for weights in ("pretrained", "random")
    }
    said = {weights: ("base_model: openai" in text, "began random" in text) for weights, text in texts.items()}
    assert said == {"pretrained": (True, False), "random": (False, True)}


def test_a_card_carries_the_lineage_of_its_base(base: Path):
    ours, theirs = ModelCard(card()).data.to_dict()["lineage"]
    assert (ours["stage"], ours["read"]) == ("finetune_classifier", LINEAGE)
    assert (theirs["stage"], theirs["read"]) == ("convert_gpt2", {"data/gpt2/124M": "c" * 64})
    assert ours["made_with"] == theirs["made_with"] == made_with()
    assert [row[2:] for row in table(card(), "Lineage")] == [
        ["data/models/gpt2-124M", f"`{'a' * 16}`"],
        ["data/sms_spam", f"`{'b' * 16}`"],
        ["data/gpt2/124M", f"`{'c' * 16}`"],
    ]


@pytest.mark.parametrize("text", ["", "# A model\n", "---\ntitle: no end", "---\nlanguage: en\n---\n# A model\n"])
def test_the_card_of_somebody_else_has_no_lineage(text: str, tmp_path: Path):
    (tmp_path / "README.md").write_text(text)
    assert read_lineage(tmp_path / "README.md") == []
    assert read_lineage(tmp_path / "absent.md") == []


def test_metadata_that_is_no_yaml_is_one_line_that_names_the_card(tmp_path: Path):
    (tmp_path / "README.md").write_text("---\na: [\n---\n")
    with pytest.raises(UserError, match=r"README\.md has no valid metadata"):
        read_lineage(tmp_path / "README.md")


def test_every_metric_has_a_row_and_an_interval_stands_with_its_figure():
    assert table(card(), "Metrics") == [
        ["accuracy", "0.9375 (0.9 to 0.96)"],
        ["balance_low", "1"],
        ["steps", "60"],
        ["resumed_with_other_code", "False"],
    ]


def test_every_parameter_has_a_row_that_no_value_can_leave():
    assert table(card(), "Parameters") == [
        ["base", "`gpt2-124M`"],
        ["learning_rate", "`0.0006`"],
        ["top_k", "`None`"],
        ["prompt", "`one \\| two ## 'three'`"],
        ["lora.r", "`8`"],
    ]


def test_a_card_says_how_to_load_the_model_what_it_cannot_do_and_if_other_code_went_on():
    text = card()
    assert 'pipeline("text-classification", "MODEL_DIR", truncation=True)' in text
    assert "for messages like those of the test set" in text
    assert "It reads 87 tokens at most." in text
    assert "other code" not in text
    assert "resumed with other code" in card(resumed_with_other_code=True)


def test_a_classifier_that_transformers_cannot_compute_is_loaded_by_scratchlm():
    class Readout(Schema):
        position: str
        causal: bool

    def text(position: str, causal: bool) -> str:
        config = Readout(position=position, causal=causal)
        return model_card("A classifier", "finetune_classifier", config, METRICS, LINEAGE, "text-classification", 120)

    assert "from transformers import pipeline" in text("last", True)
    assert ModelCard(text("last", True)).data.library_name == "transformers"
    for other in (text("mean", True), text("last", False)):
        assert ModelCard(other).data.library_name == "scratchlm"
        assert "scratchlm classify MODEL_DIR" in other
        assert "import pipeline" not in other


def test_the_same_training_gives_the_same_card():
    assert card() == card()
    assert card().endswith("|\n")
