"""Instruction tuning teaches answers, and keeps samples of them."""

from pathlib import Path

import pytest
import torch

from scratchlm.datasets.instructions import format_prompt
from scratchlm.errors import UserError
from scratchlm.models.lora import LoRAConfig
from scratchlm.models.sampling import SamplingConfig
from scratchlm.training.batches import IGNORED
from scratchlm.training.instruction_tuning import InstructionConfig, InstructionTuning, instruction_example
from tests.training.conftest import ByteTokenizer, byte_model, tiny_config

TOKENIZER = ByteTokenizer()
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
        "sample": SamplingConfig(
            max_new_tokens=4, temperature=0.0, top_k=None, top_p=1.0, repetition_penalty=1.0, seed=0
        ),
    }
    return InstructionConfig.model_validate(values | changes)


def tune(folder: Path, **changes: object):
    folder.mkdir(exist_ok=True)
    model = byte_model()
    before = {name: tensor.clone() for name, tensor in model.state_dict().items()}
    splits = {"train": ENTRIES, "val": ENTRIES[:1]}
    progress, _ = InstructionTuning(config(**changes), model, TOKENIZER, splits).fit(folder)
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


def test_the_response_and_the_end_of_text_are_the_targets():
    example = instruction_example(ENTRIES[0], TOKENIZER, "response")
    prompt = format_prompt(ENTRIES[0])
    assert TOKENIZER.decode(example.tokens) == prompt + "ok"
    assert list(example.target) == [IGNORED] * (len(prompt) - 1) + [*b"ok", 256]
    assert example.target_count == 3


def test_the_loss_on_all_predicts_every_next_token():
    example = instruction_example(ENTRIES[0], TOKENIZER, "all")
    assert list(example.target) == [*example.tokens[1:], 256]


def test_entries_that_do_not_fit_are_left_out_and_counted():
    long = ENTRIES[0] | {"input": "x" * 100}
    splits = {"train": [*ENTRIES, long], "val": [long, ENTRIES[0]]}
    tuning = InstructionTuning(config(max_tokens=200), byte_model(), TOKENIZER, splits)
    assert tuning.left_out == 2
    assert [len(tuning.examples[name]) for name in ("train", "val")] == [4, 1]
    assert tuning.sampled == [ENTRIES[0]]


@pytest.mark.parametrize(("split", "message"), [("train", "no examples"), ("val", "no entry of the validation split")])
def test_a_split_that_is_all_too_long_is_one_line(tmp_path: Path, split: str, message: str):
    splits = {"train": ENTRIES, "val": ENTRIES} | {split: [ENTRIES[0] | {"input": "x" * 300}]}
    with pytest.raises(UserError, match=message):
        InstructionTuning(config(max_tokens=200), byte_model(), TOKENIZER, splits).fit(tmp_path)
