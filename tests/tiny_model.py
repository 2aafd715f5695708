"""A model directory as the pipeline writes it, tiny: a byte for each token, and a GPT that can be taught one reply."""

from collections.abc import Mapping
from itertools import pairwise
from pathlib import Path
from typing import Any

import torch
from torch.nn import functional as F

from scratchlm.models.classifier import GPTClassifier
from scratchlm.models.gpt import GPT, GPTConfig
from scratchlm.models.sampling import SamplingConfig
from scratchlm.models.storage import save_model
from tests.corpora import write_byte_tokenizer

VOCAB_SIZE = 257
LEARNING_RATE = 0.1  # for a model as narrow as that of tiny_gpt


def tiny_gpt(context_length: int = 2_048) -> GPT:
    """A new model for the byte tokenizer."""
    shape = {"n_layer": 1, "n_head": 2, "n_embd": 32, "context_length": context_length, "dropout": 0.0}
    model = GPT(GPTConfig(vocab_size=VOCAB_SIZE, **shape))
    model.init_weights(seed=0)
    return model.eval()


def greedy(max_new_tokens: int) -> SamplingConfig:
    """The most probable tokens, by no rule besides."""
    return SamplingConfig(
        max_new_tokens=max_new_tokens, temperature=0.0, top_k=None, top_p=1.0, repetition_penalty=1.0, seed=0
    )


def save_tiny_model(directory: Path, model: GPT | GPTClassifier | None = None, **saving: Any) -> Path:
    """Write a model directory, as `save_model(..., **saving)` does; its tokenizer is made beside it."""
    tokenizer = directory.with_name(f"{directory.name}-tokenizer")
    write_byte_tokenizer(tokenizer)
    save_model(model or tiny_gpt(), directory, tokenizer=tokenizer, card="A tiny model.\n", **saving)
    return directory


def teach(model: GPT, tokens: list[int], learning_rate: float = LEARNING_RATE) -> GPT:
    """Train until each of `tokens`, all different, is followed by the next one, whatever stands before it."""
    assert len(set(tokens)) == len(tokens)
    return teach_followers(model, {token: {follower: 1.0} for token, follower in pairwise(tokens)}, learning_rate)


def teach_followers(
    model: GPT, followers: Mapping[int, Mapping[int, float]], learning_rate: float = LEARNING_RATE
) -> GPT:
    """Train until each token is followed by others with about these probabilities, whatever stands before it.

    Attention and positions are silenced: only the last token counts.
    """
    for ignored in (model.wpe.weight, *(block.attn.c_proj.weight for block in model.h)):
        ignored.data.zero_()
        ignored.requires_grad_(False)
    # By hand: the first step of an optimizer of torch imports its compiler, for seconds.
    parameters = [p for p in model.parameters() if p.requires_grad]
    momenta = [torch.zeros_like(p) for p in parameters]
    tokens = torch.tensor([list(followers)])
    targets = torch.zeros(len(followers), model.config.vocab_size)
    for row, probabilities in zip(targets, followers.values(), strict=True):
        row[list(probabilities)] = torch.tensor(list(probabilities.values()))
    for _ in range(100):
        loss = F.kl_div(model(tokens)[0].log_softmax(dim=-1), targets, reduction="batchmean")
        if loss < 0.01:
            return model
        gradients = torch.autograd.grad(loss, parameters, allow_unused=True)  # those silenced lead nowhere
        with torch.no_grad():
            for parameter, momentum, gradient in zip(parameters, momenta, gradients, strict=True):
                if gradient is not None:
                    parameter.sub_(momentum.mul_(0.9).add_(gradient), alpha=learning_rate)
    raise AssertionError("the model did not learn its reply")
