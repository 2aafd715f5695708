"""The pipelines of `transformers` on a model directory give what this project computes."""

from pathlib import Path

import numpy as np
import pytest
from transformers import (
    AutoModel,
    AutoModelForCausalLM,
    AutoModelForSequenceClassification,
    AutoTokenizer,
    GenerationConfig,
    pipeline,
)

from scratchlm.artifacts import read_json
from scratchlm.datasets.prompts import format_prompt
from scratchlm.datasets.tokenizers import load_tokenizer
from scratchlm.models.classifier import GPTClassifier, Readout
from scratchlm.models.sampling import generate
from scratchlm.models.storage import load_gpt, load_model, read_class_names, read_max_tokens, save_model
from scratchlm.training.classification import message_examples
from scratchlm.training.evaluation import predict_classes
from tests.interoperability.conftest import PROMPTS, make_model
from tests.tiny_model import greedy

GREEDY = {"do_sample": False, "max_new_tokens": 12}


def our_tokens(directory: Path, prompts: list[str], max_new_tokens: int = 12) -> list[list[int]]:
    """The most probable tokens after each prompt, up to the end of text."""
    tokenizer = load_tokenizer(directory)
    tokens = [tokenizer.encode(prompt) for prompt in prompts]
    return generate(load_gpt(directory), tokens, greedy(max_new_tokens), tokenizer.eot_id)


def our_texts(directory: Path, prompts: list[str], max_new_tokens: int = 12) -> list[str]:
    """Their texts."""
    tokenizer = load_tokenizer(directory)
    return [tokenizer.decode(tokens) for tokens in our_tokens(directory, prompts, max_new_tokens)]


@pytest.mark.parametrize("batch_size", [1, 4])
def test_generated_text_is_ours_alone_and_in_a_padded_batch(language_model: Path, batch_size: int):
    write = pipeline("text-generation", str(language_model))
    texts = [
        row[0]["generated_text"] for row in write(PROMPTS, **GREEDY, return_full_text=False, batch_size=batch_size)
    ]
    assert texts == our_texts(language_model, PROMPTS)
    assert len(set(texts)) == len(PROMPTS)


def test_a_padded_batch_of_the_tokenizer_can_be_continued(language_model: Path):
    tokenizer = AutoTokenizer.from_pretrained(language_model)
    model = AutoModelForCausalLM.from_pretrained(language_model)
    batch = tokenizer(PROMPTS, padding=True, return_tensors="pt")
    rows = model.generate(**batch, **GREEDY)[:, batch.input_ids.shape[1] :].tolist()
    assert [[token for token in row if token != tokenizer.eos_token_id] for row in rows] == our_tokens(
        language_model, PROMPTS
    )


def test_a_text_without_a_limit_ends_where_the_context_ends(language_model: Path):
    write = pipeline("text-generation", str(language_model))
    [row] = write("No", do_sample=False, return_full_text=False)
    assert [row["generated_text"]] == our_texts(language_model, ["No"], max_new_tokens=1_000)


def test_a_message_is_answered_as_the_prompt_of_training_is(language_model: Path):
    answer = pipeline("text-generation", str(language_model))
    [row] = answer([{"role": "user", "content": "What is a colour?"}], **GREEDY)
    prompt = format_prompt({"instruction": "What is a colour?", "input": ""})
    assert row["generated_text"][-1]["role"] == "assistant"
    assert [row["generated_text"][-1]["content"]] == our_texts(language_model, [prompt])


@pytest.mark.parametrize("batch_size", [1, 4])
def test_classes_and_probabilities_are_ours_alone_and_in_a_padded_batch(classifier: Path, batch_size: int):
    """One of the texts is longer than what the classifier was trained to read."""
    model, tokenizer = load_model(classifier), load_tokenizer(classifier)
    assert isinstance(model, GPTClassifier)
    assert len(tokenizer.encode(PROMPTS[0])) > read_max_tokens(classifier)
    examples = message_examples(PROMPTS, [0] * len(PROMPTS), tokenizer, read_max_tokens(classifier))
    expected = predict_classes(model, examples, 4, tokenizer.eot_id)
    classify = pipeline("text-classification", str(classifier), truncation=True)
    names = read_class_names(classifier)
    rows = [
        {score["label"]: score["score"] for score in row}
        for row in classify(PROMPTS, batch_size=batch_size, top_k=None)
    ]
    np.testing.assert_allclose([[row[name] for name in names] for row in rows], expected, rtol=0, atol=1e-4)
    assert len({max(row, key=row.__getitem__) for row in rows}) > 1
    assert expected.max(axis=1).min() < 0.999


@pytest.mark.parametrize("readout", [Readout(position="mean"), Readout(causal=False)], ids=str)
def test_what_no_class_computes_is_refused_and_not_computed_otherwise(
    readout: Readout, tokenizer_directory: Path, tmp_path: Path
):
    model = GPTClassifier(make_model(load_tokenizer(tokenizer_directory)), 2, readout)
    model.init_head(seed=0)
    save_model(model, tmp_path / "model", tokenizer=tokenizer_directory, card="", class_names=["ham", "spam"])
    for auto in (AutoModel, AutoModelForSequenceClassification):
        with pytest.raises(ValueError, match="model type `scratchlm_classifier`"):
            auto.from_pretrained(tmp_path / "model")
    assert AutoTokenizer.from_pretrained(tmp_path / "model")("No").input_ids


def test_the_tokenizer_and_the_settings_agree_with_the_configuration(language_model: Path, classifier: Path):
    for directory, side, max_tokens in [(language_model, "left", 256), (classifier, "right", 16)]:
        tokenizer, config = AutoTokenizer.from_pretrained(directory), read_json(directory / "config.json")
        assert (tokenizer.padding_side, tokenizer.model_max_length) == (side, max_tokens)
        assert len(tokenizer) == config["vocab_size"]
        special = {"bos_token_id", "eos_token_id", "pad_token_id"}
        assert {name: getattr(tokenizer, name) for name in special} == {name: config[name] for name in special}
    generation = GenerationConfig.from_pretrained(language_model)
    generation.validate(strict=True)
    assert (generation.eos_token_id, generation.max_length) == (tokenizer.eos_token_id, 256)
    assert not (classifier / "generation_config.json").exists()
