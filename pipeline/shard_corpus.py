"""Tokenizes the corpus into token shards, split into train and val."""

from pathlib import Path

from scratchlm.artifacts import write_json
from scratchlm.datasets.sharding import ShardConfig, shard_corpus
from scratchlm.params import read_params
from scratchlm.stages import run_stage

CORPUS = Path("data/raw/corpus")
TOKENIZER = Path("data/tokenizer")
TOKENS = Path("data/tokens")
METRICS = Path("metrics/shard_corpus.json")


def main() -> None:
    config = read_params("shard_corpus", ShardConfig)
    write_json(METRICS, shard_corpus(CORPUS, TOKENIZER, config, TOKENS))


if __name__ == "__main__":
    run_stage("shard_corpus", main)
