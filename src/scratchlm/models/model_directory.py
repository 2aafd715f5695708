"""What a Hugging Face GPT-2 directory holds beside a torch model, and weights that stream into one; no torch."""

import hashlib
import json
import math
import shutil
from collections.abc import Iterable, Mapping
from concurrent.futures import Future, ThreadPoolExecutor
from itertools import chain
from pathlib import Path
from typing import Any

from scratchlm.artifacts import atomic_directory, read_json, write_json, write_text
from scratchlm.checksums import write_manifest
from scratchlm.disk import require_space
from scratchlm.errors import UserError
from scratchlm.models.gpt_config import GPTConfig, parameter_shapes

CONFIG = "config.json"
TOKENIZER_CONFIG = "tokenizer_config.json"
WEIGHTS = "model.safetensors"
CARD = "README.md"
METADATA = {"format": "pt"}  # no more: the bytes of a file with several keys differ from process to process
END_OF_TEXT = "<|endoftext|>"
LANGUAGE_MODEL, CLASSIFIER = "GPT2LMHeadModel", "GPT2ForSequenceClassification"

# What GPT computes; a directory that says otherwise is refused.
FUNCTION = {
    "model_type": "gpt2",
    "activation_function": "gelu_new",
    "n_inner": None,
    "add_cross_attention": False,
    "reorder_and_upcast_attn": False,
    "scale_attn_by_inverse_layer_idx": False,
    "scale_attn_weights": True,
    "tie_word_embeddings": True,
}


def stream_model(config: GPTConfig, values: Iterable[bytes], directory: Path, *, tokenizer: Path, card: str) -> None:
    """Write the model directory of a GPT whose weights are never in memory together.

    `values` are the little-endian float32 values of `stored_names(config)`, one after the other.
    """
    names = stored_names(config)
    shapes = parameter_shapes(config)
    require_space(directory.parent, 4 * sum(map(math.prod, shapes.values())), str(directory))
    with atomic_directory(directory) as partial:
        write_settings(partial, config, {"architectures": [LANGUAGE_MODEL]}, {}, tokenizer=tokenizer)
        stored = {f"transformer.{name}": shapes[name] for name in names}
        sha256 = _stream_weights(stored, values, partial / WEIGHTS)
        write_text(partial / CARD, card)
        write_manifest(partial, known={WEIGHTS: sha256})


def stored_names(config: GPTConfig) -> list[str]:
    """The parameters of a GPT in the order in which safetensors stores them."""
    return sorted(parameter_shapes(config))


def _stream_weights(shapes: Mapping[str, tuple[int, ...]], values: Iterable[bytes], path: Path) -> str:
    """Write a safetensors file of float32 tensors as the library would; returns its sha256.

    The format is a length, a header in JSON, and the values (huggingface.co/docs/safetensors).
    """
    header: dict[str, Any] = {"__metadata__": METADATA}
    end = 0
    for name, shape in shapes.items():
        start, end = end, end + 4 * math.prod(shape)
        header[name] = {"dtype": "F32", "shape": list(shape), "data_offsets": [start, end]}
    text = json.dumps(header, separators=(",", ":")).encode()
    text += b" " * (-len(text) % 8)
    digest, hashing = hashlib.sha256(), Future[None]()
    hashing.set_result(None)
    with path.open("wb") as file, ThreadPoolExecutor(1) as executor:
        for piece in chain([len(text).to_bytes(8, "little") + text], values):
            hashing.result()  # of the piece before: no more than two are in memory
            hashing = executor.submit(digest.update, piece)
            file.write(piece)
    assert path.stat().st_size == 8 + len(text) + end
    return digest.hexdigest()


def write_settings(
    directory: Path,
    config: GPTConfig,
    function: Mapping[str, Any],
    labels: Mapping[str, Any],
    *,
    tokenizer: Path,
    chat_template: str | None = None,
    max_tokens: int | None = None,
) -> None:
    """Write all that is neither weights nor card nor manifest.

    `function` is what config.json says of the model besides `config`, `labels` what it says of a classifier's classes;
    `max_tokens` is how much of a text it was trained to read, by default the whole context.
    """
    special = _special_tokens(tokenizer)
    write_json(directory / CONFIG, {**FUNCTION, **function, **_config(config), **special, **labels})
    # A generated text begins where the longest prompt of a batch ends, a class is read where each text ends.
    padding_side = "right" if labels else "left"
    _copy_tokenizer(tokenizer, directory, max_tokens or config.context_length, padding_side, chat_template)
    if not labels:
        write_json(directory / "generation_config.json", {**special, "max_length": config.context_length})


def _config(config: GPTConfig) -> dict[str, Any]:
    return {
        "n_layer": config.n_layer,
        "n_head": config.n_head,
        "n_embd": config.n_embd,
        "n_positions": config.context_length,
        "n_ctx": config.context_length,  # llama.cpp's converter reads this one
        "vocab_size": config.vocab_size,
        "layer_norm_epsilon": config.layer_norm_epsilon,
        "embd_pdrop": config.dropout,
        "attn_pdrop": config.dropout,
        "resid_pdrop": config.dropout,
        "dtype": "float32",
    }


def _special_tokens(tokenizer: Path) -> dict[str, int]:
    """End of text begins, ends and pads, as GPT-2 has no other special token."""
    path = tokenizer / "tokenizer.json"
    tokens = {token["content"]: token["id"] for token in read_json(path).get("added_tokens", [])}
    if END_OF_TEXT not in tokens:
        raise UserError(f"{path} has no special token {END_OF_TEXT}; build the tokenizer again.")
    return dict.fromkeys(("bos_token_id", "eos_token_id", "pad_token_id"), tokens[END_OF_TEXT])


def _copy_tokenizer(source: Path, target: Path, max_tokens: int, padding_side: str, chat_template: str | None) -> None:
    for name in ("tokenizer.json", "vocab.json", "merges.txt"):
        if (source / name).exists():
            shutil.copyfile(source / name, target / name)
    padding = {"pad_token": END_OF_TEXT, "padding_side": padding_side}
    settings = {**read_json(source / TOKENIZER_CONFIG), **padding, "model_max_length": max_tokens}
    settings.pop("chat_template", None)
    if chat_template is not None:
        settings["chat_template"] = chat_template
    write_json(target / TOKENIZER_CONFIG, settings)
