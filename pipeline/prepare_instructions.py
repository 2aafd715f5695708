"""Deduplicates, shuffles and splits the instructions, and counts what it did."""

from pathlib import Path

from scratchlm.artifacts import write_json
from scratchlm.checksums import verify_sha256
from scratchlm.datasets.entries import write_splits
from scratchlm.datasets.instructions import SplitConfig, read_instructions, split_instructions
from scratchlm.params import read_params
from scratchlm.stages import run_stage

RAW = Path("data/raw/instructions.json")
SPLITS = Path("data/instructions")
METRICS = Path("metrics/prepare_instructions.json")


class Params(SplitConfig):
    """Section `prepare_instructions` of params.yaml."""


def main() -> None:
    params = read_params("prepare_instructions", Params)
    verify_sha256(RAW)
    splits, counts = split_instructions(read_instructions(RAW), params)
    write_splits(SPLITS, splits)
    write_json(METRICS, counts)


if __name__ == "__main__":
    run_stage("prepare_instructions", main)
