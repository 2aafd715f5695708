"""The peers of benchmarks/shard_corpus.py as processes, on local Parquet files in place of the hub.

`python -m benchmarks.shard_contestants nanogpt PEER CORPUS OUTPUT WORKERS`, or `litgpt` with these and the folder of
tokenizer.json and tokenizer_config.json.
"""

import json
import os
import runpy
import shutil
import sys
import tempfile
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import numpy as np

SPLITS = ("train", "val")


@contextmanager
def local_corpus(corpus: Path, workers: int) -> Iterator[Path]:
    """`datasets.load_dataset` gives the files of `corpus`, whatever it is asked for; yields a folder for caches."""
    with tempfile.TemporaryDirectory() as cache:
        os.environ["HF_DATASETS_CACHE"] = cache
        import datasets

        load = datasets.load_dataset

        def load_local(_name: str, **_settings: Any) -> datasets.DatasetDict:
            files = sorted(map(str, corpus.glob("*.parquet")))
            return load("parquet", data_files=files, num_proc=min(workers, len(files)))

        datasets.load_dataset = load_local
        yield Path(cache)


def run_nanogpt(peer: Path, corpus: Path, output: Path, workers: int) -> dict[str, float]:
    """Run data/openwebtext/prepare.py from `output`, where it then writes; its processes are `workers`.

    It writes each split in 1,024 batches, and fails for one of fewer documents: here in at most as many as those.
    """
    script = output / "prepare.py"
    text = (peer / "data/openwebtext/prepare.py").read_text()
    for setting, value in (("num_proc = 8", f"num_proc = {workers}"), ("= 1024", "= min(1024, len(dset))")):
        assert text.count(setting) == 1
        text = text.replace(setting, value)
    script.write_text(text)
    with local_corpus(corpus, workers):
        runpy.run_path(str(script), run_name="__main__")
    return {"tokens": sum((output / f"{split}.bin").stat().st_size // 2 for split in SPLITS)}


def run_litgpt(peer: Path, corpus: Path, output: Path, workers: int, tokenizer: Path) -> dict[str, float]:
    """Run prepare_data of litgpt's data module OpenWebText, which ends each document with eos and adds no bos.

    It takes one worker fewer than there are cores, here `workers`. They run a local function, which cannot be pickled
    for processes that are spawned, litdata's default: here they are forked.
    """
    shutil.rmtree(output, ignore_errors=True)  # what an earlier run wrote would be taken as done
    sys.path.insert(0, str(peer))
    with local_corpus(corpus, workers) as cache:
        # litdata empties its cache, which is otherwise the same folder for all runs on a machine.
        os.environ["DATA_OPTIMIZER_CACHE_FOLDER"] = str(cache / "chunks")
        os.environ["LITDATA_DISABLE_VERSION_CHECK"] = "1"  # a question to the network
        import litdata  # pyright: ignore[reportMissingImports]
        from litgpt.data import OpenWebText  # pyright: ignore[reportMissingImports]
        from litgpt.tokenizer import Tokenizer  # pyright: ignore[reportMissingImports]

        optimize = litdata.optimize

        def optimize_forked(**settings: Any) -> None:
            optimize(**{**settings, "num_workers": workers, "start_method": "fork"})

        litdata.optimize = optimize_forked
        start = time.perf_counter()
        data = OpenWebText(data_path=output)
        data.connect(tokenizer=Tokenizer(tokenizer))
        data.prepare_data()
        seconds = time.perf_counter() - start
    return {"tokens": sum(map(len, read_litgpt(output))), "seconds_after_imports": seconds}


def read_litgpt(output: Path) -> Iterator[np.ndarray]:
    """The tokens of each chunk of litdata's, without its header and the length in front of each document.

    All its numbers have 32 bits: how many documents there are, where in bytes each starts and the last ends, then them.
    """
    for split in SPLITS:
        for chunk in json.loads((output / split / "index.json").read_text())["chunks"]:
            numbers = np.fromfile(output / split / chunk["filename"], "<i4")
            documents = int(numbers[0])
            yield np.delete(numbers, numbers[1 : 1 + documents] // 4)[2 + documents :]


if __name__ == "__main__":
    name, peer, corpus, output, workers, *rest = sys.argv[1:]
    run = {"nanogpt": run_nanogpt, "litgpt": run_litgpt}[name]
    print(json.dumps(run(Path(peer), Path(corpus), Path(output), int(workers), *map(Path, rest))))
