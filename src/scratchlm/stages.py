"""What every stage script does around its work: one line on an error, and the facts of the run beside the metrics."""

import resource
import sys
import time
from collections.abc import Callable, Mapping, Sequence
from pathlib import Path

from scratchlm.artifacts import write_json
from scratchlm.errors import UserError, exit_on_error
from scratchlm.processes import is_first_process, process_count

RUNS = Path("metrics/runs")


def run_stage(stage: str, main: Callable[[], Mapping[str, float] | None], *items: str, parallel: bool = False) -> None:
    """Run a stage, or one item of a matrix stage; only a `parallel` one may be run by several processes.

    What `main` returns (timings, throughput) goes to metrics/runs/, which DVC does not track.
    A UserError or an error of the file system becomes one line on stderr and exit code 1, an interrupt 130.
    """
    start = time.perf_counter()
    try:
        with exit_on_error(stage):
            if process_count() > 1 and not parallel:
                raise UserError("this stage runs in one process; start it with python, not torchrun.")
            facts = main() or {}
            peak = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss * (1 if sys.platform == "darwin" else 1024)
            run = {"seconds": time.perf_counter() - start, "peak_memory_bytes": peak, **facts}
            write_json(RUNS / f"{'_'.join([stage, *items])}.json", run)
    except KeyboardInterrupt:
        if is_first_process():
            print(f"{stage}: interrupted; the next run goes on from here.", file=sys.stderr)
        sys.exit(130)


def matrix_item(key: str, items: Sequence[str]) -> str:
    """The item that this process of a matrix stage makes: its one argument, listed in params.yaml under `key`."""
    given = " ".join(sys.argv[1:])
    if given not in items:
        raise UserError(
            f"the argument {given!r} is not in {key} [{', '.join(items)}]; give one that is, or add it there."
        )
    return given


def only_argument(key: str) -> str:
    """The item that this process of a matrix stage makes, where the list of items, `key`, is another stage's."""
    if len(sys.argv) != 2:
        raise UserError(f"one argument is needed, the name that stands in {key}; `dvc repro` gives it.")
    return sys.argv[1]
