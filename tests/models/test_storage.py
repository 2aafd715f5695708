"""A model directory is whole, the same for the same weights, read by transformers, and refused when it was altered."""

import json
from pathlib import Path

import pytest
import torch
from safetensors import safe_open
from safetensors.torch import load_file, save_file

from scratchlm.checksums import write_manifest
from scratchlm.errors import UserError
from scratchlm.models.classifier import GPTClassifier
from scratchlm.models.gpt import GPT
from scratchlm.models.storage import load_gpt, load_model, read_class_names, read_config, save_model
from tests.models.conftest import CONFIG, make_gpt, random_tokens

END_OF_TEXT = CONFIG.vocab_size - 1


@pytest.fixture
def directory(tmp_path: Path, tokenizer_folder: Path) -> Path:
    """A saved language model."""
    save_model(make_gpt(), tmp_path / "model", tokenizer=tokenizer_folder, card="# A card\n", chat_template="{{ x }}")
    return tmp_path / "model"


@pytest.fixture
def classifier_directory(tmp_path: Path, tokenizer_folder: Path) -> Path:
    """A saved classifier."""
    model = GPTClassifier(make_gpt(), 2)
    model.init_head(0)
    save_model(model, tmp_path / "classifier", tokenizer=tokenizer_folder, card="", class_names=["ham", "spam"])
    return tmp_path / "classifier"


def contents(directory: Path) -> dict[str, bytes]:
    """The bytes of every file of a directory."""
    return {path.name: path.read_bytes() for path in directory.iterdir()}


def alter_config(directory: Path, **values: object) -> None:
    """Change keys of config.json under a manifest that agrees."""
    path = directory / "config.json"
    path.write_text(json.dumps({**json.loads(path.read_text()), **values}))
    write_manifest(directory)


def test_what_was_saved_is_loaded_and_saved_again_byte_for_byte(directory: Path, tmp_path: Path):
    model = load_model(directory)
    assert isinstance(model, GPT)
    assert model.config == CONFIG
    expected = make_gpt().state_dict()
    assert all(torch.equal(tensor, expected[name]) for name, tensor in model.state_dict().items())
    save_model(model, tmp_path / "again", tokenizer=directory, card="# A card\n", chat_template="{{ x }}")
    assert contents(tmp_path / "again") == contents(directory)


def test_a_classifier_is_loaded_with_its_head_and_names(classifier_directory: Path):
    model = load_model(classifier_directory, dropout=0.3)
    assert isinstance(model, GPTClassifier)
    assert not model.training
    assert model.trunk.h[0].attn.attn_dropout.p == 0.3
    assert read_class_names(classifier_directory) == ["ham", "spam"]
    with pytest.raises(UserError, match="holds a classifier"):
        load_gpt(classifier_directory)


@torch.no_grad()
def test_transformers_reads_the_directory_as_it_is(directory: Path):
    from transformers import AutoModelForCausalLM, AutoTokenizer

    reference, report = AutoModelForCausalLM.from_pretrained(directory, dtype=torch.float64, output_loading_info=True)
    assert not any(report.values())
    tokens = random_tokens(3, 32)
    expected = reference.eval()(tokens).logits
    torch.testing.assert_close(load_model(directory).double()(tokens), expected, rtol=1e-9, atol=1e-9)
    tokenizer = AutoTokenizer.from_pretrained(directory)
    assert tokenizer("w3 w5").input_ids == [3, 5]
    assert (tokenizer.model_max_length, tokenizer.chat_template) == (CONFIG.context_length, "{{ x }}")
    assert tokenizer.eos_token_id == reference.generation_config.eos_token_id == END_OF_TEXT


@pytest.mark.parametrize("kind", ["GPT2LMHeadModel", "GPT2ForSequenceClassification"])
def test_names_and_configuration_are_those_that_transformers_writes(
    kind: str, tmp_path: Path, directory: Path, classifier_directory: Path
):
    import transformers

    ours = directory if kind == "GPT2LMHeadModel" else classifier_directory
    getattr(transformers, kind).from_pretrained(ours).save_pretrained(tmp_path / "theirs")
    with (
        safe_open(ours / "model.safetensors", "pt") as our_file,
        safe_open(tmp_path / "theirs/model.safetensors", "pt") as their_file,
    ):
        assert set(our_file.keys()) == set(their_file.keys())
        assert our_file.metadata() == their_file.metadata() == {"format": "pt"}
    written = json.loads((ours / "config.json").read_text())
    expected = json.loads((tmp_path / "theirs/config.json").read_text())
    assert {key: expected.get(key) for key in written} == written


def test_a_file_that_was_altered_is_refused_by_name(directory: Path):
    weights = directory / "model.safetensors"
    whole = weights.read_bytes()
    for damaged in (whole[:-1], whole[:-1] + bytes([whole[-1] ^ 1])):
        weights.write_bytes(damaged)
        with pytest.raises(UserError, match=r"model\.safetensors has .* its manifest says"):
            load_model(directory)
    weights.unlink()
    with pytest.raises(UserError, match=r"model\.safetensors is missing"):
        load_model(directory)


def test_a_directory_without_manifest_is_refused(directory: Path):
    (directory / "manifest.json").unlink()
    with pytest.raises(UserError, match=r"manifest\.json is missing"):
        load_model(directory)


@pytest.mark.parametrize(
    ("change", "message"),
    [
        (lambda tensors: tensors.pop("transformer.h.1.ln_2.bias"), r"lacks the tensor transformer\.h\.1\.ln_2\.bias"),
        (lambda tensors: tensors.update(more=torch.ones(2)), "has the tensor more"),
        (
            lambda tensors: tensors.update({"transformer.ln_f.bias": torch.ones(3)}),
            r"transformer\.ln_f\.bias has shape \(3,\), config.json asks for \(64,\)",
        ),
    ],
)
def test_weights_that_do_not_fit_the_configuration_are_refused(directory: Path, change, message: str):
    weights = directory / "model.safetensors"
    tensors = load_file(weights)
    change(tensors)
    save_file(tensors, weights)
    write_manifest(directory)
    with pytest.raises(UserError, match=message):
        load_model(directory)


def test_a_file_that_is_no_safetensors_is_refused(directory: Path):
    (directory / "model.safetensors").write_bytes(b"weights")
    write_manifest(directory)
    with pytest.raises(UserError, match="is no safetensors file"):
        load_model(directory)


@pytest.mark.parametrize(
    ("values", "message"),
    [
        ({"activation_function": "relu"}, "activation_function is 'relu', only 'gelu_new'"),
        ({"scale_attn_by_inverse_layer_idx": True}, "scale_attn_by_inverse_layer_idx is True, only False"),
        ({"architectures": ["LlamaForCausalLM"]}, "architectures is"),
        ({"readout": {"position": "middle"}}, "model_type is 'gpt2', only 'scratchlm_classifier'"),
        ({"readout": {"position": "middle"}, "model_type": "scratchlm_classifier"}, "position is 'middle'"),
        ({"n_layer": "three"}, "n_layer is 'three'"),
        ({"n_head": 5}, "n_embd is 64; .*multiple of n_head 5"),
    ],
)
def test_another_function_than_gpt2s_is_refused(directory: Path, values: dict[str, object], message: str):
    alter_config(directory, **values)
    with pytest.raises(UserError, match=message):
        load_model(directory)


def test_a_tokenizer_without_end_of_text_is_refused(tmp_path: Path):
    (tmp_path / "tokenizer.json").write_text('{"added_tokens": []}')
    with pytest.raises(UserError, match="has no special token"):
        save_model(make_gpt(), tmp_path / "model", tokenizer=tmp_path, card="")
    assert not (tmp_path / "model").exists()


def test_read_config_needs_no_weights(directory: Path):
    (directory / "model.safetensors").unlink()
    assert read_config(directory) == CONFIG
