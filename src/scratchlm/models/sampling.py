"""Text from a GPT, token by token: batches of prompts with a key-value cache, greedy or drawn."""

from collections.abc import Sequence

import torch
from pydantic import Field
from tqdm import tqdm

from scratchlm.errors import UserError
from scratchlm.models.gpt import GPT
from scratchlm.params import Schema


class SamplingConfig(Schema):
    """How long to go on, and how each token is chosen: temperature 0 takes the most probable one."""

    max_new_tokens: int = Field(gt=0)
    temperature: float = Field(ge=0)
    top_k: int | None = Field(gt=0)
    seed: int = Field(ge=0)


@torch.no_grad()
def generate(
    model: GPT,
    prompts: Sequence[Sequence[int]],
    sampling: SamplingConfig,
    stop_id: int | None = None,
    batch_size: int = 16,
    seeds: Sequence[int] | None = None,
) -> list[list[int]]:
    """The new tokens that follow each prompt; puts the model into evaluation mode.

    A row ends before `stop_id`, after `max_new_tokens`, or when prompt and new tokens fill the context.
    Row i is drawn with its own generator, seeded by `seeds[i]` (`sampling.seed + i` if none are given): it does not
    depend on the rows beside it. UserError names a prompt that is empty or leaves no room in the context.
    """
    _check_prompts(prompts, model.config.context_length)
    model.eval()
    if seeds is None:
        seeds = range(sampling.seed, sampling.seed + len(prompts))
    results: list[list[int]] = [[] for _ in prompts]
    batches = _batches(prompts, batch_size, sampling.max_new_tokens, model.config.context_length)
    for batch in tqdm(batches, desc="generate", unit="batch", disable=None):
        generators = [torch.Generator().manual_seed(seeds[row]) for row in batch]
        rows = _generate_batch(model, [prompts[row] for row in batch], sampling, stop_id, generators)
        for row, tokens in zip(batch, rows, strict=True):
            results[row] = tokens
    return results


@torch.no_grad()
def next_token_logits(model: GPT, prompts: Sequence[Sequence[int]]) -> torch.Tensor:
    """The logits (N, V) of the token that follows each prompt, on the CPU; puts the model into evaluation mode."""
    _check_prompts(prompts, model.config.context_length)
    model.eval()
    device = model.wte.weight.device
    return torch.stack([model(torch.tensor([prompt], device=device))[0, -1].cpu() for prompt in prompts])


def next_token_probabilities(logits: torch.Tensor, temperature: float, top_k: int | None = None) -> torch.Tensor:
    """The distribution (..., V) that tokens are drawn from: softmax(logits / temperature) over the `top_k` largest."""
    scaled = (logits.double() - logits.max(dim=-1, keepdim=True).values) / temperature
    if top_k is not None and top_k < logits.shape[-1]:
        smallest_kept = scaled.topk(top_k, dim=-1).values[..., -1:]
        scaled = scaled.masked_fill(scaled < smallest_kept, -torch.inf)
    return scaled.softmax(dim=-1)


def _generate_batch(
    model: GPT,
    prompts: Sequence[Sequence[int]],
    sampling: SamplingConfig,
    stop_id: int | None,
    generators: Sequence[torch.Generator],
) -> list[list[int]]:
    longest = max(map(len, prompts))
    count = min(sampling.max_new_tokens, model.config.context_length - longest)
    padding = torch.tensor([longest - len(prompt) for prompt in prompts])
    cache = model.new_cache(padding, longest + count)
    device = model.wte.weight.device
    # What stands in a padding column is never read: the cache masks it.
    padded = [[0] * (longest - len(prompt)) + list(prompt) for prompt in prompts]
    tokens = torch.tensor(padded, device=device)  # (B, T)
    rows: list[list[int]] = [[] for _ in prompts]
    unfinished = set(range(len(prompts)))
    for _ in range(count):
        logits = model.logits(model.hidden(tokens, cache)[:, -1])  # (B, V)
        chosen = _choose(logits.cpu(), sampling, generators)  # (B,)
        for row in sorted(unfinished):
            if chosen[row] == stop_id:
                unfinished.remove(row)
            else:
                rows[row].append(chosen[row])
        if not unfinished:
            break
        tokens = torch.tensor(chosen, device=device)[:, None]  # (B, 1)
    return rows


def _choose(logits: torch.Tensor, sampling: SamplingConfig, generators: Sequence[torch.Generator]) -> list[int]:
    if sampling.temperature == 0:
        return logits.argmax(dim=-1).tolist()
    probabilities = next_token_probabilities(logits, sampling.temperature, sampling.top_k)
    return [
        int(torch.multinomial(row, 1, generator=generator))
        for row, generator in zip(probabilities, generators, strict=True)
    ]


def _check_prompts(prompts: Sequence[Sequence[int]], context_length: int) -> None:
    for number, prompt in enumerate(prompts, start=1):
        if not prompt:
            raise UserError(f"prompt {number} of {len(prompts)} is empty; a model continues at least one token.")
        if len(prompt) >= context_length:
            raise UserError(
                f"prompt {number} of {len(prompts)} has {len(prompt):,} tokens, the model's context_length of "
                f"{context_length:,} must also hold a new one; shorten the prompt."
            )


def _batches(
    prompts: Sequence[Sequence[int]], batch_size: int, max_new_tokens: int, context_length: int
) -> list[list[int]]:
    """Indices of prompts in batches of similar length.

    Prompts that fill the context before `max_new_tokens` share a batch only with those of their own length: padding
    counts as columns of the context, and would end the shorter ones earlier.
    """
    batches: list[list[int]] = []
    for index in sorted(range(len(prompts)), key=lambda index: len(prompts[index])):
        length = len(prompts[index])
        fits = length + max_new_tokens <= context_length
        if batches and len(batches[-1]) < batch_size and (fits or length == len(prompts[batches[-1][0]])):
            batches[-1].append(index)
        else:
            batches.append([index])
    return batches
