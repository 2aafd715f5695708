"""The files of a corpus become token shards on many machines: a step for the executors of datatrove."""

from pathlib import Path
from typing import Any

import numpy as np
from datatrove.pipeline.base import PipelineStep

from scratchlm.checksums import MANIFEST, read_sealed, sha256_file
from scratchlm.datasets.documents import corpus_files
from scratchlm.datasets.sharding import STAGE, ShardConfig, file_folder, shard_file, shard_inputs
from scratchlm.errors import UserError
from scratchlm.workspace import joined_work_folder, locked, work_folder


class ShardFiles(PipelineStep):
    """Task `rank` writes the shards of the files rank, rank + world_size, ... into the work folder of shard_corpus.

    All machines see the checkout under the same path. The stage shard_corpus then finds the files done. What stands
    there whole, by sha256, stays; give the executor `skip_completed=False`, as datatrove's own marks say only that a
    task once ended. UserError for parameters that do not let every file be sharded by itself.
    """

    type, name = "scratchlm", STAGE

    def __init__(self, corpus: Path, tokenizer: Path, config: ShardConfig, threads: int = 1) -> None:
        super().__init__()
        if config.near_duplicates == "drop":
            raise UserError(
                "near-duplicates are found by one process that has seen all files; set shard_corpus.near_duplicates "
                "to keep, or run `dvc repro shard_corpus` on one machine."
            )
        self.corpus, self.tokenizer, self.config = corpus.absolute(), tokenizer.absolute(), config
        self.threads = threads
        inputs = shard_inputs(corpus_files(corpus), sha256_file(tokenizer / "tokenizer.json"), config)
        with work_folder(STAGE, inputs, finishes=False) as work:
            self.work = work.absolute()

    def run(self, data: Any = None, rank: int = 0, world_size: int = 1) -> Any:
        """Shard the files of one task."""
        for file in corpus_files(self.corpus)[rank::world_size]:
            folder = file_folder(self.work, file)
            lock = folder.with_name(f"{folder.name}.lock")
            with joined_work_folder(self.work), locked(lock, f"task that shards {file['name']}"):
                no_rows = np.empty(0, np.int64)
                shard_file(self.corpus, file, self.tokenizer, self.config, folder, no_rows, self.threads)
            for shard in read_sealed(folder / MANIFEST, {"shards": list})["shards"]:
                self.stat_update(f"{shard['split']}_tokens", value=shard["tokens"], unit="shard")
        return data
