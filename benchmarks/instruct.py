"""Instruction tuning of GPT-2 124M's shape, random weights, all parameters: the book's functions and the stage's.

`python -m benchmarks.instruct --peer PATH --data PATH`: the checkout of rasbt/LLMs-from-scratch, and its
instruction-data.json; GPT-2's vocabulary comes from SCRATCHLM_MIRROR or the network. Both train on the book's own first
935 entries for 2 epochs in batches of 8, without evaluations. Of each some steps run after one that does not count, and
their time a token, padding included, is multiplied by the tokens of all steps; with `--full` all of them run. The book
also computes logits for the prompts and trains on these; its process holds TensorFlow, which its script imports.
"""

import argparse
import json
import sys
from collections.abc import Iterator
from pathlib import Path
from tempfile import TemporaryDirectory

from benchmarks.limits import PRECISIONS, measure_limits, peak_gflops, print_limits
from benchmarks.side_by_side import Contestant, growth_exponent, run, run_in_turn, table
from scratchlm.datasets.tokenizer_building import write_tokenizer

COLUMNS = {
    "step_seconds": "s a step",
    "epochs_seconds": "s for 2 epochs",
    "padding": "% padding",
    "peak_mb": "peak memory, MB",
    "share": "% of limit",
}
SHAPE, SMALL_SHAPE = [12, 12, 768], [2, 2, 64]  # layers, heads, columns
GROWTH_FACTORS = (1, 4, 16)


def contestant(name: str, job: str, options: argparse.Namespace, tokenizer: Path, **changes: object) -> Contestant:
    """A process that trains as `instruct_contestants` says."""
    settings = {
        "job": job,
        "peer": str(options.peer),
        "data": str(options.data.resolve()),
        "tokenizer": str(tokenizer),
        "shape": options.shape,
        "steps": None if options.full else options.steps,
        "precision": "float32",
        "repeat": 1,
    }
    return Contestant(name, [sys.executable, "-m", "benchmarks.instruct_contestants", json.dumps(settings | changes)])


def compare(options: argparse.Namespace, tokenizer: Path) -> Iterator[str]:
    """The machine's limits, and the table."""
    limits = measure_limits()
    print_limits(limits)
    contestants = [contestant("the book", "book", options, tokenizer)] if options.peer else []
    precisions = {f"ours, {precision}": precision for precision in PRECISIONS}
    contestants += [
        contestant(name, "ours", options, tokenizer, precision=precision) for name, precision in precisions.items()
    ]
    runs = run_in_turn(contestants, options.rounds)
    for name, precision in precisions.items():
        limit = peak_gflops(limits, precision)
        runs[name] = [{**row, "share": 100 * row["gflop"] / row["epochs_seconds"] / limit} for row in runs[name]]
    yield f"\n{'All steps' if options.full else f'{options.steps} steps of each, extrapolated by their tokens'}.\n"
    yield from table(runs, COLUMNS, "epochs_seconds")


def growth(options: argparse.Namespace, tokenizer: Path) -> Iterator[str]:
    """Ours on 1, 4 and 16 times the entries, all steps: whole process, and how it grows."""
    options.full, options.shape = True, SMALL_SHAPE
    runs = [run(contestant("ours", "ours", options, tokenizer, repeat=factor)) for factor in GROWTH_FACTORS]
    columns = {"epochs_seconds": "s for 2 epochs", "peak_mb": "peak memory, MB"}
    yield "| entries | " + " | ".join(columns.values()) + " |"
    yield "|---" * (len(columns) + 1) + "|"
    for factor, figures in zip(GROWTH_FACTORS, runs, strict=True):
        yield f"| {factor} x 935 | " + " | ".join(f"{figures[key]:,.1f}" for key in columns) + " |"
    exponents = (growth_exponent(GROWTH_FACTORS, [figures[key] for figures in runs]) for key in columns)
    yield "| exponent | " + " | ".join(f"{exponent:.2f}" for exponent in exponents) + " |"


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--peer", type=Path, help="a checkout of rasbt/LLMs-from-scratch; without it, ours alone")
    parser.add_argument("--data", type=Path, required=True, help="the book's instruction-data.json")
    parser.add_argument("--steps", type=int, default=12, help="of each that are measured (%(default)s)")
    parser.add_argument("--full", action="store_true", help="all steps: some 10 minutes for the book")
    parser.add_argument("--shape", type=int, nargs=3, default=SHAPE, help="layers, heads, columns (124M's)")
    parser.add_argument("--rounds", type=int, default=1)
    parser.add_argument("--growth", action="store_true", help="ours at 1, 4 and 16 times the entries, a small shape")
    options = parser.parse_args()
    with TemporaryDirectory() as folder:
        write_tokenizer(Path(folder), "gpt2", [], 0)
        for line in (growth if options.growth else compare)(options, Path(folder)):
            print(line, flush=True)


if __name__ == "__main__":
    main()
