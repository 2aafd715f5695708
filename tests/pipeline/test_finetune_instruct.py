"""The stage finetune_instruct."""

from pathlib import Path

import pytest

from scratchlm.artifacts import read_json, read_jsonl
from scratchlm.checksums import sha256_file
from scratchlm.datasets.entries import write_splits
from scratchlm.datasets.prompts import TEMPLATES
from scratchlm.models.storage import load_gpt
from tests.conftest import Workspace
from tests.tiny_model import save_tiny_model, tiny_gpt

ENTRIES = [{"instruction": "Say it.", "input": word, "output": "ok"} for word in "abcdefgh"]


@pytest.fixture(autouse=True)
def project(workspace: Workspace) -> None:
    """Entries with one answer."""
    save_tiny_model(Path("data/models/tiny"), tiny_gpt(context_length=256))
    write_splits(Path("data/instructions"), {"train": ENTRIES, "val": ENTRIES[:2], "test": ENTRIES[:2]})
    settings = {"base": "tiny", "epochs": 2, "batch_size": 4, "micro_batch_size": 4, "eval_every_steps": 2}
    for key, value in settings.items():
        workspace.set(f"finetune_instruct.{key}", value)


def test_it_writes_a_model_that_carries_its_prompt(workspace: Workspace):
    done = workspace.run("finetune_instruct")
    assert done.returncode == 0, done.stderr
    load_gpt(Path("data/models/instruct"))
    config = read_json(Path("data/models/instruct/tokenizer_config.json"))
    assert config["chat_template"] == TEMPLATES["alpaca"]
    metrics = read_json(Path("metrics/finetune_instruct.json"))
    counts = dict.fromkeys(("train_too_long", "train_left_out", "val_too_long", "val_left_out"), 0)
    assert counts.items() | {("steps", 4)} <= metrics.items()
    samples = read_jsonl(Path("data/samples/finetune_instruct.jsonl"))
    assert [sample["step"] for sample in samples] == [2, 2, 4, 4]


def test_dropout_gives_other_weights(workspace: Workspace):
    weights = []
    for dropout in (0.0, 0.5):
        workspace.set("finetune_instruct.dropout", dropout)
        assert workspace.run("finetune_instruct").returncode == 0
        weights.append(sha256_file(Path("data/models/instruct/model.safetensors")))
    assert weights[0] != weights[1]


def test_an_unknown_part_is_one_line_with_the_choices(workspace: Workspace):
    workspace.set("finetune_instruct.train", "head")
    done = workspace.run("finetune_instruct")
    assert done.returncode == 1
    assert done.stderr == (
        "finetune_instruct: params.yaml: finetune_instruct.train is 'head', "
        "but it should be 'all', 'last_two_blocks', 'last_block' or 'lora'.\n"
    )


def test_entries_that_are_too_long_are_one_line_where_they_are_an_error(workspace: Workspace):
    long = {"instruction": "Say it.", "input": "", "output": 200 * "o"}
    write_splits(Path("data/instructions"), {"train": [*ENTRIES, long], "val": ENTRIES[:2]})
    workspace.set("finetune_instruct.too_long", "error")
    done = workspace.run("finetune_instruct")
    assert done.returncode == 1
    assert done.stderr.startswith("finetune_instruct: 1 of the 9 entries of train have more than 256 tokens, entry 9 ")
    assert len(done.stderr.splitlines()) == 1
    assert not Path("data/models/instruct").exists()
