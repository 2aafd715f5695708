"""Brings the files of the corpus here: package docstrings, OpenWebText, books, one's own files."""

from pathlib import Path

from scratchlm.artifacts import write_json
from scratchlm.datasets.corpus import CorpusConfig, fetch_corpus
from scratchlm.params import read_params
from scratchlm.stages import run_stage

CORPUS = Path("data/raw/corpus")
METRICS = Path("metrics/fetch_corpus.json")


def main() -> None:
    config = read_params("fetch_corpus", CorpusConfig)
    files = fetch_corpus(config, CORPUS)["files"]
    write_json(METRICS, {"files": len(files), "bytes": sum(file["bytes"] for file in files)})


if __name__ == "__main__":
    run_stage("fetch_corpus", main)
