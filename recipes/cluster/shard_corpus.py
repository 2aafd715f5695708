"""Shards the corpus of this checkout with an executor of datatrove; then `dvc repro shard_corpus` collects the shards.

A call after a failure or a kill goes on: what stands there whole is kept, what is missing or damaged is written again.
"""

from pathlib import Path
from typing import Annotated, Any

import typer

from scratchlm.datasets.datatrove_sharding import ShardFiles
from scratchlm.datasets.documents import corpus_files
from scratchlm.datasets.sharding import STAGE, ShardConfig
from scratchlm.errors import exit_on_error
from scratchlm.params import read_params

CORPUS, TOKENIZER = Path("data/raw/corpus"), Path("data/tokenizer")
LOGS = Path(".work/datatrove").absolute()

cli = typer.Typer(help=__doc__, no_args_is_help=True, add_completion=False, pretty_exceptions_enable=False)

Tasks = Annotated[int | None, typer.Option(min=1, help="Shares of the files; without it, one a file.")]
Workers = Annotated[int, typer.Option(help="Tasks at the same time; -1: all.")]
Threads = Annotated[int, typer.Option(min=1, help="Of a task, up to 8: one core each.")]


@cli.command()
def local(tasks: Tasks = None, workers: Workers = 2, threads: Threads = 1) -> None:
    """On this machine."""
    from datatrove.executor import LocalPipelineExecutor

    run(LocalPipelineExecutor, tasks, threads, workers=workers)


@cli.command()
def slurm(
    partition: str,
    tasks: Tasks = None,
    workers: Workers = -1,
    threads: Threads = 8,
    time: Annotated[str, typer.Option(help="Of a task at most.")] = "04:00:00",
    qos: Annotated[str, typer.Option(help="Of the cluster, if it has such.")] = "",
) -> None:
    """As an array of Slurm jobs; returns when they are queued."""
    from datatrove.executor import SlurmPipelineExecutor

    activate = Path(".venv/bin/activate").absolute()
    resources = {"cpus_per_task": threads, "mem_per_cpu_gb": 1, "time": time, "qos": qos, "venv_path": activate}
    run(SlurmPipelineExecutor, tasks, threads, workers=workers, partition=partition, job_name=STAGE, **resources)


@cli.command()
def ray(tasks: Tasks = None, workers: Workers = -1, threads: Threads = 8) -> None:
    """On the Ray cluster that $RAY_ADDRESS names, else on one of this machine; needs datatrove[ray]."""
    from datatrove.executor import RayPipelineExecutor

    run(RayPipelineExecutor, tasks, threads, workers=workers, cpus_per_task=threads)


def run(executor: Any, tasks: int | None, threads: int, **options: Any) -> None:
    """Every task runs each time, and looks at what is there: datatrove's marks of an earlier run are not believed."""
    with exit_on_error(STAGE):
        step = ShardFiles(CORPUS, TOKENIZER, read_params(STAGE, ShardConfig), threads)
        count = tasks or len(corpus_files(CORPUS))
        executor([step], tasks=count, logging_dir=str(LOGS), skip_completed=False, **options).run()


if __name__ == "__main__":
    cli()
