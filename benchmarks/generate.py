"""Greedy answers to the book's 110 test items at GPT-2 124M's shape: by its generate(), and by the stage's.

`python -m benchmarks.generate --peer PATH --data PATH`: the checkout of rasbt/LLMs-from-scratch, and its
instruction-data.json; GPT-2's vocabulary comes from SCRATCHLM_MIRROR or the network. Both have the same random weights
and the same prompts, and stop when an answer has the tokens of its reference, then at 256 tokens each. The book answers
some prompts, one at a time and without a cache, and its time a token computed is multiplied by the tokens that all of
them compute (`--peer-prompts 110` asks all); ours answers all, and what both answered is compared token by token.
"""

import argparse
import json
import sys
from collections.abc import Iterator, Mapping
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Any

from benchmarks.generate_contestants import prepare
from benchmarks.instruct_contestants import VOCAB_SIZE
from benchmarks.limits import measure_limits, peak_gflops, print_limits
from benchmarks.side_by_side import Contestant, growth_exponent, run, run_in_turn, table
from scratchlm.artifacts import read_json

COLUMNS = {"answer_seconds": "s for 110 answers", "peak_mb": "peak memory, MB", "share": "% of limit"}
SHAPE = [12, 12, 768]  # layers, heads, columns
NEW_TOKENS = 256
GROWTH_FACTORS = (1, 4, 16)

Item = Mapping[str, Any]


def contestant(name: str, job: str, options: argparse.Namespace, folder: Path, **changes: object) -> Contestant:
    """A process that answers as `generate_contestants` says."""
    settings = {
        "job": job,
        "peer": str(options.peer),
        "folder": str(folder),
        "shape": options.shape,
        "new_tokens": None,
        "chosen": [],
        "repeat": 1,
        "texts": str(folder / f"{job}.json"),
    }
    return Contestant(name, [sys.executable, "-m", "benchmarks.generate_contestants", json.dumps(settings | changes)])


def compare(options: argparse.Namespace, folder: Path, items: list[Item]) -> Iterator[str]:
    """The machine's limits, and a table for each length of the answers."""
    limits = measure_limits()
    print_limits(limits)
    for new_tokens, count in ((None, options.peer_prompts), (options.new_tokens, options.peer_long_prompts)):
        chosen = _spread_by_length(items, count)
        job = {"new_tokens": new_tokens, "chosen": chosen}
        contestants = [contestant("the book", "book", options, folder, **job)] if options.peer else []
        runs = run_in_turn([*contestants, contestant("ours", "ours", options, folder, **job)], options.rounds)
        least = least_seconds(items, new_tokens, options.shape, limits)
        runs["ours"] = [{**row, "share": 100 * least / row["answer_seconds"]} for row in runs["ours"]]
        total = f"{sum(_lengths(items, new_tokens)):,} tokens"
        yield f"\nAnswers of the references' lengths, {total}:\n" if new_tokens is None else f"\nLong ones, {total}:\n"
        yield from table(runs, COLUMNS, "answer_seconds")
        if options.peer:
            theirs, ours = (read_json(folder / f"{job}.json") for job in ("book", "ours"))
            equal = sum(text == ours[number] for number, text in zip(chosen, theirs, strict=True))
            tokens = [token for text in theirs for token in text]
            yield f"\nThe same tokens in {equal} of the {len(chosen)} answers of the book, "
            yield f"which have {len(tokens)} tokens, {len(set(tokens))} of them distinct."


def least_seconds(items: list[Item], new_tokens: int | None, shape: list[int], limits: Mapping[str, float]) -> float:
    """What the products with weights, and reading keys and values of each text once a token, take at the limits."""
    n_layer, _, n_embd = shape
    multiplied = read = 0
    for item, new in zip(items, _lengths(items, new_tokens), strict=True):
        prompt = len(item["prompt"])
        multiplied += 12 * n_layer * n_embd**2 * (prompt + new - 1) + VOCAB_SIZE * n_embd * new
        read += 2 * 4 * n_layer * n_embd * sum(range(prompt + 1, prompt + new))
    return 2e-9 * multiplied / peak_gflops(limits, "float32") + 1e-9 * read / limits["copy_gb_per_second"]


def growth(options: argparse.Namespace, folder: Path, items: list[Item]) -> Iterator[str]:
    """Ours on 1, 4 and 16 times the prompts at the references' lengths, and how it grows."""
    runs = [run(contestant("ours", "ours", options, folder, repeat=factor)) for factor in GROWTH_FACTORS]
    columns = {"answer_seconds": "s", "peak_mb": "peak memory, MB"}
    yield "| prompts | " + " | ".join(columns.values()) + " |"
    yield "|---" * (len(columns) + 1) + "|"
    for factor, figures in zip(GROWTH_FACTORS, runs, strict=True):
        yield f"| {factor * len(items):,} | " + " | ".join(f"{figures[key]:,.1f}" for key in columns) + " |"
    exponents = (growth_exponent(GROWTH_FACTORS, [figures[key] for figures in runs]) for key in columns)
    yield "| exponent | " + " | ".join(f"{exponent:.2f}" for exponent in exponents) + " |"


def _lengths(items: list[Item], new_tokens: int | None) -> list[int]:
    return [item["reference"] if new_tokens is None else new_tokens for item in items]


def _spread_by_length(items: list[Item], count: int) -> list[int]:
    """So many of the items, evenly spaced among all by the tokens of their prompts."""
    order = sorted(range(len(items)), key=lambda number: len(items[number]["prompt"]))
    return [order[(2 * place + 1) * len(items) // (2 * count)] for place in range(count)]


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--peer", type=Path, help="a checkout of rasbt/LLMs-from-scratch; without it, ours alone")
    parser.add_argument("--data", type=Path, required=True, help="the book's instruction-data.json")
    parser.add_argument("--peer-prompts", type=int, default=10, help="that the book answers at the references' lengths")
    parser.add_argument(
        "--peer-long-prompts", type=int, default=1, help="that it answers at full length, 1 minute each"
    )
    parser.add_argument("--new-tokens", type=int, default=NEW_TOKENS, help="of an answer of full length (%(default)s)")
    parser.add_argument("--shape", type=int, nargs=3, default=SHAPE, help="layers, heads, columns (124M's)")
    parser.add_argument("--rounds", type=int, default=1)
    parser.add_argument("--growth", action="store_true", help="ours at 1, 4 and 16 times the prompts")
    options = parser.parse_args()
    with TemporaryDirectory() as folder:
        items = prepare(Path(folder), options.data, options.shape)
        for line in (growth if options.growth else compare)(options, Path(folder), items):
            print(line, flush=True)


if __name__ == "__main__":
    main()
