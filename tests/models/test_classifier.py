"""The classifier computes what AutoModelForSequenceClassification computes for the same directory."""

from pathlib import Path

import pytest
import torch

from scratchlm.models.classifier import GPTClassifier
from scratchlm.models.storage import load_model, save_model
from tests.models.conftest import CONFIG, make_gpt, random_tokens

LENGTHS = torch.tensor([1, 7, 20, 13])


@pytest.fixture(scope="module")
def directory(tmp_path_factory: pytest.TempPathFactory, tokenizer_folder: Path) -> Path:
    """A saved classifier of three classes with weights of realistic scale."""
    model = GPTClassifier(make_gpt(), 3)
    model.init_head(seed=0)
    with torch.no_grad():
        model.score.weight *= 20
    path = tmp_path_factory.mktemp("models") / "classifier"
    save_model(model, path, tokenizer=tokenizer_folder, card="", class_names=["ham", "spam", "eggs"])
    return path


def padded_batch() -> torch.Tensor:
    """Rows of `LENGTHS` tokens, filled up with the end of text."""
    tokens = random_tokens(len(LENGTHS), 20)
    tokens[torch.arange(20) >= LENGTHS[:, None]] = CONFIG.vocab_size - 1
    return tokens


@torch.no_grad()
def test_logits_equal_transformers_for_rows_of_any_length(directory: Path):
    from transformers import AutoModelForSequenceClassification

    reference = AutoModelForSequenceClassification.from_pretrained(directory, dtype=torch.float64).eval()
    tokens = padded_batch()
    expected = reference(tokens, attention_mask=(torch.arange(20) < LENGTHS[:, None]).long()).logits
    logits = load_model(directory).double()(tokens, LENGTHS)
    assert expected.abs().max() > 10
    torch.testing.assert_close(logits, expected, rtol=1e-9, atol=1e-9)
    assert reference.config.id2label == {0: "ham", 1: "spam", 2: "eggs"}


@torch.no_grad()
def test_padding_does_not_change_logits(directory: Path):
    model, tokens = load_model(directory).double(), padded_batch()
    other_padding = torch.where(torch.arange(20) >= LENGTHS[:, None], 3, tokens)
    together = model(tokens, LENGTHS)
    assert torch.equal(together, model(other_padding, LENGTHS))
    for row, length in enumerate(LENGTHS):
        alone = model(tokens[[row], :length], LENGTHS[[row]])[0]
        torch.testing.assert_close(together[row], alone, rtol=1e-9, atol=1e-9)


def test_head_depends_on_the_seed_alone():
    heads = []
    for global_seed, seed in [(1, 5), (2, 5), (1, 6)]:
        torch.manual_seed(global_seed)
        model = GPTClassifier(make_gpt(), 2)
        model.init_head(seed)
        heads.append(model.score.weight)
    assert torch.equal(heads[0], heads[1])
    assert not torch.equal(heads[0], heads[2])
