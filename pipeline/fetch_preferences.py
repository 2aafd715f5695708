"""Brings the preferences of the chosen source here, as one JSON file."""

import sys
from pathlib import Path

from scratchlm.artifacts import write_json
from scratchlm.checksums import write_sha256
from scratchlm.datasets.download import fetch
from scratchlm.datasets.sources import PREFERENCES, FileSource, find_source
from scratchlm.params import Schema, read_params
from scratchlm.stages import only_argument, run_stage

RAW = Path("data/raw/preferences.json")
METRICS = Path("metrics")


class Params(Schema):
    """Section `fetch_preferences` of params.yaml."""

    source: FileSource | str


def main() -> None:
    name = only_argument("finetune_dpo.names")
    source = find_source(PREFERENCES, read_params("fetch_preferences", Params).source)
    sha256 = fetch(source.urls, source.sha256, RAW, offline="fetch_preferences.source: sample")
    write_sha256(RAW)
    write_json(METRICS / f"fetch_preferences_{name}.json", {"source_sha256": sha256, "bytes": RAW.stat().st_size})


if __name__ == "__main__":
    run_stage("fetch_preferences", main, *sys.argv[1:])
