"""A TensorFlow checkpoint of GPT-2 into a model directory: the stage convert_gpt2 beside the book's loader.

`python -m benchmarks.convert --peer /path/to/LLMs-from-scratch`; `--growth` goes through all sizes up to 1558M. The
checkpoints are random ones of OpenAI's layout, made on the spot and removed (14 GB of disk for the largest).
"""

import argparse
import statistics
import sys
import tempfile
from collections.abc import Sequence
from math import prod
from pathlib import Path

import psutil

from benchmarks.limits import describe_machine
from benchmarks.make_gpt2_checkpoint import CONFIGS, make_checkpoint
from benchmarks.side_by_side import Contestant, Figures, growth_exponent, run_in_turn, table
from scratchlm.models.gpt_config import GPTConfig, parameter_shapes

BOOK, OURS, LIMIT = "the book's loader", "convert_gpt2", "bytes read, written and synced"
BOOK_COPIES = 4  # of the weights, at most, that the book's loader has in memory together
COLUMNS = {
    "seconds": "seconds",
    "seconds_after_imports": "after imports",
    "peak_mb": "peak MB",
    "peak_above_imports_mb": "above imports MB",
}


def run_size(config: GPTConfig, size: str, arguments: argparse.Namespace) -> dict[str, list[Figures]]:
    """The figures of each contestant with a checkpoint of this size, in a folder that is removed at the end."""
    with tempfile.TemporaryDirectory(dir=Path.cwd(), prefix=".convert-") as folder:
        checkpoint = (arguments.checkpoints or Path(folder)).resolve() / size
        if not checkpoint.exists():
            make_checkpoint(config, checkpoint, arguments.vocabulary)
        (Path(folder) / "data/gpt2").mkdir(parents=True)
        (Path(folder) / "data/gpt2" / size).symlink_to(checkpoint)
        (Path(folder) / "params.yaml").write_text(f"convert_gpt2:\n  names: [{size}]\n")
        runs = run_in_turn(contestants(config, size, arguments.peer, Path(folder)), arguments.rounds)
    return {name: [with_peak_above_imports(figures) for figures in own] for name, own in runs.items()}


def contestants(config: GPTConfig, size: str, peer: Path | None, folder: Path) -> list[Contestant]:
    """The book where it is there and its copies of the weights fit into memory, ours, and the limit."""
    own = {OURS: ["ours", size], LIMIT: ["limit", size]}
    needed = BOOK_COPIES * checkpoint_bytes(config)
    if peer is not None and needed > psutil.virtual_memory().available:
        print(f"{size}: {BOOK} may need {needed / 1e9:.0f} GB, more than is free; it does not run.", file=sys.stderr)
    elif peer is not None:
        own = {BOOK: ["book", size, str(peer.resolve())], **own}
    command = [sys.executable, "-m", "benchmarks.convert_contestants"]
    environment = {"DVC_ROOT": str(folder)}
    return [Contestant(name, [*command, *arguments], folder, environment) for name, arguments in own.items()]


def checkpoint_bytes(config: GPTConfig) -> int:
    """How many bytes the weights have."""
    return 4 * sum(map(prod, parameter_shapes(config).values()))


def with_peak_above_imports(figures: Figures) -> Figures:
    """The same basis for all: resident memory once all is imported, measured inside the process."""
    return {**figures, "peak_above_imports_mb": figures["peak_mb"] - figures["imports_mb"]}


def median(runs: Sequence[Figures], key: str) -> float:
    """The median of a figure over the rounds."""
    return statistics.median(figures[key] for figures in runs)


def print_size(config: GPTConfig, size: str, runs: dict[str, list[Figures]]) -> None:
    """The table of a size, and what the goals are about."""
    largest = 4 * max(map(prod, parameter_shapes(config).values()))
    print(f"\n{size}: {checkpoint_bytes(config):,} bytes of weights, the largest tensor {largest:,}\n")
    print("\n".join(table(runs, COLUMNS)))
    share = median(runs[LIMIT], "seconds_after_imports") / median(runs[OURS], "seconds_after_imports")
    print(f"\nAfter its imports {OURS} takes {1 / share:.2f} times the limit ({share:.0%} of its speed).")
    if BOOK in runs:
        above = median(runs[OURS], "peak_above_imports_mb") / median(runs[BOOK], "peak_above_imports_mb")
        print(f"Of the book's memory above the imports it takes {above:.1%}.")


def print_growth(sizes: Sequence[str], results: Sequence[dict[str, list[Figures]]]) -> None:
    """Exponents over the sizes at which a contestant ran."""
    print("\nGrowth with the bytes of the weights (1 is linear, 0 does not grow):\n")
    for name in (BOOK, OURS, LIMIT):
        ran = [
            (checkpoint_bytes(CONFIGS[size]), runs[name])
            for size, runs in zip(sizes, results, strict=True)
            if name in runs
        ]
        if len(ran) > 1:
            exponents = (
                f"{label} {growth_exponent([size for size, _ in ran], [median(runs, key) for _, runs in ran]):.2f}"
                for key, label in COLUMNS.items()
            )
            print(f"- {name}: {', '.join(exponents)}")


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--peer", type=Path, help="a checkout of rasbt/LLMs-from-scratch")
    parser.add_argument("--sizes", nargs="+", choices=CONFIGS, default=["124M"])
    parser.add_argument("--growth", action="store_true", help="all sizes, and how time and memory grow")
    parser.add_argument("--rounds", type=int, default=3)
    parser.add_argument("--checkpoints", type=Path, help="a folder whose checkpoints are used, and stay there")
    parser.add_argument("--vocabulary", type=Path, help="a folder with OpenAI's encoder.json and vocab.bpe")
    arguments = parser.parse_args()
    sizes = list(CONFIGS) if arguments.growth else arguments.sizes
    print(describe_machine())
    results = []
    for size in sizes:
        runs = run_size(CONFIGS[size], size, arguments)
        print_size(CONFIGS[size], size, runs)
        results.append(runs)
    if len(sizes) > 1:
        print_growth(sizes, results)


if __name__ == "__main__":
    main()
