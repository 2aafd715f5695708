"""One training step of a GPT-2, forward, backward, clipping and AdamW: nanoGPT, the book, transformers, and ours.

`python -m benchmarks.pretrain_step --nanogpt PATH --book PATH` takes 124M's shape and 4 x 256 tokens on the CPU, in
float32 and in bfloat16. On a GPU, where DVC and TensorFlow are not needed: `--device cuda --compile --batch-size 16
--seq-len 1024 --precision bfloat16`, with `--shape 24 16 1024` for 355M. `--profile` shows where a step of ours goes,
`--growth` what more parameters and more tokens cost it.
"""

import argparse
import json
import statistics
import sys
import time
from collections.abc import Sequence
from pathlib import Path

import torch

from benchmarks.limits import PRECISIONS, describe_machine
from benchmarks.side_by_side import Contestant, Figures, growth_exponent, run_in_turn, spread, table
from benchmarks.step_contestants import STEPS, Step
from scratchlm.training.bench import device_name, synchronizer, time_runs

COLUMNS = {
    "step_seconds": "s a step",
    "tokens_per_second": "tokens/s",
    "peak_mb": "peak memory, MB",
    "share": "% of limit",
}
LIMIT_MATRIX = {"cpu": 2_048, "cuda": 8_192}
PROFILE_ROWS = 15
GROWTH_SHAPE, GROWTH_TOKENS, GROWTH_FACTORS = (6, 6, 192), (1, 256), (1, 4, 16)


def measure_step(options: argparse.Namespace) -> Figures:
    """The median of the steps of one contestant, in this process."""
    synchronize = synchronizer(torch.device(options.device))
    step = STEPS[options.contestant](options)
    seconds = []
    for _ in range(options.warm_up + options.steps):
        synchronize()
        start = time.perf_counter()
        step()
        synchronize()
        seconds.append(time.perf_counter() - start)
    if options.profile:
        print_profile(step, options.device)
    median = statistics.median(seconds[options.warm_up :])
    figures = {"step_seconds": median, "tokens_per_second": options.batch_size * options.seq_len / median}
    return figures | ({"peak_mb": torch.cuda.max_memory_allocated() / 1e6} if options.device == "cuda" else {})


def print_profile(step: Step, device: str) -> None:
    """The operators that took most of one step, each with its calls and its share."""
    with torch.profiler.profile() as profile:
        step()
    key = "self_cpu_time_total" if device == "cpu" else "self_device_time_total"
    rows = sorted(profile.key_averages(), key=lambda row: getattr(row, key), reverse=True)
    total = sum(getattr(row, key) for row in rows)
    print("| operator of our step | calls | share |\n|---|---|---|", file=sys.stderr)
    for row in rows[:PROFILE_ROWS]:
        print(f"| {row.key} | {row.count} | {getattr(row, key) / total:.1%} |", file=sys.stderr)


def flops_per_token(shape: Sequence[int], vocab_size: int, seq_len: int) -> float:
    """6 a parameter but for positions, and 12 x layers x width x seq_len for attention (Chowdhery et al. 2022, B)."""
    n_layer, _, n_embd = shape
    return 6 * (12 * n_layer * n_embd**2 + vocab_size * n_embd) + 12 * n_layer * n_embd * seq_len


def measure_limit(device: torch.device, precision: str) -> float:
    """FLOP/s of the fastest product of two large square matrices in this precision."""
    size = LIMIT_MATRIX[device.type]
    a, b = (torch.randn(size, size, device=device).to(getattr(torch, precision)) for _ in range(2))
    products: list[Step] = [lambda: a @ b]
    if device.type == "cpu":
        products.append(lambda: torch.ops.mkldnn._linear_pointwise(a, b, None, "none", [], ""))
    return 2 * size**3 / min(statistics.median(time_runs(product, synchronizer(device))) for product in products)


def contestant(name: str, options: argparse.Namespace, **changes: object) -> Contestant:
    """A process of this module that measures one contestant."""
    settings = {**vars(options), **changes, "contestant": name, "profile": options.profile and name == "ours"}
    module = [sys.executable, "-m", "benchmarks.pretrain_step"]
    return Contestant(name, [*module, "--settings", json.dumps(settings, default=str)])


def compare(options: argparse.Namespace, precision: str) -> None:
    """Print the table of one precision."""
    device = torch.device(options.device)
    limit = measure_limit(device, precision)
    flops = flops_per_token(options.shape, options.vocab_size, options.seq_len)
    names = [name for name in STEPS if name in ("transformers", "ours") or getattr(options, name.lower())]
    runs = run_in_turn([contestant(name, options, precision=precision) for name in names], options.rounds)
    for own in runs.values():
        own[:] = [{**row, "share": 100 * row["tokens_per_second"] * flops / limit} for row in own]
    print(f"\n{precision}: the limit is {limit / 1e9:,.0f} GFLOP/s, a token takes {flops / 1e9:.3f} GFLOP.\n")
    print(*table(runs, COLUMNS, "step_seconds"), sep="\n")


def print_growth(options: argparse.Namespace, precision: str) -> None:
    """Time and memory of our step with so many times the parameters of the blocks, and so many times the tokens."""
    (n_layer, n_head, n_embd), (batch_size, seq_len) = GROWTH_SHAPE, GROWTH_TOKENS
    wider = [{"shape": (n_layer, n_head, round(n_embd * factor**0.5))} for factor in GROWTH_FACTORS]
    longer = [{"batch_size": batch_size * factor} for factor in GROWTH_FACTORS]
    base = {"shape": GROWTH_SHAPE, "batch_size": batch_size, "seq_len": seq_len, "vocab_size": 2_048}
    print(f"\n{precision}: what grows | " + " | ".join(f"{factor}x" for factor in GROWTH_FACTORS) + " | exponent |")
    for what, changes in {"parameters of the blocks": wider, "tokens": longer}.items():
        runs = [
            run_in_turn([contestant("ours", options, **(base | change), precision=precision)], options.rounds)["ours"]
            for change in changes
        ]
        for key in ("step_seconds", "peak_mb"):
            columns = [[figures[key] for figures in own] for own in runs]
            exponent = growth_exponent(GROWTH_FACTORS, [statistics.median(column) for column in columns])
            print(f"| {what}: {COLUMNS[key]} | " + " | ".join(map(spread, columns)) + f" | {exponent:.2f} |")


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--nanogpt", type=Path, help="a checkout of karpathy/nanoGPT")
    parser.add_argument("--book", type=Path, help="a checkout of rasbt/LLMs-from-scratch")
    parser.add_argument("--shape", type=int, nargs=3, default=[12, 12, 768], help="layers, heads, width (124M's)")
    parser.add_argument("--vocab-size", type=int, default=50_257)
    parser.add_argument("--batch-size", type=int, default=4)
    parser.add_argument("--seq-len", type=int, default=256)
    parser.add_argument("--precision", nargs="+", default=PRECISIONS, choices=["float32", "bfloat16"])
    parser.add_argument("--device", default="cpu", choices=["cpu", "cuda"])
    parser.add_argument("--compile", action="store_true")
    parser.add_argument("--warm-up", type=int, default=2, help="steps that are not counted (%(default)s)")
    parser.add_argument("--steps", type=int, default=3, help="in each process (%(default)s)")
    parser.add_argument("--rounds", type=int, default=1)
    parser.add_argument("--profile", action="store_true")
    parser.add_argument("--growth", action="store_true")
    parser.add_argument("--settings", help=argparse.SUPPRESS)
    options = parser.parse_args()
    if options.settings:
        print(json.dumps(measure_step(argparse.Namespace(**json.loads(options.settings)))))
        return
    print(f"{describe_machine()}, on {device_name(torch.device(options.device))}", flush=True)
    for precision in options.precision:
        (print_growth if options.growth else compare)(options, precision)


if __name__ == "__main__":
    main()
