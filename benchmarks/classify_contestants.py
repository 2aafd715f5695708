"""What `benchmarks.classify` runs, each in a process of its own: the book's training, the stage's, the plain one."""

import argparse
import importlib
import sys
import time
from collections.abc import Callable
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Any

import pandas as pd
import torch
from torch.utils.data import DataLoader, Subset

from benchmarks.side_by_side import ROOT, Figures
from scratchlm.artifacts import write_csv
from scratchlm.datasets.sms_spam import SplitConfig, read_classes, read_splits, split_sms_spam, write_sms_spam
from scratchlm.datasets.sms_spam_reading import ReadConfig, extract_sms_spam, read_sms_spam
from scratchlm.datasets.tokenizer_building import write_tokenizer
from scratchlm.datasets.tokenizers import load_tokenizer
from scratchlm.models.classifier import GPTClassifier
from scratchlm.models.gpt import GPT, GPTConfig
from scratchlm.params import read_yaml
from scratchlm.training import classification
from scratchlm.training.batches import Example
from scratchlm.training.classification import ClassificationConfig, MessageClassifier
from scratchlm.training.frozen_trunk import TopClassifier

BATCH_SIZE, EVAL_EVERY_STEPS, EVAL_BATCHES, LEARNING_RATE = 8, 50, 5, 5e-5  # the book's
MAX_TOKENS = 120  # the longest message of its training split, to which it pads and cuts all
VOCAB_SIZE, CONTEXT_LENGTH = 50_257, 1_024


def prepare(data: Path, folder: Path) -> None:
    """The book's split of UCI's messages, once for each side, and GPT-2's tokenizer."""
    params = read_yaml(ROOT / "recipes/sample.yaml")["prepare_sms_spam"]
    params |= read_yaml(ROOT / "recipes/book-split.yaml")["prepare_sms_spam"]
    reading = ReadConfig.model_validate({key: params[key] for key in ReadConfig.model_fields})
    extract_sms_spam(data, folder / "messages.tsv")
    splitting = SplitConfig.model_validate({key: params[key] for key in SplitConfig.model_fields})
    frames, _ = split_sms_spam(read_sms_spam(folder / "messages.tsv", reading), reading.labels, splitting)
    write_sms_spam(folder, frames, reading.labels)
    for name in ("train", "val"):
        rows = [
            {"Label": reading.labels.index(label), "Text": text} for label, text in frames[name].itertuples(index=False)
        ]
        write_csv(folder / f"book_{name}.csv", rows, ["Label", "Text"])
    (folder / "tokenizer").mkdir()
    write_tokenizer(folder / "tokenizer", "gpt2", [], VOCAB_SIZE)


def run_book(options: argparse.Namespace) -> Figures:
    """The book's own functions, put together as its script does; without `full` some steps, and what they add up to."""
    sys.path.insert(0, str(options.peer / "ch06/01_main-chapter-code"))
    book: Any = importlib.import_module("gpt_class_finetune")
    tokenizer = load_tokenizer(options.folder / "tokenizer")
    train_set = book.SpamDataset(options.folder / "book_train.csv", tokenizer)
    val_set = book.SpamDataset(options.folder / "book_val.csv", tokenizer, max_length=train_set.max_length)
    train_loader = DataLoader(train_set, BATCH_SIZE, shuffle=True, drop_last=True)
    val_loader = DataLoader(val_set, BATCH_SIZE)
    model = _book_model(book, options.shape)
    optimizer = torch.optim.AdamW(model.parameters(), lr=LEARNING_RATE, weight_decay=0.1)
    device = torch.device("cpu")
    steps = len(train_loader) * options.epochs

    def train(loader: DataLoader, epochs: int, eval_every: int, batches: int) -> float:
        return _seconds(
            lambda: book.train_classifier_simple(
                model, loader, val_loader, optimizer, device, epochs, eval_every, batches
            )
        )

    def evaluate(batches: int) -> float:
        return _seconds(lambda: book.evaluate_model(model, train_loader, val_loader, device, batches))

    def score(batches: int) -> float:
        loaders = (train_loader, val_loader)
        return _seconds(lambda: [book.calc_accuracy_loader(loader, model, device, batches) for loader in loaders])

    evaluations = -(-steps // EVAL_EVERY_STEPS) * evaluate(EVAL_BATCHES) + options.epochs * score(EVAL_BATCHES)
    if options.full:
        seconds = train(train_loader, options.epochs, EVAL_EVERY_STEPS, EVAL_BATCHES) - evaluations
    else:
        part = Subset(train_set, range(options.book_steps * BATCH_SIZE))
        some = train(DataLoader(part, BATCH_SIZE), 1, sys.maxsize, 1) - evaluate(1) - score(1)
        seconds = some / options.book_steps * steps
    return {"training_seconds": seconds, "with_evaluations": seconds + evaluations}


def _book_model(book: Any, shape: tuple[int, int, int]) -> torch.nn.Module:
    n_layer, n_head, n_embd = shape
    sizes = {"vocab_size": VOCAB_SIZE, "context_length": CONTEXT_LENGTH, "drop_rate": 0.0, "qkv_bias": True}
    model = book.GPTModel({**sizes, "n_layers": n_layer, "n_heads": n_head, "emb_dim": n_embd})
    model.requires_grad_(False)
    model.out_head = torch.nn.Linear(n_embd, 2)
    model.trf_blocks[-1].requires_grad_(True)
    model.final_norm.requires_grad_(True)
    return model


class PlainClassifier(MessageClassifier):
    """The same training with every block in every step."""

    def split_off_frozen(self, *examples: list[Example]) -> tuple[GPTClassifier, tuple[list[Example], ...]]:
        return self.model, examples


def run_ours(options: argparse.Namespace) -> Figures:
    """The stage's training, from texts to the trained classifier; on so many `messages`, if given."""
    splits = read_splits(options.folder)
    made = _classifier(MessageClassifier, options, _repeat(splits["train"], options.messages), keep="best")
    evaluate, spent = classification.evaluate_classes, []

    def timed(*arguments: Any) -> Any:
        start = time.perf_counter()
        metrics = evaluate(*arguments)
        spent.append(time.perf_counter() - start)
        return metrics

    classification.evaluate_classes = timed
    with TemporaryDirectory() as folder:
        seconds = _seconds(lambda: made.fit(splits["val"], Path(folder)))
    examples = [*made.examples(made.train_split), *made.examples(splits["val"])]
    tokens = sum(len(example.tokens) for example in examples)
    figures = {"with_evaluations": seconds, "training_seconds": seconds - sum(spent)}
    return figures | {"gflop": _gflop(made.model, tokens, len(made.train_split), options.epochs)}


def run_exactness(options: argparse.Namespace) -> dict[str, list[float]]:
    """The losses of the steps of a training: it is recorded at every step, with one message to evaluate on."""
    splits = read_splits(options.folder)
    kind = PlainClassifier if options.contestant == "plain" else MessageClassifier
    messages = len(splits["train"]) if options.full else options.exact_steps * BATCH_SIZE
    made = _classifier(kind, options, splits["train"][:messages], keep="last", eval_every_steps=1)
    with TemporaryDirectory() as folder:
        progress, _ = made.fit(splits["val"][:1], Path(folder))
    return {"losses": [row["train_loss"] for row in progress.rows]}


def _classifier(
    kind: type[MessageClassifier], options: argparse.Namespace, train_split: pd.DataFrame, **changes: object
) -> MessageClassifier:
    """The stage's, with the sample's parameters but for these."""
    values = read_yaml(ROOT / "recipes/sample.yaml")["finetune_classifier"] | {
        "train": "last_block",
        "batch_size": BATCH_SIZE,
        "micro_batch_size": BATCH_SIZE,
        "max_tokens": MAX_TOKENS,
        "epochs": options.epochs,
        "learning_rate": LEARNING_RATE,
        "eval_every_steps": EVAL_EVERY_STEPS,
        "precision": options.precision,
    }
    config = ClassificationConfig.model_validate(values | changes)
    n_layer, n_head, n_embd = options.shape
    shape = {"n_layer": n_layer, "n_head": n_head, "n_embd": n_embd, "context_length": CONTEXT_LENGTH, "dropout": 0.0}
    trunk = GPT(GPTConfig(vocab_size=VOCAB_SIZE, **shape))
    trunk.init_weights(seed=0)
    tokenizer = load_tokenizer(options.folder / "tokenizer")
    return kind(trunk, tokenizer, read_classes(options.folder), config, 0, train_split)


def _repeat(frame: pd.DataFrame, messages: int | None) -> pd.DataFrame:
    return frame if messages is None else frame.iloc[[row % len(frame) for row in range(messages)]]


def _gflop(model: GPTClassifier, tokens: int, messages: int, epochs: int) -> float:
    """Of the matrix products that are left: frozen blocks once a token, the last one at one token, forward and back."""
    a_token = 24 * model.trunk.config.n_embd**2
    return 1e-9 * a_token * (tokens * TopClassifier(model).first_block + 3 * messages * epochs)


def _seconds(job: Callable[[], object]) -> float:
    start = time.perf_counter()
    job()
    return time.perf_counter() - start
