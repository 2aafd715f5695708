"""Text from a GPT, token by token: batches of prompts with a key-value cache, greedy or drawn."""

from collections.abc import Callable, Iterator, Sequence

import torch
from pydantic import Field
from tqdm import tqdm

from scratchlm.errors import UserError
from scratchlm.models.gpt import GPT, KVCache
from scratchlm.params import Schema, Seed

PROMPT_ROWS = 16  # prompts read at a time


class SamplingRules(Schema):
    """All of SamplingConfig but the temperature; a top_p of 1 and a repetition_penalty of 1 change nothing."""

    max_new_tokens: int = Field(gt=0)
    top_k: int | None = Field(gt=0)
    top_p: float = Field(gt=0, le=1)
    repetition_penalty: float = Field(gt=0, allow_inf_nan=False)
    seed: Seed


class SamplingConfig(SamplingRules):
    """How long to go on, and how each token is chosen: temperature 0 takes the most probable one."""

    temperature: float = Field(ge=0, allow_inf_nan=False)


def generate(
    model: GPT,
    prompts: Sequence[Sequence[int]],
    sampling: SamplingConfig,
    stop_id: int | None = None,
    batch_size: int = 16,
    seeds: Sequence[int] | None = None,
    has_ended: Callable[[Sequence[int]], bool] | None = None,
    limits: Sequence[int] | None = None,
) -> list[list[int]]:
    """The new tokens that follow each prompt; puts the model into evaluation mode.

    A row ends before `stop_id`, with the token that makes `has_ended(new tokens)` true, or after `limits[i]` tokens
    (`token_limits` if none are given); no step computes a row that has ended. Row i is drawn with its own generator,
    seeded by `seeds[i]` (`sampling.seed + i` if none are given): it does not depend on the rows beside it. UserError
    names a prompt that is empty or leaves no room in the context.
    """
    _check_prompts(prompts, model.config.context_length)
    seeds = seeds or range(sampling.seed, sampling.seed + len(prompts))
    limits = limits or token_limits(model, prompts, sampling)
    texts: list[list[int]] = [[] for _ in prompts]
    batches = batches_by_length(prompts, batch_size)
    for batch in tqdm(batches, desc="generate", unit="batch", disable=None if len(batches) > 1 else True):
        chosen, own_seeds = [prompts[number] for number in batch], [seeds[number] for number in batch]
        own_limits = [limits[number] for number in batch]
        *_, rows = _steps(model, chosen, sampling, stop_id, own_seeds, own_limits, has_ended)
        for number, text in zip(batch, rows, strict=True):
            texts[number] = text
    return texts


def batches_by_length(prompts: Sequence[Sequence[int]], batch_size: int) -> list[list[int]]:
    """The numbers of the prompts that `generate` computes together: from the shortest prompt to the longest."""
    order = sorted(range(len(prompts)), key=lambda number: len(prompts[number]))
    return [order[first : first + batch_size] for first in range(0, len(order), batch_size)]


def token_limits(model: GPT, prompts: Sequence[Sequence[int]], sampling: SamplingConfig) -> list[int]:
    """How many tokens may follow each prompt: `max_new_tokens`, or what of the context is left."""
    return [min(sampling.max_new_tokens, model.config.context_length - len(prompt)) for prompt in prompts]


def stream(
    model: GPT, prompt: Sequence[int], sampling: SamplingConfig, stop_id: int | None = None
) -> Iterator[Sequence[int]]:
    """After each step the new tokens so far, at last those that `generate` returns for this prompt alone."""
    _check_prompts([prompt], model.config.context_length)
    limits = token_limits(model, [prompt], sampling)
    return (rows[0] for rows in _steps(model, [prompt], sampling, stop_id, [sampling.seed], limits))


@torch.no_grad()
def next_token_logits(model: GPT, prompts: Sequence[Sequence[int]]) -> torch.Tensor:
    """The logits (N, V) of the token that follows each prompt, on the CPU; puts the model into evaluation mode."""
    _check_prompts(prompts, model.config.context_length)
    model.eval()
    device = model.wte.weight.device
    return torch.stack([model(torch.tensor([prompt], device=device))[0, -1].cpu() for prompt in prompts])


def next_token_probabilities(
    logits: torch.Tensor, temperature: float, top_k: int | None = None, top_p: float = 1.0
) -> torch.Tensor:
    """The distribution (..., V) that tokens are drawn from: softmax(logits / temperature), cut and scaled to sum to 1.

    Of it stay the `top_k` most probable tokens, and of these the fewest whose probabilities reach `top_p` (nucleus:
    Holtzman et al. 2020). What is as probable as the last token that stays, stays too.
    """
    scaled = (logits.double() - logits.max(dim=-1, keepdim=True).values) / temperature
    if top_k is not None and top_k < logits.shape[-1]:
        smallest_kept = scaled.topk(top_k, dim=-1).values[..., -1:]
        scaled = scaled.masked_fill(scaled < smallest_kept, -torch.inf)
    probabilities = scaled.softmax(dim=-1)
    if top_p < 1:
        probabilities = _nucleus(probabilities, top_p)
    return probabilities


def penalise_repetition(logits: torch.Tensor, seen: torch.Tensor, penalty: float) -> torch.Tensor:
    """Logits (B, V) in which those of the `seen` (B, V) tokens are divided by the penalty, or times it if negative.

    This is CTRL's penalty (Keskar et al. 2019) as `transformers` has it; a penalty below 1 rewards repetition.
    """
    return torch.where(seen, torch.where(logits < 0, logits * penalty, logits / penalty), logits)


def _nucleus(probabilities: torch.Tensor, top_p: float) -> torch.Tensor:
    ordered = probabilities.sort(dim=-1, descending=True).values
    before = ordered.cumsum(dim=-1) - ordered  # the probability of all that are more probable
    smallest_kept = ordered.masked_fill(before >= top_p, torch.inf).amin(dim=-1, keepdim=True)
    kept = probabilities.masked_fill(probabilities < smallest_kept, 0)
    return kept / kept.sum(dim=-1, keepdim=True)


@torch.no_grad()
def _steps(
    model: GPT,
    prompts: Sequence[Sequence[int]],
    sampling: SamplingConfig,
    stop_id: int | None,
    seeds: Sequence[int],
    limits: Sequence[int],
    has_ended: Callable[[Sequence[int]], bool] | None = None,
) -> Iterator[list[list[int]]]:
    """The new tokens of every prompt, the same growing lists after each step, until all have ended.

    A prompt that has ended leaves the batch: no later step computes it.
    """
    model.eval()
    hidden, cache = _read_prompts(model, prompts, max(limits))
    choose = _Chooser(sampling, prompts, seeds, model.config.vocab_size)
    texts: list[list[int]] = [[] for _ in prompts]
    running = list(range(len(prompts)))  # the prompt of each row
    while True:
        chosen = choose(model.logits(hidden).cpu())  # (B,)
        going_on = []  # rows
        for row, (number, token) in enumerate(zip(running, chosen, strict=True)):
            if token == stop_id:
                continue
            texts[number].append(token)
            if len(texts[number]) < limits[number] and not (has_ended and has_ended(texts[number])):
                going_on.append(row)
        yield texts
        if not going_on:
            return
        if len(going_on) < len(running):
            rows = _close_gaps(going_on)
            running, chosen = [running[row] for row in rows], [chosen[row] for row in rows]
            cache.keep(rows)
            choose.keep(rows)
        tokens = torch.tensor(chosen, device=hidden.device)[:, None]  # (B, 1)
        hidden = model.hidden(tokens, cache)[:, -1]  # (B, C)


def _read_prompts(model: GPT, prompts: Sequence[Sequence[int]], count: int) -> tuple[torch.Tensor, KVCache]:
    """What `model.logits` reads at the end of each prompt, (B, C), and a cache with room for `count` new tokens.

    A few prompts are read at a time: in a batch that is sorted by length these need hardly any padding.
    """
    longest = max(map(len, prompts))
    cache = model.new_cache(torch.tensor([longest - len(prompt) for prompt in prompts]), longest + count)
    ends = []
    for first in range(0, len(prompts), PROMPT_ROWS):
        part = prompts[first : first + PROMPT_ROWS]
        columns = max(map(len, part))
        # What stands in a padding column is never read: the cache masks it.
        padded = [[0] * (columns - len(prompt)) + list(prompt) for prompt in part]
        tokens = torch.tensor(padded, device=model.wte.weight.device)  # (B, T)
        ends.append(model.hidden(tokens, cache.part(first, len(part), longest - columns))[:, -1])
    cache.length = longest
    return torch.cat(ends), cache


def _close_gaps(rows: Sequence[int]) -> list[int]:
    """The same rows in another order: the last ones stand in the gaps, each other one at the place of its number."""
    staying, moved = set(rows), [row for row in rows if row >= len(rows)]
    return [row if row in staying else moved.pop() for row in range(len(rows))]


class _Chooser:
    """One token a row from its logits; remembers what stands in each row, for the repetition penalty."""

    def __init__(
        self, sampling: SamplingConfig, prompts: Sequence[Sequence[int]], seeds: Sequence[int], vocab_size: int
    ) -> None:
        self.sampling = sampling
        self.generators = [torch.Generator().manual_seed(seed) for seed in seeds]
        self.seen = torch.zeros(len(prompts), vocab_size, dtype=torch.bool)  # (B, V)
        for row, prompt in enumerate(prompts):
            self.seen[row, list(prompt)] = True

    def keep(self, rows: Sequence[int]) -> None:
        """Go on with these rows alone, in this order."""
        self.generators = [self.generators[row] for row in rows]
        self.seen = self.seen[list(rows)]

    def __call__(self, logits: torch.Tensor) -> list[int]:
        sampling = self.sampling
        if sampling.repetition_penalty != 1:
            logits = penalise_repetition(logits, self.seen, sampling.repetition_penalty)  # (B, V)
        if sampling.temperature == 0:
            chosen = logits.argmax(dim=-1).tolist()
        else:
            probabilities = next_token_probabilities(logits, sampling.temperature, sampling.top_k, sampling.top_p)
            pairs = zip(probabilities, self.generators, strict=True)
            chosen = [int(torch.multinomial(row, 1, generator=generator)) for row, generator in pairs]
        self.seen[range(len(chosen)), chosen] = True
        return chosen


def _check_prompts(prompts: Sequence[Sequence[int]], context_length: int) -> None:
    for number, prompt in enumerate(prompts, start=1):
        if not prompt:
            raise UserError(f"prompt {number} of {len(prompts)} is empty; a model continues at least one token.")
        if len(prompt) >= context_length:
            raise UserError(
                f"prompt {number} of {len(prompts)} has {len(prompt):,} tokens, the model's context_length of "
                f"{context_length:,} must also hold a new one; shorten the prompt."
            )
