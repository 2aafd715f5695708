"""Model directories, saved and loaded: each is a Hugging Face GPT-2 directory with a manifest of hashes."""

from collections.abc import Sequence
from pathlib import Path
from typing import Any

import torch
from pydantic import ValidationError
from safetensors import SafetensorError
from safetensors.torch import load_file

from scratchlm.artifacts import atomic_directory, read_json, write_text
from scratchlm.checksums import verify_manifest, write_manifest
from scratchlm.errors import UserError
from scratchlm.models.classifier import GPTClassifier, Readout
from scratchlm.models.gpt import GPT
from scratchlm.models.gpt_config import GPTConfig
from scratchlm.models.model_directory import (
    CARD,
    CLASSIFIER,
    CONFIG,
    FUNCTION,
    LANGUAGE_MODEL,
    METADATA,
    TOKENIZER_CONFIG,
    WEIGHTS,
    write_settings,
)
from scratchlm.models.tensor_file import save_tensors

# The key of config.json for classifiers that no class of Hugging Face computes, and their model_type: one that
# `transformers` does not know, for under `gpt2` it would load them and compute something else.
READOUT, READOUT_TYPE = "readout", "scratchlm_classifier"


def save_model(
    model: GPT | GPTClassifier,
    directory: Path,
    *,
    tokenizer: Path,
    card: str,
    class_names: Sequence[str] = (),
    chat_template: str | None = None,
    max_tokens: int | None = None,
) -> None:
    """Write a model directory whole: the same weights, tokenizer and card give the same bytes.

    `tokenizer` is the folder its files are copied from (a model directory is one too), `card` the text of README.md,
    `class_names` the names of a classifier's classes in their order, `max_tokens` how much of a text it was trained to
    read (else the whole context). LoRA must have been merged.
    """
    state = model.state_dict()
    assert not any(".lora_" in name for name in state), "call merge_lora before save_model"
    weights = {tensor_name(model, name): tensor.to("cpu", torch.float32).contiguous() for name, tensor in state.items()}
    trunk = model.trunk if isinstance(model, GPTClassifier) else model
    labels = _labels(model, class_names) if isinstance(model, GPTClassifier) else {}
    with atomic_directory(directory) as partial:
        write_settings(
            partial,
            trunk.config,
            _function(model),
            labels,
            tokenizer=tokenizer,
            chat_template=chat_template,
            max_tokens=max_tokens,
        )
        save_tensors(weights, partial / WEIGHTS, metadata=METADATA)
        write_text(partial / CARD, card)
        write_manifest(partial)


def load_model(directory: Path, dropout: float | None = None, verify: bool = True) -> GPT | GPTClassifier:
    """Load a model directory after checking its hashes, in evaluation mode; UserError names the file that is wrong.

    `dropout` replaces the one that the model was trained with; `verify` is False where `verify_manifest` was called.
    """
    if verify:
        verify_manifest(directory)
    config = read_config(directory)
    with torch.device("meta"):
        model = GPT(config if dropout is None else config.model_copy(update={"dropout": dropout}))
        if (readout := _read_readout(directory)) is not None:
            model = GPTClassifier(model, len(read_class_names(directory)), readout)
    model.to_empty(device="cpu")
    model.load_state_dict(_read_weights(directory / WEIGHTS, model))
    return model.eval()


def load_gpt(directory: Path, dropout: float | None = None, verify: bool = True) -> GPT:
    """Load a directory as `load_model` does; UserError if it holds a classifier."""
    if verify:
        verify_manifest(directory)
    if _read_readout(directory) is not None:
        raise UserError(f"{directory} holds a classifier, a language model is needed; name another model directory.")
    model = load_model(directory, dropout, verify=False)
    assert isinstance(model, GPT)
    return model


def read_config(directory: Path) -> GPTConfig:
    """Read the configuration of a model directory; UserError names the first key that this project cannot compute."""
    path = directory / CONFIG
    found = read_json(path)
    expected = FUNCTION | ({"model_type": READOUT_TYPE} if READOUT in found else {})
    for key, value in expected.items():
        if found.get(key, value) != value:
            raise UserError(f"{path}: {key} is {found[key]!r}, only {value!r} can be computed; use another model.")
    fields = {name: found.get(name) for name in ("n_layer", "n_head", "n_embd", "vocab_size", "layer_norm_epsilon")}
    try:
        return GPTConfig(context_length=found.get("n_positions"), dropout=found.get("resid_pdrop"), **fields)
    except ValidationError as error:
        raise _invalid(path, error) from None


def read_class_names(directory: Path) -> list[str]:
    """The names of a classifier's classes, in the order of its logits."""
    labels = read_json(directory / CONFIG).get("id2label", {})
    return [labels[str(index)] for index in range(len(labels))]


def tensor_name(model: GPT | GPTClassifier, name: str) -> str:
    """The name of a parameter in Hugging Face's files: `transformer.` takes the place of `trunk.`."""
    return name.replace("trunk.", "transformer.", 1) if isinstance(model, GPTClassifier) else f"transformer.{name}"


def _function(model: GPT | GPTClassifier) -> dict[str, Any]:
    """Hugging Face's class that computes what the model does; where there is none, the readout that is left to say."""
    if isinstance(model, GPT):
        return {"architectures": [LANGUAGE_MODEL]}
    if model.readout == Readout():
        return {"architectures": [CLASSIFIER]}
    return {"model_type": READOUT_TYPE, READOUT: model.readout.model_dump()}


def _labels(model: GPTClassifier, class_names: Sequence[str]) -> dict[str, Any]:
    assert len(class_names) == model.n_classes
    names = dict(enumerate(class_names))
    return {"id2label": names, "label2id": {name: index for index, name in names.items()}}


def read_max_tokens(directory: Path) -> int:
    """How many tokens of a text the model of a directory was trained to read."""
    return read_json(directory / TOKENIZER_CONFIG)["model_max_length"]


def _read_readout(directory: Path) -> Readout | None:
    """What a classifier classifies; None for a language model."""
    path = directory / CONFIG
    config = read_json(path)
    if READOUT in config:
        try:
            return Readout.model_validate(config[READOUT])
        except ValidationError as error:
            raise _invalid(path, error) from None
    names = config.get("architectures") or []
    if names not in ([LANGUAGE_MODEL], [CLASSIFIER]):
        raise UserError(f"{path}: architectures is {names}, only {LANGUAGE_MODEL} and {CLASSIFIER} can be loaded.")
    return Readout() if names == [CLASSIFIER] else None


def _invalid(path: Path, error: ValidationError) -> UserError:
    first = error.errors(include_url=False)[0]
    return UserError(f"{path}: {'.'.join(map(str, first['loc']))} is {first['input']!r}; {first['msg']}.")


def _read_weights(path: Path, model: GPT | GPTClassifier) -> dict[str, torch.Tensor]:
    """The tensors of a file under the names of `model`; UserError names the first missing, extra or misshaped one."""
    try:
        found = load_file(path)
    except SafetensorError as error:
        raise UserError(f"{path} is no safetensors file ({error}); make the directory again.") from None
    expected = {tensor_name(model, name): (name, tensor) for name, tensor in model.state_dict().items()}
    for name in sorted(expected.keys() | found.keys()):
        if name not in found:
            raise UserError(f"{path} lacks the tensor {name}, which {CONFIG} asks for; make the directory again.")
        if name not in expected:
            raise UserError(f"{path} has the tensor {name}, which is no part of the model of {CONFIG}.")
        shapes = tuple(found[name].shape), tuple(expected[name][1].shape)
        if shapes[0] != shapes[1]:
            raise UserError(f"{path}: {name} has shape {shapes[0]}, {CONFIG} asks for {shapes[1]}.")
    return {expected[name][0]: tensor for name, tensor in found.items()}
