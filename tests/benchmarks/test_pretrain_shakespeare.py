"""The race on tinyshakespeare, with a stand-in for nanoGPT."""

import sys
from pathlib import Path

import numpy as np
import pytest
import torch
from torch.nn import functional as F

from benchmarks import pretrain_shakespeare
from benchmarks.limits import PRECISIONS

MODEL = """
from dataclasses import dataclass

import torch
from torch import nn


@dataclass
class GPTConfig:
    vocab_size: int


class GPT(nn.Module):
    def __init__(self, config):
        super().__init__()
        self.table = nn.Embedding(config.vocab_size, config.vocab_size)

    def forward(self, tokens, targets=None):
        return self.table(tokens), None
"""
TRAIN = """
import sys
import torch
from model import GPT, GPTConfig

folder = next(each for each in sys.argv if each.startswith("--out_dir=")).partition("=")[2]
data = next(each for each in sys.argv if each.startswith("--dataset=")).partition("=")[2]
open(f"{data}/train.bin").close()
import os
os.makedirs(folder)
torch.manual_seed(0)
torch.save({"model_args": {"vocab_size": 9}, "model": GPT(GPTConfig(9)).state_dict()}, f"{folder}/ckpt.pt")
print("step 0: train loss 4.2, val loss 4.2")
for step, time in enumerate((900, 20, 30)):
    print(f"iter {step}: loss 4.2, time {time}.00ms, mfu -100.00%")
"""
PREPARE = """
import numpy as np

tokens = np.array([ord(letter) % 9 for letter in open("input.txt").read()], np.uint16)
tokens[:-300].tofile("train.bin")
tokens[-300:].tofile("val.bin")
"""


@pytest.fixture
def peer(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    folder = tmp_path / "peer"
    (folder / "data/shakespeare_char").mkdir(parents=True)
    (folder / "model.py").write_text(MODEL)
    (folder / "train.py").write_text(TRAIN)
    (folder / "data/shakespeare_char/prepare.py").write_text(PREPARE)
    monkeypatch.setattr(sys, "path", [*sys.path])
    monkeypatch.delitem(sys.modules, "model", raising=False)
    return folder


@pytest.fixture
def text(tmp_path: Path) -> Path:
    path = tmp_path / "input.txt"
    prompt = "ROMEO:"  # of the recipe: its characters must be in the alphabet
    path.write_text(prompt + "".join(chr(97 + number * number % 23) for number in range(4_000)))
    return path


def test_the_peer_runs_on_its_own_data_and_its_figures_are_read(peer: Path, text: Path, tmp_path: Path):
    files = sorted(peer.rglob("*"))
    data = tmp_path / "data"
    pretrain_shakespeare.prepare_peer(peer, text, data)
    contestant = pretrain_shakespeare.race_peer(peer, data, steps=2)
    figures = pretrain_shakespeare.run_in_turn([contestant], rounds=1)["nanoGPT"][0]
    assert figures["training_seconds"] == pytest.approx(0.95)
    assert figures["steps_per_second"] == pytest.approx(1 / 0.025)
    tokens = torch.from_numpy(np.fromfile(data / "val.bin", np.uint16).astype(np.int64))
    table = torch.load(data / "out/ckpt.pt", weights_only=True)["model"]["table.weight"]
    assert figures["val_loss"] == pytest.approx(F.cross_entropy(table[tokens[:-1]], tokens[1:]).item(), rel=1e-5)
    assert sorted(peer.rglob("*")) == files


@pytest.mark.slow
def test_the_whole_race_runs(
    peer: Path, text: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
):
    monkeypatch.setattr(pretrain_shakespeare, "measure_limits", dict)
    arguments = ["--peer", str(peer), "--text", str(text), "--steps", "2", "--recipe-steps", "2"]
    monkeypatch.setattr(sys, "argv", ["pretrain_shakespeare", *arguments])
    pretrain_shakespeare.main()
    output = capsys.readouterr().out
    rows = [line for line in output.splitlines() if line.startswith(("| nanoGPT", "| ours"))]
    assert len(rows) == 2 + len(PRECISIONS)
    assert all(float(cell.replace(",", "")) > 0 for row in rows for cell in row.strip(" |").split("|")[1:])
    assert "sooner in training" in output
