"""Brings the instructions of the chosen source here, as one JSON file."""

from pathlib import Path

from scratchlm.artifacts import write_json
from scratchlm.checksums import write_sha256
from scratchlm.datasets.download import fetch
from scratchlm.datasets.sources import INSTRUCTIONS, FileSource, find_source
from scratchlm.params import Schema, read_params
from scratchlm.stages import run_stage

RAW = Path("data/raw/instructions.json")
METRICS = Path("metrics/fetch_instructions.json")


class Params(Schema):
    """Section `fetch_instructions` of params.yaml."""

    source: FileSource | str


def main() -> None:
    source = find_source(INSTRUCTIONS, read_params("fetch_instructions", Params).source)
    sha256 = fetch(source.urls, source.sha256, RAW, offline="fetch_instructions.source: sample")
    write_sha256(RAW)
    write_json(METRICS, {"source_sha256": sha256, "bytes": RAW.stat().st_size})


if __name__ == "__main__":
    run_stage("fetch_instructions", main)
