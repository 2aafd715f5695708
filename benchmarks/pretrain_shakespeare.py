"""Pretraining on tinyshakespeare by characters in nanoGPT's setting for a CPU: nanoGPT's train.py, and our pipeline.

`python -m benchmarks.pretrain_shakespeare --peer PATH --text PATH`: both as whole processes, on data that each prepared
before. Ours is the stage `pretrain` with the parameters of the recipe shakespeare-char, then with nanoGPT's own
optimization, in float32 and, where the processor has instructions for it, in bfloat16, as the recipe then is. The
validation loss is that over the whole validation text.
"""

import argparse
import re
import shutil
import statistics
import subprocess
import sys
import tempfile
from collections.abc import Callable, Mapping, Sequence
from functools import partial
from pathlib import Path
from typing import Any

import numpy as np
import torch
import yaml
from torch.nn import functional as F

from benchmarks.limits import PRECISIONS, measure_limits, print_limits
from benchmarks.side_by_side import Contestant, Figures, run_in_turn, table
from scratchlm.artifacts import read_json
from scratchlm.checksums import sha256_file
from scratchlm.recipes import recipe_text
from scratchlm.stages import RUNS

RECIPE = "shakespeare-char"
STEPS, BLOCK, BATCH, EVAL_INTERVAL = 2_000, 64, 12, 250
# As nanoGPT's README has it: "I only have a macbook".
PEER_SETTINGS = (
    "config/train_shakespeare_char.py --device=cpu --compile=False --eval_iters=20 --log_interval=1 "
    f"--block_size={BLOCK} --batch_size={BATCH} --n_layer=4 --n_head=4 --n_embd=128 --dropout=0.0"
).split()
# The same optimization for ours, with one evaluation, at the end, and no samples: what is compared is the step.
PEER_OPTIMIZATION = {
    "batch_tokens": BATCH * BLOCK,
    "micro_batch_size": BATCH,
    "optimizer": "adamw",
    "learning_rate": 1e-3,
    "schedule": "cosine",
    "min_learning_rate_ratio": 0.1,
    "warmup_steps": 100,
    "weight_decay": 0.1,
    "beta1": 0.9,
    "beta2": 0.99,
    "eval_tokens": BLOCK,
    "sample_prompts": [],
}
COLUMNS = {
    "seconds": "whole process, s",
    "training_seconds": "training, s",
    "steps_per_second": "steps/s",
    "val_loss": "validation loss",
    "peak_mb": "peak MB",
}


def prepare_peer(peer: Path, text: Path, folder: Path) -> None:
    """The data of nanoGPT, made by its prepare.py, which writes to where it stands."""
    folder.mkdir()
    shutil.copy(peer / "data/shakespeare_char/prepare.py", folder)
    shutil.copy(text, folder / "input.txt")
    subprocess.run([sys.executable, "prepare.py"], cwd=folder, check=True, stdout=subprocess.DEVNULL)


def race_peer(peer: Path, data: Path, steps: int) -> Contestant:
    """Its train.py; what it saves goes beside its data."""
    settings = [f"--max_iters={steps}", f"--lr_decay_iters={steps}", f"--eval_interval={min(EVAL_INTERVAL, steps)}"]
    folders = [f"--dataset={data}", f"--out_dir={data / 'out'}"]
    command = [sys.executable, "train.py", *PEER_SETTINGS, *settings, *folders]
    read = partial(read_peer, peer=peer, data=data)
    return Contestant("nanoGPT", command, peer, {"PYTHONDONTWRITEBYTECODE": "1"}, read)


def read_peer(output: str, peer: Path, data: Path) -> Figures:
    """The seconds of its steps are those without an evaluation."""
    times = {int(step): float(time) / 1e3 for step, time in re.findall(r"iter (\d+): .* time ([\d.]+)ms", output)}
    evaluated = {int(step) for step in re.findall(r"step (\d+): train loss", output)}
    alone = [seconds for step, seconds in times.items() if step not in evaluated]
    return {
        "training_seconds": sum(times.values()),
        "steps_per_second": 1 / statistics.fmean(alone),
        "val_loss": evaluate_peer(peer, data),
    }


@torch.no_grad()
def evaluate_peer(peer: Path, data: Path) -> float:
    """The loss of its last checkpoint over its whole validation text, in windows that tile it, as ours is."""
    sys.path.insert(0, str(peer))
    sys.dont_write_bytecode = True  # the peer's folder stays as it is
    from model import GPT, GPTConfig  # pyright: ignore

    checkpoint = torch.load(data / "out/ckpt.pt", weights_only=True)
    model = GPT(GPTConfig(**checkpoint["model_args"])).eval()
    model.load_state_dict(checkpoint["model"])
    tokens = torch.from_numpy(np.fromfile(data / "val.bin", np.uint16).astype(np.int64))
    whole = (len(tokens) - 1) // BLOCK * BLOCK
    pieces = [(tokens[:whole].view(-1, BLOCK), tokens[1 : whole + 1].view(-1, BLOCK))]
    if whole < len(tokens) - 1:
        pieces.append((tokens[None, whole:-1], tokens[None, whole + 1 :]))
    total = 0.0
    for inputs, targets in pieces:
        for rows, wanted in zip(inputs.split(128), targets.split(128), strict=True):
            logits, _ = model(rows, wanted)
            total += F.cross_entropy(logits.flatten(0, 1), wanted.flatten(), reduction="sum").item()
    return total / (len(tokens) - 1)


def prepare_ours(text: Path, project: Path) -> dict[str, Any]:
    """A project folder with the recipe's tokenizer and shards of the text; the recipe's parameters."""
    params = yaml.safe_load(recipe_text(RECIPE))
    params["fetch_corpus"]["sources"] = [{"url": str(text.resolve()), "sha256": sha256_file(text)}]
    write_params(project, params)
    for stage in ("fetch_corpus", "build_tokenizer", "shard_corpus"):
        contestant = our_stage(stage, project, stage, lambda _: {})
        run_in_turn([contestant], rounds=1)
    return params


def write_params(project: Path, params: Mapping[str, Any]) -> None:
    """params.yaml of a project folder, which is made."""
    project.mkdir(exist_ok=True)
    (project / "params.yaml").write_text(yaml.safe_dump(dict(params)))


def our_stage(name: str, project: Path, stage: str, read: Callable[[str], Figures]) -> Contestant:
    """A stage's own command in a project folder."""
    command = [sys.executable, "-m", f"pipeline.{stage}"]
    return Contestant(name, command, project, {"DVC_ROOT": str(project)}, read)


def race_ours(name: str, prepared: Path, params: Mapping[str, Any], changes: Mapping[str, Any]) -> Contestant:
    """The stage `pretrain` with some parameters changed, in a project folder of its own with the prepared data."""
    project = prepared.with_name(name.replace(" ", "-"))
    shutil.copytree(prepared, project)
    write_params(project, {**params, "pretrain": {**params["pretrain"], **changes}})
    return our_stage(name, project, "pretrain", partial(read_ours, project=project))


def read_ours(_: str, project: Path) -> Figures:
    """What the stage wrote; its state goes, so that the next round begins anew."""
    metrics, facts = (read_json(project / path) for path in ("metrics/pretrain.json", RUNS / "pretrain.json"))
    shutil.rmtree(project / ".work")
    return {
        "training_seconds": facts["training_seconds"],
        "steps_per_second": facts["steps_run"] / facts["training_seconds"],
        "val_loss": metrics["val_loss"],
    }


def sooner(runs: Mapping[str, Sequence[Figures]], key: str) -> float:
    """How many times sooner than nanoGPT the recipe is done, the median over the rounds."""
    return statistics.median(
        theirs[key] / ours[key] for theirs, ours in zip(runs["nanoGPT"], runs["ours"], strict=True)
    )


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--peer", type=Path, required=True, help="a checkout of karpathy/nanoGPT")
    parser.add_argument("--text", type=Path, required=True, help="tinyshakespeare's input.txt")
    parser.add_argument("--rounds", type=int, default=1)
    parser.add_argument("--steps", type=int, default=STEPS, help="of nanoGPT's optimization (%(default)s)")
    parser.add_argument("--recipe-steps", type=int, help="instead of the recipe's own")
    options = parser.parse_args()
    print_limits(measure_limits())
    with tempfile.TemporaryDirectory() as folder:
        data, prepared = Path(folder) / "nanogpt", Path(folder) / "prepared"
        prepare_peer(options.peer, options.text, data)
        params = prepare_ours(options.text, prepared)
        steps = options.steps
        equal = {**PEER_OPTIMIZATION, "steps": steps, "eval_every_steps": steps, "save_every_steps": steps}
        recipe = {"steps": options.recipe_steps or params["pretrain"]["steps"], "precision": PRECISIONS[-1]}
        contestants = [
            race_peer(options.peer.resolve(), data, steps),
            race_ours("ours", prepared, params, recipe),
        ]
        contestants += [
            race_ours(f"ours with AdamW in {precision}", prepared, params, {**equal, "precision": precision})
            for precision in PRECISIONS
        ]
        runs = run_in_turn(contestants, options.rounds)
    print("", *table(runs, COLUMNS), "", sep="\n")
    losses = {name: statistics.median(figures["val_loss"] for figures in own) for name, own in runs.items()}
    verdict = "reached" if losses["ours"] <= losses["nanoGPT"] else "NOT reached"
    times = f"{sooner(runs, 'training_seconds'):.1f}x sooner in training, {sooner(runs, 'seconds'):.1f}x as a whole"
    print(f"nanoGPT's loss is {verdict} by the recipe, {times}.")


if __name__ == "__main__":
    main()
