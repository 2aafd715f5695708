"""Commands about the machine: how fast its devices are."""

from json import dumps
from typing import Annotated

import typer


def bench_device(
    size: Annotated[
        list[int] | None, typer.Option(min=1, help="Rows of a square matrix, several times for several.")
    ] = None,
    json: Annotated[bool, typer.Option("--json", help="Print JSON instead of a table.")] = False,
) -> None:
    """Time matrix products and training steps on the CPU and on each accelerator.

    The step is forward, backward and AdamW of a GPT of 4.3 million parameters on 2,048 tokens.
    """
    from dataclasses import asdict

    from scratchlm.reporting.bench_table import bench_table
    from scratchlm.training import bench

    results = bench.bench_devices(bench.find_devices(), size or [1_024, 4_096], bench.SHAPE)
    if json:
        print(dumps([asdict(result) for result in results], indent=2))
    else:
        for line in bench_table(results):
            print(line, flush=True)
