"""The stage finetune_dpo, as DVC runs it."""

import re
import signal
import time
from pathlib import Path

import pytest
import torch

from pipeline import generate_responses
from pipeline.finetune_dpo import main
from scratchlm.artifacts import read_json, read_jsonl
from scratchlm.checksums import verify_manifest
from scratchlm.datasets.entries import write_splits
from scratchlm.datasets.prompts import TEMPLATES, read_prompt
from scratchlm.errors import UserError
from scratchlm.models.storage import load_gpt
from scratchlm.reporting.model_card import read_lineage
from tests.conftest import Workspace
from tests.records import list_jsonl, sha256_directory
from tests.tiny_model import save_tiny_model, tiny_gpt

PAIRS = [{"instruction": f"Say {n}.", "input": "", "chosen": "ok", "rejected": "no way!"} for n in range(24)]
SETTINGS = {
    "names": ["dpo"],
    "epochs": 3,
    "batch_size": 4,
    "micro_batch_size": 2,
    "learning_rate": 1e-2,
    "eval_every_steps": 5,
    "sample.max_new_tokens": 3,
}
BASE, MODEL = Path("data/models/instruct"), Path("data/models/dpo")


@pytest.fixture(autouse=True)
def project(workspace: Workspace, monkeypatch: pytest.MonkeyPatch) -> None:
    """A model that answers in the style of Phi-3, preferences, and the argument that DVC gives."""
    monkeypatch.setattr("sys.argv", ["finetune_dpo", "dpo"])
    save_tiny_model(BASE, tiny_gpt(context_length=256), chat_template=TEMPLATES["phi3"])
    splits = {"train": PAIRS[:16], "val": PAIRS[16:20], "test": PAIRS[20:]}
    write_splits(Path("data/preferences"), splits)
    for key, value in SETTINGS.items():
        workspace.set(f"finetune_dpo.{key}", value)


def test_it_writes_a_model_that_prefers_and_that_answers_in_the_prompt_of_its_base(
    workspace: Workspace, monkeypatch: pytest.MonkeyPatch
):
    main()
    metrics = read_json(Path("metrics/finetune_dpo_dpo.json"))
    assert (metrics["test_reward_accuracy"], metrics["test_pairs"]) == (1, 4)
    assert metrics["test_reward_margin_low"] <= metrics["test_reward_margin"] <= metrics["test_reward_margin_high"]
    assert metrics["steps"] == 12
    assert read_prompt(MODEL).source == TEMPLATES["phi3"]
    own, *_ = read_lineage(MODEL / "README.md")
    assert own["read"].keys() == {str(BASE), "data/preferences"}
    losses, rewards = (
        Path(f"metrics/plots/finetune_dpo_dpo_{curve}.csv").read_text().splitlines()[0] for curve in ("loss", "rewards")
    )
    assert all(f'"{name}"' in losses for name in ("step", "train_loss", "val_loss"))
    assert all(f'"{name}"' in rewards for name in ("step", "val_reward_accuracy", "val_reward_margin"))
    samples = read_jsonl(Path("data/samples/finetune_dpo_dpo.jsonl"))
    assert samples[0]["prompt"] == "<|user|>\nSay 16.\n<|assistant|>\n"

    first = sha256_directory(MODEL)
    monkeypatch.setenv("SCRATCHLM_RESUME", "fresh")
    main()
    assert sha256_directory(MODEL) == first

    list_jsonl(Path("data/instructions/test.jsonl"), [{"instruction": "Say it.", "input": "", "output": "ok"}])
    answers = []
    for name in ("instruct", "dpo"):
        workspace.set("generate_responses.model", name)
        generate_responses.main()
        answers.append(read_jsonl(Path("data/responses/test.jsonl"))[0]["response"])
    assert answers[0] != answers[1]


@torch.no_grad()
def test_lora_leaves_an_adapter_beside_the_merged_model(workspace: Workspace):
    workspace.set("finetune_dpo.train", "lora")
    with torch.enable_grad():
        main()
    verify_manifest(MODEL / "adapter")
    assert read_json(MODEL / "adapter/adapter_config.json")["base_model_name_or_path"] == str(BASE)
    tokens = torch.randint(256, (1, 16), generator=torch.Generator().manual_seed(0))
    assert (load_gpt(MODEL)(tokens) - load_gpt(BASE)(tokens)).abs().max() > 0.01


@pytest.mark.slow
def test_a_killed_training_goes_on_and_ends_with_the_same_bytes(workspace: Workspace):
    workspace.set("finetune_dpo.save_every_steps", 1)
    workspace.set("finetune_dpo.epochs", 20)
    stage = workspace.start("finetune_dpo", "dpo")
    while stage.is_running() and not list(Path(".work/finetune_dpo").glob("*/step-*")):
        time.sleep(0.01)
    stage.send_signal(signal.SIGKILL)
    assert stage.wait().returncode == -signal.SIGKILL
    assert not MODEL.exists()
    done = workspace.run("finetune_dpo", "dpo")
    assert done.returncode == 0, done.stderr
    assert read_json(Path("metrics/runs/finetune_dpo_dpo.json"))["steps_run"] < 80
    resumed = sha256_directory(MODEL)
    assert workspace.run("finetune_dpo", "dpo", SCRATCHLM_RESUME="fresh").returncode == 0
    assert sha256_directory(MODEL) == resumed


@pytest.mark.parametrize(
    ("key", "value", "message"),
    [
        ("names", [], "the argument 'dpo' is not in finetune_dpo.names []"),
        ("names", ["instruct"], "it must not hold the base, which it would overwrite"),
        ("beta", 0.0, "finetune_dpo.beta is 0.0, but it should be greater than 0"),
        ("max_tokens", 512, "max_tokens 512 exceeds the 256 positions of data/models/instruct; lower "),
        ("micro_batch_size", 10**7, "with micro_batch_size 10000000 of 512 tokens needs about"),
    ],
)
def test_a_wrong_setting_is_refused(workspace: Workspace, key: str, value: object, message: str):
    workspace.set(f"finetune_dpo.{key}", value)
    with pytest.raises(UserError, match=re.escape(message)):
        main()
    assert not MODEL.exists()
