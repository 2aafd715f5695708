"""What `benchmarks.generate` runs, each in a process of its own: the answers of the book's generate() and of ours."""

import argparse
import importlib
import json
import sys
import time
from collections.abc import Callable
from functools import partial
from pathlib import Path
from typing import Any

import numpy as np
import torch
from safetensors.numpy import load_file

from benchmarks.instruct_contestants import BOOK, CONTEXT_LENGTH, TEST_ENTRIES, TRAIN_ENTRIES, book_config, random_gpt
from benchmarks.side_by_side import ROOT, Figures
from scratchlm.artifacts import write_json
from scratchlm.datasets.instructions import read_instructions
from scratchlm.datasets.prompts import format_prompt
from scratchlm.datasets.tokenizer_building import write_tokenizer
from scratchlm.datasets.tokenizers import load_tokenizer
from scratchlm.judging.responses import ResponseConfig
from scratchlm.models.sampling import generate
from scratchlm.models.storage import WEIGHTS, load_gpt, save_model
from scratchlm.params import read_yaml

MODEL, ITEMS = "model", "items.json"


def prepare(folder: Path, data: Path, shape: list[int]) -> list[dict[str, Any]]:
    """Write a model of random weights, and of each test item the prompt's tokens and how many its reference has."""
    (folder / "tokenizer").mkdir()
    write_tokenizer(folder / "tokenizer", "gpt2", [], 0)
    save_model(random_gpt(shape), folder / MODEL, tokenizer=folder / "tokenizer", card="")
    tokenizer = load_tokenizer(folder / MODEL)
    entries = read_instructions(data)[TRAIN_ENTRIES : TRAIN_ENTRIES + TEST_ENTRIES]
    items = [
        {"prompt": tokenizer.encode(format_prompt(entry)), "reference": len(tokenizer.encode(entry["output"]))}
        for entry in entries
    ]
    write_json(folder / ITEMS, items)
    return items


def run_book(settings: argparse.Namespace) -> Figures:
    """The book's generate() on each chosen prompt, and what all of them take at the same time a token computed."""
    sys.path.insert(0, str(Path(settings.peer) / BOOK))
    book: Any = importlib.import_module("previous_chapters")
    model = book.GPTModel(book_config(settings.shape))
    book.load_weights_into_gpt(model, _book_params(settings))
    model.eval()

    def answer(number: int) -> list[int]:
        prompt, limit = settings.prompts[number], settings.limits[number]
        tokens = book.generate(model, torch.tensor([prompt]), limit, CONTEXT_LENGTH)
        return tokens[0, len(prompt) :].tolist()

    seconds, texts = _timed(lambda: [answer(number) for number in settings.chosen])
    computed = [_computed_without_cache(*pair) for pair in zip(settings.prompts, settings.limits, strict=True)]
    share = sum(computed[number] for number in settings.chosen) / sum(computed)
    write_json(Path(settings.texts), texts)
    return {"answer_seconds": seconds / share}


def run_ours(settings: argparse.Namespace) -> Figures:
    """The function that answers in the stage, with the sample's parameters, on all prompts."""
    model = load_gpt(Path(settings.folder) / MODEL)
    config = _config(max(settings.limits))
    answer = partial(generate, model, settings.prompts, config, batch_size=config.batch_size, limits=settings.limits)
    seconds, texts = _timed(answer)
    write_json(Path(settings.texts), texts)
    return {"answer_seconds": seconds}


def _computed_without_cache(prompt: list[int], limit: int) -> int:
    """The tokens that a model reads which reads the whole text anew for each of `limit` new ones."""
    return sum(len(prompt) + step for step in range(limit))


def _config(max_new_tokens: int) -> ResponseConfig:
    values = read_yaml(ROOT / "recipes/sample.yaml")["generate_responses"]
    return ResponseConfig.model_validate(values | {"max_new_tokens": max_new_tokens})


def _book_params(settings: argparse.Namespace) -> dict[str, Any]:
    """The weights of our file, nested and named as the book's loader wants them."""
    found = load_file(Path(settings.folder) / MODEL / WEIGHTS)
    tensors = {name.removeprefix("transformer."): array for name, array in found.items()}

    def affine(name: str, weight: str = "w", bias: str = "b") -> dict[str, np.ndarray]:
        return {weight: tensors[f"{name}.weight"], bias: tensors[f"{name}.bias"]}

    def block(layer: str) -> dict[str, Any]:
        attention, mlp = ("c_attn", "c_proj"), ("c_fc", "c_proj")
        return {
            "attn": {name: affine(f"{layer}.attn.{name}") for name in attention},
            "mlp": {name: affine(f"{layer}.mlp.{name}") for name in mlp},
            **{name: affine(f"{layer}.{name}", "g", "b") for name in ("ln_1", "ln_2")},
        }

    blocks = [block(f"h.{layer}") for layer in range(settings.shape[0])]
    return {"wte": tensors["wte.weight"], "wpe": tensors["wpe.weight"], "blocks": blocks, **affine("ln_f", "g", "b")}


def _timed(job: Callable[[], list[list[int]]]) -> tuple[float, list[list[int]]]:
    start = time.perf_counter()
    result = job()
    return time.perf_counter() - start, result


if __name__ == "__main__":
    received = argparse.Namespace(**json.loads(sys.argv[1]))
    every = json.loads((Path(received.folder) / ITEMS).read_text()) * received.repeat
    received.prompts = [item["prompt"] for item in every]
    received.limits = [item["reference"] if received.new_tokens is None else received.new_tokens for item in every]
    print(json.dumps({"book": run_book, "ours": run_ours}[received.job](received)))
