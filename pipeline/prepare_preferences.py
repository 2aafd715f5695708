"""Splits the preferences as their instructions are split, and counts what it did."""

import sys
from pathlib import Path

from scratchlm.artifacts import write_json
from scratchlm.checksums import verify_manifest, verify_sha256
from scratchlm.datasets.entries import SPLITS, write_splits
from scratchlm.datasets.instructions import read_instructions
from scratchlm.datasets.preferences import PreferenceSplitConfig, read_preferences, split_preferences
from scratchlm.params import read_params
from scratchlm.stages import only_argument, run_stage

RAW = Path("data/raw/preferences.json")
INSTRUCTIONS = Path("data/instructions")
PREFERENCES = Path("data/preferences")
METRICS = Path("metrics")


class Params(PreferenceSplitConfig):
    """Section `prepare_preferences` of params.yaml."""


def main() -> None:
    name = only_argument("finetune_dpo.names")
    params = read_params("prepare_preferences", Params)
    verify_sha256(RAW)
    verify_manifest(INSTRUCTIONS)
    instructions = {split: read_instructions(INSTRUCTIONS / f"{split}.jsonl") for split in SPLITS}
    splits, counts = split_preferences(read_preferences(RAW), instructions, params)
    write_splits(PREFERENCES, splits)
    write_json(METRICS / f"prepare_preferences_{name}.json", counts)


if __name__ == "__main__":
    run_stage("prepare_preferences", main, *sys.argv[1:])
