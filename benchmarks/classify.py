"""Fine-tuning GPT-2 124M's shape, random weights, to tell spam: the book's functions and the stage's, 5 epochs.

`python -m benchmarks.classify --peer PATH --data ZIP`: the checkout of rasbt/LLMs-from-scratch, and UCI's archive;
GPT-2's vocabulary comes from SCRATCHLM_MIRROR or the network. Last block, final norm and head train, in batches of 8,
on the book's own split of 1,045 messages to train on. Of the book's training some steps run, and their mean is
multiplied; with `--full` all of it runs. The book pads every message to 120 tokens and classifies the last of them;
ours classifies the last token of the message, which is less to compute, and another function. Each side evaluates in
its own way, every 50 steps: the book 5 batches of both splits, ours the whole validation split.
"""

import argparse
import json
import statistics
import sys
from collections.abc import Iterator, Sequence
from pathlib import Path
from tempfile import TemporaryDirectory

from benchmarks.limits import PRECISIONS, measure_limits, peak_gflops, print_limits
from benchmarks.side_by_side import Contestant, Figures, growth_exponent, run_in_turn, spread, table

COLUMNS = {
    "training_seconds": "s without evaluations",
    "with_evaluations": "s with them",
    "peak_mb": "peak memory, MB",
    "share": "% of limit",
}
SHAPE, EPOCHS = [12, 12, 768], 5
GROWTH = {"shape": [4, 4, 128], "epochs": 2}
GROWTH_MESSAGES, GROWTH_FACTORS = 500, (1, 4, 16)


def contestant(name: str, options: argparse.Namespace, job: str, **changes: object) -> Contestant:
    """A process that runs one job of `classify_contestants`."""
    settings = {**vars(options), **changes, "contestant": name, "job": job}
    return Contestant(
        name, [sys.executable, "-m", "benchmarks.classify", "--settings", json.dumps(settings, default=str)]
    )


def run_settings(settings: str) -> None:
    """What such a process does."""
    from benchmarks import classify_contestants

    options = argparse.Namespace(**json.loads(settings))
    options.folder, options.peer = Path(options.folder), Path(options.peer or "")
    print(json.dumps(getattr(classify_contestants, options.job)(options)))


def compare(options: argparse.Namespace) -> None:
    """Print the table, and how far the losses of each of ours are from the plain computation's."""
    limits = measure_limits()
    print_limits(limits)
    ours = {f"ours, {precision}": precision for precision in PRECISIONS}
    contestants = [contestant("the book", options, "run_book")] if options.peer else []
    contestants += [contestant(name, options, "run_ours", precision=precision) for name, precision in ours.items()]
    runs = run_in_turn(contestants, options.rounds)
    for name, precision in ours.items():
        limit = peak_gflops(limits, precision)
        runs[name] = [{**row, "share": 100 * row["gflop"] / row["training_seconds"] / limit} for row in runs[name]]
    scope = "all steps" if options.full else f"{options.book_steps} steps, extrapolated"
    print(f"\nThe book: {scope}. Times faster: without evaluations.\n")
    print(*table(runs, COLUMNS, "training_seconds"), sep="\n")
    print()
    print(*exactness(options, ours), sep="\n")


def exactness(options: argparse.Namespace, ours: dict[str, str]) -> Iterator[str]:
    """The greatest difference of a step's loss to that of the training with every block in every step."""
    settings = {"epochs": options.epochs if options.full else 1}
    jobs = {"plain": "float32", **ours}
    runs = run_in_turn(
        [contestant(name, options, "run_exactness", precision=jobs[name], **settings) for name in jobs], 1
    )
    losses = {name: row["losses"] for name, (row,) in runs.items()}
    for name in ours:
        difference = max(abs(a - b) for a, b in zip(losses["plain"], losses[name], strict=True))
        yield f"- {name}: losses of {len(losses[name])} steps differ by at most {difference:.1e} from plain float32"


def growth(options: argparse.Namespace) -> Iterator[str]:
    """Ours on so many times the messages: time and memory, and how they grow."""
    sizes = [GROWTH_MESSAGES * factor for factor in GROWTH_FACTORS]
    settings = {**GROWTH, "precision": "float32"}
    runs: list[Sequence[Figures]] = [
        run_in_turn([contestant("ours", options, "run_ours", messages=size, **settings)], options.rounds)["ours"]
        for size in sizes
    ]
    yield "| messages | " + " | ".join(f"{size:,}" for size in sizes) + " | exponent |"
    yield "|---" * (len(sizes) + 2) + "|"
    for key in ("with_evaluations", "peak_mb"):
        columns = [[figures[key] for figures in own] for own in runs]
        exponent = growth_exponent(sizes, [statistics.median(column) for column in columns])
        yield f"| {COLUMNS[key]} | " + " | ".join(map(spread, columns)) + f" | {exponent:.2f} |"


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--peer", type=Path, help="a checkout of rasbt/LLMs-from-scratch; without it, ours alone")
    parser.add_argument("--data", type=Path, help="UCI's sms+spam+collection.zip")
    parser.add_argument(
        "--full", action="store_true", help="all of the book's steps (11 minutes), and of the exactness"
    )
    parser.add_argument("--book-steps", type=int, default=8, help="that are measured otherwise (%(default)s)")
    parser.add_argument("--exact-steps", type=int, default=12, help="that are compared otherwise (%(default)s)")
    parser.add_argument("--shape", type=int, nargs=3, default=SHAPE, help="layers, heads, width (124M's)")
    parser.add_argument("--epochs", type=int, default=EPOCHS)
    parser.add_argument("--rounds", type=int, default=1)
    parser.add_argument("--growth", action="store_true", help="ours at 1, 4 and 16 times the messages, a small shape")
    parser.add_argument("--settings", help=argparse.SUPPRESS)
    options = parser.parse_args()
    if options.settings:
        return run_settings(options.settings)
    if options.data is None:
        parser.error("--data is missing: the path of UCI's sms+spam+collection.zip")
    from benchmarks.classify_contestants import prepare

    with TemporaryDirectory() as folder:
        prepare(options.data, Path(folder))
        options.folder, options.messages = folder, None
        if options.growth:
            print(*growth(options), sep="\n")
        else:
            compare(options)
    return None


if __name__ == "__main__":
    main()
