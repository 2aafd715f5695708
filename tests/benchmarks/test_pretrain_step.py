"""A tiny step of ours and of transformers is measured, and one of a stand-in for nanoGPT."""

import subprocess
import sys
from pathlib import Path

import pytest

from tests.conftest import ROOT

SIZES = {"--vocab-size": "64", "--batch-size": "2", "--seq-len": "8", "--warm-up": "1", "--steps": "1"}
TINY = ["--shape", "1", "2", "16", "--precision", "float32", *(word for pair in SIZES.items() for word in pair)]

# What train.py wants of nanoGPT's model.py.
MODEL = """
from dataclasses import dataclass

import torch
from torch import nn
from torch.nn import functional as F


@dataclass
class GPTConfig:
    block_size: int
    vocab_size: int
    n_layer: int
    n_head: int
    n_embd: int
    dropout: float
    bias: bool


class GPT(nn.Module):
    def __init__(self, config):
        super().__init__()
        self.embed = nn.Embedding(config.vocab_size, config.n_embd)

    def forward(self, tokens, targets):
        logits = F.linear(self.embed(tokens), self.embed.weight)
        return logits, F.cross_entropy(logits.flatten(0, 1), targets.flatten())

    def configure_optimizers(self, weight_decay, learning_rate, betas, device_type):
        return torch.optim.AdamW(self.parameters(), lr=learning_rate, betas=betas, weight_decay=weight_decay)
"""


def run(*arguments: str) -> str:
    command = [sys.executable, "-m", "benchmarks.pretrain_step", *TINY, *arguments]
    done = subprocess.run(command, cwd=ROOT, capture_output=True, text=True)
    assert done.returncode == 0, done.stderr
    return done.stderr + done.stdout  # the profile, then the table


def test_every_contestant_has_a_row_and_ours_a_profile(tmp_path: Path):
    (tmp_path / "model.py").write_text(MODEL)
    lines = run("--nanogpt", str(tmp_path), "--profile").splitlines()
    rows = [[cell.strip() for cell in line.strip("|").split("|")] for line in lines if line.startswith("| ")]
    assert [row[0] for row in rows if row[0] in ("nanoGPT", "book", "transformers", "ours")] == [
        "nanoGPT",
        "transformers",
        "ours",
    ]
    assert any(row[0].startswith("aten::") for row in rows)
    assert all(float(cell.replace(",", "")) > 0 for cell in rows[-1][1:])


def test_growth_has_exponents(monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]):
    from benchmarks import pretrain_step

    monkeypatch.setattr(
        pretrain_step,
        "run_in_turn",
        lambda contestants, rounds: {
            "ours": [{"step_seconds": 2.0 * contestants[0].size, "peak_mb": 100.0} for _ in range(rounds)]
        },
    )

    class Sized:
        def __init__(self, name: str, options: object, *, shape: tuple[int, ...], batch_size: int, **_: object) -> None:
            self.size = shape[2] ** 2 * batch_size

    monkeypatch.setattr(pretrain_step, "contestant", Sized)
    monkeypatch.setattr(sys, "argv", ["pretrain_step", *TINY, "--growth"])
    pretrain_step.main()
    exponents = [line.rstrip(" |").split("| ")[-1] for line in capsys.readouterr().out.splitlines()[-4:]]
    assert exponents == ["1.00", "0.00", "1.00", "0.00"]
