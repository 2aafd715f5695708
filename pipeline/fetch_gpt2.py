"""Download OpenAI's seven files of one size of GPT-2."""

import sys
from pathlib import Path
from typing import Literal

from scratchlm.artifacts import atomic_directory, link_file, write_json
from scratchlm.checksums import has_sha256, write_manifest
from scratchlm.datasets.download import Download, fetch_all
from scratchlm.datasets.sources import GPT2_CHECKPOINTS, GPT2_FILES
from scratchlm.errors import UserError
from scratchlm.models.gpt2_checkpoint import check_values, read_hparams
from scratchlm.params import Schema, read_params
from scratchlm.stages import matrix_item, run_stage
from scratchlm.workspace import work_folder

CHECKPOINTS = Path("data/gpt2")
METRICS = Path("metrics")


class Params(Schema):
    """Section `fetch_gpt2` of params.yaml."""

    sizes: list[Literal["124M", "355M", "774M", "1558M"]]


def main() -> None:
    params = read_params("fetch_gpt2", Params)
    size = matrix_item("fetch_gpt2.sizes", params.sizes)
    with work_folder("fetch_gpt2", {"size": size}) as work:
        fetch_files(size, work)
        with atomic_directory(CHECKPOINTS / size) as partial:
            for name in GPT2_FILES:
                link_file(work / name, partial / name)
            write_manifest(partial)
        remove_files(work)
    metrics = {
        "files": len(GPT2_FILES),
        "bytes": sum((CHECKPOINTS / size / name).stat().st_size for name in GPT2_FILES),
    }
    write_json(METRICS / f"fetch_gpt2_{size}.json", metrics)


def fetch_files(size: str, work: Path) -> None:
    """Fetch the files that an earlier run has not left there; those that do not fit together are not left there."""
    missing = [source for source in GPT2_CHECKPOINTS[size].values() if not _is_there(work / source.name, source.sha256)]
    downloads = [Download(source.urls, source.sha256, work / source.name) for source in missing]
    fetch_all(downloads, offline="scratchlm recipe sample")
    try:
        check_values(work, read_hparams(work))
    except UserError:
        remove_files(work)
        raise


def _is_there(file: Path, sha256: str | None) -> bool:
    """Whether an earlier run fetched a file; if one without a hash is whole, the check of the values tells."""
    return has_sha256(file, sha256) if sha256 else file.exists()


def remove_files(work: Path) -> None:
    """Remove what was fetched: what is published must not stand on the disk twice."""
    for name in GPT2_FILES:
        (work / name).unlink()


if __name__ == "__main__":
    run_stage("fetch_gpt2", main, *sys.argv[1:])
