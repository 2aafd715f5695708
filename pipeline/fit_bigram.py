"""Counts the pairs of training tokens: the loss that pretraining has to beat, on the same validation tokens."""

from pathlib import Path

from scratchlm.artifacts import write_json
from scratchlm.baselines.bigram import BigramConfig, fit_bigram
from scratchlm.datasets.shards import TokenShards
from scratchlm.params import read_params
from scratchlm.stages import run_stage

TOKENS = Path("data/tokens")
METRICS = Path("metrics/fit_bigram.json")


def main() -> None:
    config = read_params("fit_bigram", BigramConfig)
    write_json(METRICS, fit_bigram(TokenShards(TOKENS), config))


if __name__ == "__main__":
    run_stage("fit_bigram", main)
