"""EleutherAI's harness, on a task in a file, measures what this project computes."""

import json
import math
import os
import subprocess
import sys
from pathlib import Path

import pytest
import torch

from scratchlm.artifacts import read_json, write_jsonl
from scratchlm.datasets.tokenizers import load_tokenizer
from scratchlm.models.storage import load_gpt

LINES = ["What is the capital of France", "No effort moves you", "Every colour is a colour of France"]


def write_task(folder: Path) -> None:
    """The task `lines`: the probability of each line of a file."""
    write_jsonl(folder / "lines.jsonl", ({"text": line} for line in LINES))
    task = {
        "task": "lines",
        "dataset_path": "json",
        "dataset_kwargs": {"data_files": {"test": str(folder / "lines.jsonl")}},
        "test_split": "test",
        "output_type": "loglikelihood_rolling",
        "doc_to_text": "",
        "doc_to_target": "{{text}}",
        "metric_list": [{"metric": "bits_per_byte"}],
    }
    (folder / "lines.yaml").write_text(json.dumps(task))  # JSON is YAML


@torch.no_grad()
def our_bits_per_byte(directory: Path) -> float:
    """Of all lines together, each after an end of text."""
    model, tokenizer = load_gpt(directory), load_tokenizer(directory)
    nats = 0.0
    for line in LINES:
        tokens = torch.tensor([tokenizer.eot_id, *tokenizer.encode(line)])
        nats += float(torch.nn.functional.cross_entropy(model(tokens[None, :-1])[0], tokens[1:], reduction="sum"))
    return nats / math.log(2) / sum(len(line.encode()) for line in LINES)


@pytest.mark.parametrize("tokenizer_directory", ["bytes"], indirect=True)
def test_bits_per_byte_of_a_padded_batch_are_ours(language_model: Path, tmp_path: Path):
    write_task(tmp_path)
    command = ["-m", "lm_eval", "run", "--model", "hf", "--model_args", f"pretrained={language_model}"]
    command += ["--tasks", str(tmp_path / "lines.yaml"), "--device", "cpu", "--batch_size", "3"]
    environment = {"HF_HUB_OFFLINE": "1", "HF_HOME": str(tmp_path / "cache")}
    done = subprocess.run(
        [sys.executable, *command, "--output_path", str(tmp_path / "results.json")],
        env=os.environ | environment,
        capture_output=True,
        text=True,
        timeout=240,
    )
    assert done.returncode == 0, done.stderr
    [file] = tmp_path.glob("results*.json")
    measured = read_json(file)["results"]["lines"]["bits_per_byte,none"]
    assert measured == pytest.approx(our_bits_per_byte(language_model), rel=1e-5)
