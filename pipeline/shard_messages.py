"""Tokenizes messages without their labels into token shards, for continue_pretraining."""

import sys
from pathlib import Path

from pydantic import Field

from scratchlm.artifacts import write_json
from scratchlm.datasets.message_shards import Part, shard_messages
from scratchlm.datasets.sms_spam import read_splits
from scratchlm.datasets.tokenizers import load_tokenizer
from scratchlm.params import Schema, read_params
from scratchlm.stages import matrix_item, run_stage

MESSAGES = Path("data/sms_spam")
TOKENIZER = Path("data/tokenizer")
DATA = Path("data")
METRICS = Path("metrics")


class Params(Schema):
    """Section `shard_messages` of params.yaml: `names` is empty or holds the folder of data to make."""

    names: list[str]
    parts: list[Part] = Field(min_length=1)


def main() -> None:
    params = read_params("shard_messages", Params)
    name = matrix_item("shard_messages.names", params.names)
    manifest = shard_messages(read_splits(MESSAGES), params.parts, load_tokenizer(TOKENIZER), DATA / name)
    counts = {f"{split}_{key}": count for split, total in manifest["splits"].items() for key, count in total.items()}
    write_json(METRICS / f"shard_messages_{name}.json", counts)


if __name__ == "__main__":
    run_stage("shard_messages", main, *sys.argv[1:])
