"""Exact validation: token-weighted language-model loss, and class probabilities of whole splits."""

import math
from collections.abc import Sequence

import numpy as np
import torch
from tqdm import tqdm

from scratchlm.datasets.shards import TokenShards
from scratchlm.errors import UserError
from scratchlm.models.classifier import GPTClassifier
from scratchlm.models.gpt import GPT
from scratchlm.training.batches import Example, collate
from scratchlm.training.cross_entropy import cross_entropy_sum
from scratchlm.training.losses import language_model_loss
from scratchlm.training.ranks import rank, sum_over_ranks, world_size
from scratchlm.training.signals import StopRequest

BATCH_TOKENS = 8_192


@torch.no_grad()
def evaluate_tokens(
    model: GPT,
    shards: TokenShards,
    split: str,
    seq_len: int,
    max_tokens: int | None = None,
    stop: StopRequest | None = None,
) -> dict[str, float]:
    """Loss in nats a token, perplexity and bits per byte over windows of `seq_len` tokens that tile the split.

    Every token but the first is predicted once; with `max_tokens`, evenly spaced whole windows are taken instead.
    The processes of a training share the work; if `stop` asks one of them, all raise KeyboardInterrupt together.
    Bits per byte = loss x tokens / (bytes x ln 2), with the bytes of text a token of the whole split.
    """
    device = next(model.parameters()).device
    total = shards.token_count(split)
    starts = np.arange(0, total - 1, seq_len)
    if max_tokens is not None and max_tokens < total:
        whole = starts[starts + seq_len < total]
        if len(whole):
            starts = whole[np.linspace(0, len(whole) - 1, max(1, max_tokens // seq_len)).astype(int)]
    stop, loss_sum, targets = stop or StopRequest(), 0.0, 0
    rows = max(1, BATCH_TOKENS // seq_len)
    for first in range(0, len(starts), rows)[rank() :: world_size()]:
        if stop.received:
            break
        windows = [
            shards.read(split, int(start), min(seq_len + 1, total - int(start))) for start in starts[first:][:rows]
        ]
        for group in _of_one_length(windows):
            tokens = torch.from_numpy(np.stack(group)).to(device)  # (B, T + 1)
            logits = model(tokens[:, :-1])  # (B, T, V)
            loss_sum += cross_entropy_sum(logits.flatten(0, 1), tokens[:, 1:].flatten()).item()
            targets += tokens[:, 1:].numel()
    loss_sum, targets, stopped = sum_over_ranks([loss_sum, targets, stop.received])
    if stopped:
        raise KeyboardInterrupt
    loss = loss_sum / targets
    bytes_per_token = shards.byte_count(split) / total
    return {
        "val_loss": loss,
        "val_perplexity": perplexity(loss),
        "val_bits_per_byte": loss / (bytes_per_token * math.log(2)),
    }


def perplexity(loss: float) -> float:
    """exp(loss); UserError if the model has diverged so far that it is no number."""
    try:
        if math.isfinite(value := math.exp(loss)):
            return value
    except OverflowError:
        pass
    raise UserError(f"the validation loss is {loss}: the training has diverged; lower its learning rate.")


def _of_one_length(windows: list[np.ndarray]) -> list[list[np.ndarray]]:
    whole = [window for window in windows if len(window) == len(windows[0])]
    rest = [window for window in windows if len(window) != len(windows[0])]
    return [group for group in (whole, rest) if group]


@torch.no_grad()
def evaluate_examples(model: GPT, examples: Sequence[Example], batch_size: int, pad_id: int) -> dict[str, float]:
    """Token-weighted loss of a language model over fine-tuning examples, and its perplexity."""
    device = next(model.parameters()).device
    loss_sum = 0.0
    for batch in sorted_batches(examples, batch_size):
        loss_sum += language_model_loss(model, collate([examples[index] for index in batch], pad_id).to(device)).item()
    loss = loss_sum / sum(example.target_count for example in examples)
    return {"val_loss": loss, "val_perplexity": perplexity(loss)}


@torch.no_grad()
def predict_classes(model: GPTClassifier, examples: Sequence[Example], batch_size: int, pad_id: int) -> np.ndarray:
    """Class probabilities (N, K) in the order of the examples."""
    device = next(model.parameters()).device
    model.eval()
    probabilities = np.zeros((len(examples), model.n_classes))
    for batch in tqdm(sorted_batches(examples, batch_size), desc="classify", disable=None):
        padded = collate([examples[index] for index in batch], pad_id, model.readout.padded_length).to(device)
        logits = model(padded.inputs, padded.lengths)  # (B, K)
        probabilities[batch] = logits.double().softmax(dim=-1).cpu().numpy()
    return probabilities


def sorted_batches(examples: Sequence[Example], batch_size: int) -> list[list[int]]:
    """The indices of the examples by length, so many a batch."""
    order = sorted(range(len(examples)), key=lambda index: len(examples[index].tokens))
    return [order[first : first + batch_size] for first in range(0, len(order), batch_size)]


@torch.no_grad()
def evaluate_classes(
    model: GPTClassifier, examples: Sequence[Example], batch_size: int, pad_id: int
) -> dict[str, float]:
    """Mean class loss in nats and accuracy over examples."""
    probabilities = predict_classes(model, examples, batch_size, pad_id)
    classes = np.array([example.target for example in examples])
    chosen = probabilities[np.arange(len(classes)), classes]
    return {
        "val_loss": float(-np.log(np.maximum(chosen, np.finfo(float).tiny)).mean()),
        "val_accuracy": float((probabilities.argmax(axis=1) == classes).mean()),
    }
