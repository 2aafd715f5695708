"""Makes the tokenizer: GPT-2's, or from the corpus a byte-level BPE, its characters, or its words."""

from pathlib import Path

from scratchlm.artifacts import write_json
from scratchlm.datasets.tokenizer_building import TokenizerConfig, build_tokenizer
from scratchlm.params import read_params
from scratchlm.stages import run_stage

CORPUS = Path("data/raw/corpus")
TOKENIZER = Path("data/tokenizer")
METRICS = Path("metrics/build_tokenizer.json")


def main() -> None:
    config = read_params("build_tokenizer", TokenizerConfig)
    write_json(METRICS, build_tokenizer(config, CORPUS, TOKENIZER))


if __name__ == "__main__":
    run_stage("build_tokenizer", main)
