"""The benchmark of the devices as a table for the terminal."""

from collections.abc import Iterable, Iterator

from scratchlm.training.bench import Result

HEADER = f"{'task':13}  {'precision':9} {'median, ms':>11} {'quartiles, ms':>21} {'rate':>21} {'to the CPU':>10}"


def bench_table(results: Iterable[Result]) -> Iterator[str]:
    """The lines of the table, each as soon as it is measured, under the name of its device."""
    precisions: dict[str, set[str]] = {}  # of each device, the CPU first
    for result in results:
        if result.device not in precisions:
            precisions[result.device] = set()
            yield from (result.device, HEADER)
        precisions[result.device].add(result.precision)
        yield _row(result)
    yield "to the CPU: the rate over that of the CPU in float32."
    if "bfloat16" not in next(iter(precisions.values())):
        yield "bfloat16 is left out on the CPU, which would emulate it, 100 times slower: set precision: float32."
    if len(precisions) == 1:
        yield "No accelerator was found: torch can use the CPU alone."


def _row(result: Result) -> str:
    quartiles = f"{1e3 * result.seconds_low:,.2f} - {1e3 * result.seconds_high:,.2f}"
    return (
        f"{result.task:13}  {result.precision:9} {1e3 * result.seconds:11,.2f} {quartiles:>21} "
        f"{result.rate:12,.1f} {result.unit:8} {result.ratio_to_cpu:10,.2f}"
    )
