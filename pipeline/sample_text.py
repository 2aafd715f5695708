"""Continue a few prompts at several temperatures, and show what temperature does to the next token."""

from collections.abc import Sequence
from itertools import pairwise
from pathlib import Path
from typing import Annotated, Any

import torch
from pydantic import Field

from scratchlm.artifacts import write_csv, write_json, write_jsonl
from scratchlm.datasets.tokenizers import Tokenizer, load_tokenizer
from scratchlm.models.sampling import SamplingConfig, generate, next_token_logits, next_token_probabilities
from scratchlm.models.storage import load_gpt
from scratchlm.params import Schema, read_params
from scratchlm.reporting.figures import save_figure, temperature_figure
from scratchlm.stages import run_stage
from scratchlm.training.device import pick_device

MODEL = Path("data/models/pretrained")
CONTINUATIONS = Path("data/samples/continuations.jsonl")
TABLE = Path("metrics/plots/sample_text_temperature.csv")
FIGURE = Path("metrics/plots/sample_text_temperature.png")
METRICS = Path("metrics/sample_text.json")
TOP_TOKENS = 10


class Params(Schema):
    """Section `sample_text` of params.yaml."""

    prompts: list[str] = Field(min_length=1)
    max_new_tokens: int = Field(gt=0)
    temperatures: list[Annotated[float, Field(gt=0)]] = Field(min_length=1)
    top_k: int | None = Field(gt=0)
    seed: int = Field(ge=0)


def main() -> None:
    params = read_params("sample_text", Params)
    model, tokenizer = load_gpt(MODEL).to(pick_device()), load_tokenizer(MODEL)
    prompts = [tokenizer.encode(prompt) for prompt in params.prompts]
    logits = next_token_logits(model, prompts)  # (P, V)
    continuations, table, metrics = [], [], {}
    for temperature in params.temperatures:
        sampling = SamplingConfig(temperature=temperature, **params.model_dump(exclude={"prompts", "temperatures"}))
        texts = generate(model, prompts, sampling, tokenizer.eot_id)
        probabilities = next_token_probabilities(logits, temperature)  # (P, V)
        continuations += continuation_rows(params.prompts, texts, sampling, tokenizer)
        table += probability_rows(logits[0], probabilities[0], temperature, tokenizer)
        metrics[f"distinct_2_at_{temperature:g}"] = distinct_pairs(texts)
        metrics[f"entropy_at_{temperature:g}"] = torch.special.entr(probabilities).sum(dim=-1).mean().item()
    write_jsonl(CONTINUATIONS, continuations)
    write_csv(TABLE, table, list(table[0]))
    save_figure(temperature_figure(table), FIGURE)
    write_json(METRICS, metrics)


def continuation_rows(
    prompts: Sequence[str], texts: Sequence[Sequence[int]], sampling: SamplingConfig, tokenizer: Tokenizer
) -> list[dict[str, Any]]:
    """One row a prompt: the text, and the temperature and the seed that drew it."""
    return [
        {
            "prompt": prompt,
            "temperature": sampling.temperature,
            "seed": sampling.seed + number,
            "text": tokenizer.decode(text),
        }
        for number, (prompt, text) in enumerate(zip(prompts, texts, strict=True))
    ]


def probability_rows(
    logits: torch.Tensor, probabilities: torch.Tensor, temperature: float, tokenizer: Tokenizer
) -> list[dict[str, Any]]:
    """The most probable next tokens, the first of them with rank 1, and their probability at this temperature."""
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


if __name__ == "__main__":
    run_stage("sample_text", main)
