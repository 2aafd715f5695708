"""Text that a model writes, as rows for files and reports."""

from collections.abc import Sequence
from itertools import pairwise
from typing import Any

import torch

from scratchlm.datasets.tokenizers import Tokenizer
from scratchlm.models.gpt import GPT
from scratchlm.models.sampling import SamplingConfig, generate

TOP_TOKENS = 10


def continue_prompts(
    model: GPT,
    tokenizer: Tokenizer,
    prompts: Sequence[str],
    sampling: SamplingConfig,
    encoded: Sequence[list[int]] | None = None,
) -> list[dict[str, Any]]:
    """A row a prompt: `prompt`, and as `text` what follows it; `encoded` are the prompts' tokens, if made already."""
    encoded = encoded or [tokenizer.encode(prompt) for prompt in prompts]
    continuations = generate(model, encoded, sampling, tokenizer.eot_id)
    return [
        {"prompt": prompt, "text": tokenizer.decode(tokens)}
        for prompt, tokens in zip(prompts, continuations, strict=True)
    ]


def probability_rows(
    logits: torch.Tensor, probabilities: torch.Tensor, temperature: float, tokenizer: Tokenizer
) -> list[dict[str, Any]]:
    """The most probable next tokens by `logits` (V,), the first with rank 1, and their `probabilities` (V,)."""
    return [
        {
            "rank": rank,
            "token": tokenizer.decode([token]),
            "temperature": temperature,
            "probability": probabilities[token].item(),
        }
        for rank, token in enumerate(logits.topk(TOP_TOKENS).indices.tolist(), start=1)
    ]


def distinct_pairs(texts: Sequence[Sequence[int]]) -> float:
    """Distinct-2 (Li et al. 2016): different pairs of neighbouring tokens over all pairs; 0 without any."""
    pairs = [pair for text in texts for pair in pairwise(text)]
    return len(set(pairs)) / max(1, len(pairs))
