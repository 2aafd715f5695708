"""Continue a few prompts at several temperatures, and show what temperature does to the next token."""

from pathlib import Path
from typing import Annotated

import torch
from pydantic import Field

from scratchlm.artifacts import write_bytes, write_csv, write_json, write_jsonl
from scratchlm.datasets.tokenizers import load_tokenizer
from scratchlm.models.sampling import SamplingConfig, SamplingRules, next_token_logits, next_token_probabilities
from scratchlm.models.storage import load_gpt
from scratchlm.params import read_params
from scratchlm.reporting.figures import figure_png, temperature_figure
from scratchlm.stages import run_stage
from scratchlm.training.device import pick_device
from scratchlm.training.samples import continue_prompts, distinct_pairs, probability_rows

MODEL = Path("data/models/pretrained")
CONTINUATIONS = Path("data/samples/continuations.jsonl")
TABLE = Path("metrics/plots/sample_text_temperature.csv")
FIGURE = Path("metrics/plots/sample_text_temperature.png")
METRICS = Path("metrics/sample_text.json")


class Params(SamplingRules):
    """Section `sample_text` of params.yaml."""

    prompts: list[str] = Field(min_length=1)
    temperatures: list[Annotated[float, Field(gt=0)]] = Field(min_length=1)


def main() -> None:
    params = read_params("sample_text", Params)
    model, tokenizer = load_gpt(MODEL).to(pick_device()), load_tokenizer(MODEL)
    logits = next_token_logits(model, [tokenizer.encode(prompt) for prompt in params.prompts])  # (P, V)
    continuations, table, metrics = [], [], {}
    for temperature in params.temperatures:
        sampling = SamplingConfig(temperature=temperature, **params.model_dump(exclude={"prompts", "temperatures"}))
        rows = continue_prompts(model, tokenizer, params.prompts, sampling)
        probabilities = next_token_probabilities(logits, temperature)  # (P, V)
        continuations += [{"temperature": temperature, **row} for row in rows]
        table += probability_rows(logits[0], probabilities[0], temperature, tokenizer)
        metrics[f"distinct_2_at_{temperature:g}"] = distinct_pairs([tokenizer.encode(row["text"]) for row in rows])
        metrics[f"entropy_at_{temperature:g}"] = torch.special.entr(probabilities).sum(dim=-1).mean().item()
    write_jsonl(CONTINUATIONS, continuations)
    write_csv(TABLE, table, list(table[0]))
    write_bytes(FIGURE, figure_png(temperature_figure(params.prompts[0], table)))
    write_json(METRICS, metrics)


if __name__ == "__main__":
    run_stage("sample_text", main)
