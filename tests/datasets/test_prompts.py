"""The prompt of an entry: the same tokens in training, at generation and in `transformers`, whatever the template."""

import re
from pathlib import Path
from typing import Any

import pytest
from transformers import AutoTokenizer

from scratchlm.datasets.prompts import TEMPLATES, choose_prompt, format_prompt, read_prompt
from scratchlm.datasets.tokenizers import load_tokenizer
from scratchlm.errors import UserError
from scratchlm.judging import responses
from scratchlm.judging.responses import ResponseConfig, respond
from scratchlm.models.lora import LoRAConfig
from scratchlm.params import read_params
from scratchlm.training.instruction_tuning import InstructionConfig, InstructionTuning
from tests.conftest import Workspace
from tests.tiny_model import greedy, save_tiny_model, tiny_gpt
from tests.training.conftest import tiny_config

ENTRY = {"instruction": "Name the capital.", "input": "France", "output": "Paris."}
ENTRIES = [ENTRY, ENTRY | {"input": ""}, {"instruction": "Is <|endoftext|> é?\r\n", "input": " {{ 1 }}", "output": "."}]
OWN = """{{ bos_token }}{% for message in messages %}
    {{- '[' + message['role'] + '] ' + message['content'] | trim + eos_token }}
{% endfor %}
{% if add_generation_prompt %}[assistant]{% endif %}
"""
PROMPTS = {"alpaca": "alpaca", "phi3": "phi3", "own": OWN}
HEADER = "Below is an instruction that describes a task. Write a response that appropriately completes the request."


def test_alpaca_is_the_prompt_of_the_book():
    asked = f"{HEADER}\n\n### Instruction:\nName the capital."
    assert format_prompt(ENTRY) == f"{asked}\n\n### Input:\nFrance\n\n### Response:\n"
    assert format_prompt(ENTRY | {"input": ""}) == f"{asked}\n\n### Response:\n"


def test_phi3_marks_who_speaks_and_puts_the_input_on_the_next_line(tmp_path: Path):
    template = choose_prompt("phi3", save_tiny_model(tmp_path / "base"))
    assert format_prompt(ENTRY, template) == "<|user|>\nName the capital.\nFrance\n<|assistant|>\n"
    turns = [{"role": role, "content": text} for role, text in (("user", "Hi"), ("assistant", "Ho"), ("user", "Hm"))]
    assert template.render(turns) == "<|user|>\nHi\n<|assistant|>\nHo\n<|user|>\nHm\n<|assistant|>\n"


def tuning_config(prompt: str) -> InstructionConfig:
    values = tiny_config().model_dump() | {"base": "base", "prompt": prompt, "train": "all", "dropout": 0.0}
    values |= {"lora": LoRAConfig(r=1, alpha=1.0), "epochs": 1, "batch_size": 4, "max_tokens": 512}
    return InstructionConfig.model_validate(
        values | {"too_long": "error", "loss_on": "response", "sample": greedy(2).model_dump()}
    )


@pytest.mark.parametrize("prompt", PROMPTS.values(), ids=PROMPTS)
def test_training_generation_and_transformers_read_the_same_tokens(
    tmp_path: Path, prompt: str, monkeypatch: pytest.MonkeyPatch
):
    base = save_tiny_model(tmp_path / "base")
    template, tokenizer = choose_prompt(prompt, base), load_tokenizer(base)
    splits = {"train": ENTRIES, "val": ENTRIES}
    tuning = InstructionTuning(tuning_config(prompt), tiny_gpt(), template, tokenizer, splits)
    ends = [len(example.tokens) - example.target_count + 1 for example in tuning.examples["train"]]
    trained = [list(example.tokens[:end]) for example, end in zip(tuning.examples["train"], ends, strict=True)]

    saved = save_tiny_model(tmp_path / "instruct", chat_template=template.source)
    asked: dict[int, list[int]] = {}  # by the seed, which goes by the position of the entry: batches are by length

    def record(
        model: Any, prompts: list[list[int]], config: Any, eot_id: int, batch_size: int, seeds: list[int], *_: Any
    ) -> list[list[int]]:
        asked.update(zip(seeds, prompts, strict=True))
        return [[] for _ in prompts]

    monkeypatch.setattr(responses, "generate", record)
    sampling = greedy(2).model_dump() | {"model": "instruct", "stop_strings": [], "batch_size": 2}
    respond(tiny_gpt(), tokenizer, read_prompt(saved), ENTRIES, ResponseConfig.model_validate(sampling))

    theirs = AutoTokenizer.from_pretrained(saved)
    between = "\n\n### Input:\n" if prompt == "alpaca" else "\n"
    expected = [
        theirs.apply_chat_template(
            [{"role": "user", "content": between.join(filter(None, (entry["instruction"], entry["input"])))}],
            add_generation_prompt=True,
            return_dict=False,
            sanitize_control_tokens=True,
        )
        for entry in ENTRIES
    ]
    assert trained == [asked[seed] for seed in sorted(asked)] == expected
    assert expected[0].count(tokenizer.eot_id) == (2 if prompt == OWN else 0)


def test_a_model_without_a_template_is_asked_in_alpacas(tmp_path: Path):
    assert read_prompt(save_tiny_model(tmp_path / "base")).source == TEMPLATES["alpaca"]


@pytest.mark.parametrize(
    ("prompt", "message"),
    [
        ("chatml", "finetune_instruct.prompt is 'chatml', but it should be alpaca, phi3 or a chat template in Jinja"),
        ("{{ strftime_now('%d') }}", "should not name strftime_now: the model would depend on the day"),
    ],
)
def test_what_is_no_template_is_refused_with_the_parameters(workspace: Workspace, prompt: str, message: str):
    workspace.set("finetune_instruct.prompt", prompt)
    with pytest.raises(UserError, match=re.escape(message)):
        read_params("finetune_instruct", InstructionConfig)


@pytest.mark.parametrize(
    ("prompt", "message"),
    [
        ("{% for %}", "is no Jinja that can be read"),
        ("{{ messages[0].text }}Answer:", "leaves out what a user asks; let it write message['content']"),
    ],
)
def test_a_template_that_cannot_ask_is_one_line(tmp_path: Path, prompt: str, message: str):
    base = save_tiny_model(tmp_path / "base")
    with pytest.raises(UserError, match=re.escape(f"the parameter `prompt`: the chat template {message}")):
        choose_prompt(prompt, base)
