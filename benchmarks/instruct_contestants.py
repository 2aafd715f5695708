"""What `benchmarks.instruct` runs, each in a process of its own: the training of the book and that of the stage."""

import argparse
import importlib
import itertools
import json
import sys
import time
from functools import partial
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Any

import torch
from torch.utils.data import DataLoader

from benchmarks.side_by_side import ROOT, Figures
from scratchlm.datasets.instructions import read_instructions
from scratchlm.datasets.prompts import alpaca
from scratchlm.datasets.tokenizers import load_tokenizer
from scratchlm.models.gpt import GPT, GPTConfig
from scratchlm.params import read_yaml
from scratchlm.training.batches import Batch, Batches
from scratchlm.training.instruction_tuning import InstructionConfig, InstructionTuning
from scratchlm.training.loop import train
from scratchlm.training.losses import language_model_loss

BOOK = "ch07/01_main-chapter-code"
BATCH_SIZE, EPOCHS, LEARNING_RATE = 8, 2, 5e-5  # the book's
TRAIN_ENTRIES, TEST_ENTRIES = 935, 110  # of its 1,100, in the order of the file; the rest validates
VOCAB_SIZE, CONTEXT_LENGTH = 50_257, 1_024


def run_book(settings: argparse.Namespace) -> Figures:
    """The book's data set, collate, loader and loss, stepped as its `train_model_simple` does."""
    sys.path.insert(0, str(Path(settings.peer) / BOOK))
    book: Any = importlib.import_module("gpt_instruction_finetuning")
    chapters: Any = importlib.import_module("previous_chapters")
    device, text_tokens = torch.device("cpu"), []

    def collate(batch: list[list[int]]) -> tuple[torch.Tensor, torch.Tensor]:
        text_tokens.append(sum(map(len, batch)))
        return book.custom_collate_fn(batch, device=device, allowed_max_length=CONTEXT_LENGTH)

    entries = read_instructions(Path(settings.data))[:TRAIN_ENTRIES]
    data_set = book.InstructionDataset(entries, load_tokenizer(Path(settings.tokenizer)))
    loader = partial(DataLoader, data_set, BATCH_SIZE, shuffle=True, collate_fn=collate, drop_last=True)
    torch.manual_seed(123)
    all_tokens = [inputs.numel() for _ in range(EPOCHS) for inputs, _ in loader()]
    padding_rate = 1 - sum(text_tokens) / sum(all_tokens)

    model = chapters.GPTModel(book_config(settings.shape))
    optimizer = torch.optim.AdamW(model.parameters(), lr=LEARNING_RATE, weight_decay=0.1)
    model.train()
    torch.manual_seed(123)
    batches = itertools.chain.from_iterable(loader() for _ in range(EPOCHS))
    tokens, times = [], [time.perf_counter()]
    for inputs, targets in itertools.islice(batches, settings.steps and settings.steps + 1):
        optimizer.zero_grad()
        chapters.calc_loss_batch(inputs, targets, model, device).backward()
        optimizer.step()
        tokens.append(inputs.numel())
        times.append(time.perf_counter())
    return _figures(times, tokens, all_tokens, padding_rate)


def run_ours(settings: argparse.Namespace) -> Figures:
    """The stage's training, by the loop, on the same entries, or on so many times as many."""
    entries = read_instructions(Path(settings.data))
    splits = {"train": entries[:TRAIN_ENTRIES] * settings.repeat, "val": entries[TRAIN_ENTRIES + TEST_ENTRIES :]}
    config = _config(settings.precision)
    tokenizer = load_tokenizer(Path(settings.tokenizer))
    tuning = InstructionTuning(config, random_gpt(settings.shape), alpaca(), tokenizer, splits)
    all_steps = EPOCHS * tuning.batches.steps_per_epoch
    all_batches = [tuning.batches.micro_batch(step, 0) for step in range(all_steps)]
    batches, ends = TimedBatches(tuning.batches), []

    def evaluate(model: GPT) -> dict[str, float]:
        ends.append(time.perf_counter())
        return {"val_loss": 0.0}

    with TemporaryDirectory() as folder:
        steps = settings.steps + 1 if settings.steps else all_steps
        train(tuning.model, batches, language_model_loss, evaluate, config, steps, Path(folder))
    figures = _figures(
        batches.starts + ends, batches.tokens, [b.tokens.numel() for b in all_batches], tuning.counts["padding_rate"]
    )
    targets = sum(tuning.batches.target_count(step) for step in range(all_steps))
    text = sum(int(batch.lengths.sum()) for batch in all_batches)
    return {**figures, "gflop": _gflop(settings.shape, text, targets)}


class TimedBatches:
    """The batches of a training of one micro-batch a step; notes when each is asked for, and its tokens."""

    def __init__(self, batches: Batches) -> None:
        self.batches, self.starts, self.tokens = batches, [], []
        self.micro_steps, self.target_count = batches.micro_steps, batches.target_count

    def micro_batch(self, step: int, micro_step: int) -> Batch:
        """The micro-batch of the training."""
        self.starts.append(time.perf_counter())
        batch = self.batches.micro_batch(step, micro_step)
        self.tokens.append(batch.tokens.numel())
        return batch


def _figures(times: list[float], tokens: list[int], all_tokens: list[int], padding_rate: float) -> Figures:
    """Of some steps, of which the first does not count, or of all: what all steps take at the same time a token."""
    first = 0 if len(tokens) == len(all_tokens) else 1
    seconds = (times[-1] - times[first]) / sum(tokens[first:]) * sum(all_tokens)
    return {"epochs_seconds": seconds, "step_seconds": seconds / len(all_tokens), "padding": 100 * padding_rate}


def _config(precision: str) -> InstructionConfig:
    """The sample's parameters but for the book's, and for what goes on beside the steps."""
    never = sys.maxsize
    values = read_yaml(ROOT / "recipes/sample.yaml")["finetune_instruct"] | {
        "batch_size": BATCH_SIZE,
        "micro_batch_size": BATCH_SIZE,
        "epochs": EPOCHS,
        "learning_rate": LEARNING_RATE,
        "precision": precision,
        "eval_every_steps": never,
        "save_every_steps": never,
        "keep": "last",
    }
    return InstructionConfig.model_validate(values)


def random_gpt(shape: list[int]) -> GPT:
    """A GPT of so many layers, heads and columns, with GPT-2's vocabulary and context."""
    n_layer, n_head, n_embd = shape
    sizes = {"n_layer": n_layer, "n_head": n_head, "n_embd": n_embd, "context_length": CONTEXT_LENGTH}
    model = GPT(GPTConfig(**sizes, vocab_size=VOCAB_SIZE, dropout=0.0))
    model.init_weights(seed=0)
    return model


def book_config(shape: list[int]) -> dict[str, Any]:
    """The same shape as the book writes it."""
    n_layer, n_head, n_embd = shape
    sizes = {"vocab_size": VOCAB_SIZE, "context_length": CONTEXT_LENGTH, "drop_rate": 0.0, "qkv_bias": True}
    return {**sizes, "n_layers": n_layer, "n_heads": n_head, "emb_dim": n_embd}


def _gflop(shape: list[int], tokens: int, targets: int) -> float:
    """Of the matrix products with weights, forward and backward, without padding; logits where there is a target."""
    n_layer, _, n_embd = shape
    return 6e-9 * (12 * n_layer * n_embd**2 * tokens + VOCAB_SIZE * n_embd * targets)


if __name__ == "__main__":
    received = argparse.Namespace(**json.loads(sys.argv[1]))
    print(json.dumps({"book": run_book, "ours": run_ours}[received.job](received)))
