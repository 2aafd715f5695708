"""What every stage script does around its work: one line on an error, and the facts of the run beside the metrics."""

import resource
import signal
import sys
import time
from collections.abc import Callable, Mapping, Sequence
from contextlib import AbstractContextManager, nullcontext
from pathlib import Path

from scratchlm.artifacts import write_json
from scratchlm.errors import UserError, exit_on_error
from scratchlm.processes import is_first_process, process_count
from scratchlm.workspace import locked

RUNS = Path("metrics/runs")
RUNNING = Path(".work/running")  # of this folder, where the outputs go: an experiment in another has its own


def run_stage(stage: str, main: Callable[[], Mapping[str, float] | None], *items: str, parallel: bool = False) -> None:
    """Run a stage, or one item of a matrix stage; only a `parallel` one may be run by several processes.

    What `main` returns (timings, throughput) goes to metrics/runs/, which DVC does not track.
    A UserError or an error of the file system becomes one line on stderr and exit code 1, an interrupt 130: SIGINT,
    and SIGTERM alike. No two processes make the same outputs at a time.
    """
    start, name = time.perf_counter(), "_".join([stage, *items])
    previous = signal.signal(signal.SIGTERM, signal.default_int_handler)
    try:
        with exit_on_error(stage), _one_at_a_time(stage, *items):
            if process_count() > 1 and not parallel:
                raise UserError("this stage runs in one process; start it with python, not torchrun.")
            facts = main() or {}
            peak = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss * (1 if sys.platform == "darwin" else 1024)
            run = {"seconds": time.perf_counter() - start, "peak_memory_bytes": peak, **facts}
            write_json(RUNS / f"{name}.json", run)
    except KeyboardInterrupt:
        if is_first_process():
            print(f"{stage}: interrupted; the next run goes on from here.", file=sys.stderr)
        sys.exit(130)
    finally:
        signal.signal(signal.SIGTERM, previous)


def _one_at_a_time(stage: str, *items: str) -> AbstractContextManager[None]:
    if not is_first_process():
        return nullcontext()
    return locked(RUNNING / f"{'_'.join([stage, *items])}.lock", f"{' '.join([stage, *items])} in this folder")


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
