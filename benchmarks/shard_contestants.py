"""A peer of benchmarks/shard_corpus.py as a process: nanoGPT's data/openwebtext/prepare.py on local Parquet files."""

import json
import os
import runpy
import sys
import tempfile
from pathlib import Path


def run_nanogpt(peer: Path, corpus: Path, output: Path, workers: int) -> dict[str, int]:
    """Run prepare.py from `output`, where it then writes; its data set is `corpus`, its processes are `workers`.

    It writes each split in 1,024 batches, and fails for one of fewer documents: here in at most as many as those.
    """
    script = output / "prepare.py"
    text = (peer / "data/openwebtext/prepare.py").read_text()
    for setting, value in (("num_proc = 8", f"num_proc = {workers}"), ("= 1024", "= min(1024, len(dset))")):
        assert text.count(setting) == 1
        text = text.replace(setting, value)
    script.write_text(text)
    with tempfile.TemporaryDirectory() as cache:
        os.environ["HF_DATASETS_CACHE"] = cache
        import datasets

        load = datasets.load_dataset

        def load_local(_name: str, num_proc: int) -> datasets.DatasetDict:
            files = sorted(map(str, corpus.glob("*.parquet")))
            return load("parquet", data_files=files, num_proc=min(num_proc, len(files)))

        datasets.load_dataset = load_local
        runpy.run_path(str(script), run_name="__main__")
    return {"tokens": sum((output / f"{split}.bin").stat().st_size // 2 for split in ("train", "val"))}


if __name__ == "__main__":
    peer, corpus, output, workers = sys.argv[1:]
    print(json.dumps(run_nanogpt(Path(peer), Path(corpus), Path(output), int(workers))))
