"""Download OpenAI's seven files of one size of GPT-2."""

from pathlib import Path
from typing import Literal

from scratchlm.artifacts import MANIFEST, atomic_directory, read_json, write_json, write_manifest
from scratchlm.datasets.download import fetch
from scratchlm.datasets.sources import GPT2_CHECKPOINTS
from scratchlm.models.gpt2_checkpoint import check_files, read_hparams
from scratchlm.params import Schema, read_params
from scratchlm.stages import matrix_item, run_stage

CHECKPOINTS = Path("data/gpt2")
METRICS = Path("metrics")


class Params(Schema):
    """Section `fetch_gpt2` of params.yaml."""

    sizes: list[Literal["124M", "355M", "774M", "1558M"]]


def main() -> None:
    params = read_params("fetch_gpt2", Params)
    size = matrix_item("fetch_gpt2.sizes", params.sizes)
    with atomic_directory(CHECKPOINTS / size) as partial:
        for name, source in GPT2_CHECKPOINTS[size].items():
            fetch(source.urls, source.sha256, partial / name)
        config = read_hparams(partial)
        check_files(partial, config)
        write_manifest(partial)
    files = read_json(CHECKPOINTS / size / MANIFEST)["files"]
    metrics = {"files": len(files), "bytes": sum(file["bytes"] for file in files.values())}
    write_json(METRICS / f"fetch_gpt2_{size}.json", metrics)


if __name__ == "__main__":
    run_stage("fetch_gpt2", main)
