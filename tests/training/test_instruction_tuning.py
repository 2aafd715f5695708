"""Instruction tuning teaches answers, and keeps samples of them."""

from pathlib import Path

import pytest
import torch

from scratchlm.artifacts import write_json
from scratchlm.datasets.instructions import format_prompt
from scratchlm.errors import UserError
from scratchlm.models.lora import LoRAConfig
from scratchlm.models.sampling import SamplingConfig
from scratchlm.training.instruction_tuning import InstructionConfig, finetune_instruct
from tests.training.conftest import ByteTokenizer, byte_model, tiny_config

ENTRIES = [{"instruction": "Say it.", "input": word, "output": "ok"} for word in ("a", "b", "c", "d")]


def config(**changes: object) -> InstructionConfig:
    values = tiny_config(eval_every_steps=10, save_every_steps=10, learning_rate=3e-2).model_dump() | {
        "base": "pretrained",
        "train": "all",
        "lora": LoRAConfig(r=2, alpha=4.0),
        "dropout": 0.0,
        "epochs": 60,
        "batch_size": 4,
        "max_tokens": 255,
        "loss_on": "response",
        "sample": SamplingConfig(max_new_tokens=4, temperature=0.0, top_k=None, seed=0),
    }
    return InstructionConfig.model_validate(values | changes)


def tune(folder: Path, **changes: object):
    folder.mkdir(exist_ok=True)
    write_json(folder / "code.json", {})
    model = byte_model()
    before = {name: tensor.clone() for name, tensor in model.state_dict().items()}
    splits = {"train": ENTRIES, "val": ENTRIES[:1]}
    progress, _ = finetune_instruct(config(**changes), model, ByteTokenizer(), splits, folder)
    return model, progress, before


def test_it_learns_the_answer_and_the_end(tmp_path: Path):
    _, progress, _ = tune(tmp_path)
    assert progress.rows[-1]["val_loss"] < 0.1 < progress.rows[0]["val_loss"]
    assert progress.samples[-1] == {"step": 60, "prompt": format_prompt(ENTRIES[0]), "text": "ok"}


def test_lora_leaves_the_base_as_it_was(tmp_path: Path):
    model, _, before = tune(tmp_path, train="lora", epochs=2)
    after = model.state_dict()
    assert all(torch.equal(after[name], tensor) for name, tensor in before.items())
    assert any("lora_B" in name and bool(tensor.any()) for name, tensor in after.items())


def test_entries_that_are_all_too_long_are_one_line(tmp_path: Path):
    with pytest.raises(UserError, match="no examples"):
        tune(tmp_path, max_tokens=10)
