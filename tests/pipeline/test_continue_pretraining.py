"""The stage continue_pretraining, as DVC runs it."""

import math
import re
from pathlib import Path
from typing import Any

import pytest
import torch
from safetensors.torch import load_file

from pipeline.continue_pretraining import main
from scratchlm.artifacts import read_json, read_jsonl
from scratchlm.checksums import verify_manifest
from scratchlm.datasets.entries import write_splits
from scratchlm.errors import UserError
from scratchlm.models.storage import load_gpt
from scratchlm.reporting.model_card import read_lineage
from tests.conftest import Workspace
from tests.corpora import write_byte_tokenizer, write_shards
from tests.records import edit_sealed, sha256_directory
from tests.tiny_model import save_tiny_model, tiny_gpt

SETTINGS = {
    "names": ["domain"],
    "base": "general",
    "seq_len": 32,
    "steps": 20,
    "batch_tokens": 128,
    "micro_batch_size": 4,
    "learning_rate": 1e-2,
    "eval_every_steps": 10,
    "sample_prompts": ["the "],
    "sample.max_new_tokens": 4,
}
BASE, MODEL = Path("data/models/general"), Path("data/models/domain")


@pytest.fixture(autouse=True)
def project(workspace: Workspace) -> None:
    """A base, and shards of a text that it has not seen."""
    save_tiny_model(BASE, tiny_gpt(context_length=256))
    texts = ["the cat sat on the mat. " * 20] * 20
    tokenizer = write_byte_tokenizer(Path("data/tokenizer"))
    write_shards(Path("data/tokens"), tokenizer, {"train": texts, "val": texts[:2]}, shard_tokens=4_000)
    for key, value in SETTINGS.items():
        workspace.set(f"continue_pretraining.{key}", value)


def test_it_writes_a_model_that_has_learnt_and_that_finetuning_starts_from(workspace: Workspace):
    done = workspace.run("continue_pretraining", "domain")
    assert done.returncode == 0, done.stderr
    metrics = read_json(Path("metrics/continue_pretraining_domain.json"))
    assert metrics["val_loss"] < metrics["base_val_loss"] - 1
    assert metrics["tokens_seen"] == 20 * 128
    assert metrics["parameters"] == metrics["trained_parameters"] == load_gpt(MODEL).num_parameters()
    assert [row["step"] for row in read_jsonl(Path("data/samples/continue_pretraining_domain.jsonl"))] == [10, 20]
    curve = Path("metrics/plots/continue_pretraining_domain_loss.csv").read_text().splitlines()
    assert len(curve) == 3
    first = sha256_directory(MODEL)
    assert workspace.run("continue_pretraining", "domain", SCRATCHLM_RESUME="fresh").returncode == 0
    assert sha256_directory(MODEL) == first

    entries = [{"instruction": "Say it.", "input": "", "output": "ok"}] * 4
    write_splits(Path("data/instructions"), {"train": entries, "val": entries[:1], "test": entries[:1]})
    for key, value in {"base": "domain", "epochs": 1}.items():
        workspace.set(f"finetune_instruct.{key}", value)
    done = workspace.run("finetune_instruct")
    assert done.returncode == 0, done.stderr
    own, base = read_lineage(Path("data/models/instruct/README.md"))
    assert own["read"].keys() == {"data/models/domain", "data/instructions"}
    assert base["training"]["metrics"].items() <= metrics.items()
    assert {"val_loss", "base_val_loss"} <= base["training"]["metrics"].keys()
    assert [row["step"] for row in base["training"]["curve"]] == [10, 20]
    assert base["training"]["samples"] == read_jsonl(Path("data/samples/continue_pretraining_domain.jsonl"))


def test_random_weights_take_only_the_shape_of_the_base_and_other_shards_may_be_named(workspace: Workspace):
    Path("data/tokens").rename("data/message_tokens")
    workspace.set("continue_pretraining.tokens", "message_tokens")
    workspace.set("continue_pretraining.seed", 1)  # that of the base is 0
    losses = []
    for weights in ("pretrained", "random"):
        workspace.set("continue_pretraining.weights", weights)
        done = workspace.run("continue_pretraining", "domain")
        assert done.returncode == 0, done.stderr
        losses.append(read_json(Path("metrics/continue_pretraining_domain.json"))["base_val_loss"])
    assert losses[0] != losses[1] == pytest.approx(math.log(load_gpt(BASE).config.vocab_size), abs=0.2)


# PEFT reads an attribute that transformers has renamed.
@pytest.mark.filterwarnings("ignore:`is_gradient_checkpointing` is deprecated:FutureWarning")
@torch.no_grad()
def test_lora_leaves_an_adapter_with_which_peft_computes_the_merged_model(workspace: Workspace):
    from peft import AutoPeftModelForCausalLM

    workspace.set("continue_pretraining.train", "lora")
    done = workspace.run("continue_pretraining", "domain")
    assert done.returncode == 0, done.stderr
    metrics = read_json(Path("metrics/continue_pretraining_domain.json"))
    assert metrics["parameters"] == load_gpt(MODEL).num_parameters() > metrics["trained_parameters"]
    verify_manifest(MODEL / "adapter")
    assert read_json(MODEL / "adapter/adapter_config.json")["base_model_name_or_path"] == str(BASE)
    theirs = AutoPeftModelForCausalLM.from_pretrained(str(MODEL / "adapter"))  # names the base
    tokens = torch.randint(256, (2, 32), generator=torch.Generator().manual_seed(0))
    merged = load_gpt(MODEL)(tokens)
    torch.testing.assert_close(theirs(tokens).logits, merged, rtol=1e-4, atol=1e-4)
    assert (merged - load_gpt(BASE)(tokens)).abs().max() > 0.1
    before, after = (load_file(path / "model.safetensors") for path in (BASE, MODEL))
    same = {name for name in before if torch.equal(before[name], after[name])}
    projections = ("attn.c_attn.weight", "attn.c_proj.weight", "mlp.c_fc.weight", "mlp.c_proj.weight")
    assert same == {name for name in before if not name.endswith(projections)}


@pytest.mark.parametrize(
    ("settings", "message"),
    [
        ({"names": []}, "the argument 'domain' is not in continue_pretraining.names []"),
        ({"names": ["domain", "other"]}, "it must hold at most one name: all would be the same model"),
        ({"names": ["a/b"]}, "it must hold the name of a folder"),
        ({"base": "domain"}, "it must not hold the base, which it would overwrite"),
        ({"base": "missing"}, "data/models/missing"),
        ({"seq_len": 512}, "seq_len 512 exceeds the 256 positions of data/models/general; lower "),
        ({"batch_tokens": 100}, "batch_tokens 100 is no multiple of a micro-batch of 4 windows of 32 tokens"),
        (
            {"train": "head"},
            "continue_pretraining.train is 'head', but it should be 'all', 'last_two_blocks', 'last_block' or 'lora'",
        ),
    ],
)
def test_a_wrong_setting_is_refused(
    workspace: Workspace, settings: dict[str, Any], message: str, monkeypatch: pytest.MonkeyPatch
):
    for key, value in settings.items():
        workspace.set(f"continue_pretraining.{key}", value)
    monkeypatch.setattr("sys.argv", ["continue_pretraining", "domain"])
    with pytest.raises(UserError, match=re.escape(message)):
        main()
    assert not MODEL.exists()


def test_shards_of_another_tokenizer_are_one_line(workspace: Workspace):
    path = Path("data/tokens/manifest.json")
    edit_sealed(path, tokenizer_sha256=f"0123456789ab{read_json(path)['tokenizer_sha256']}")
    done = workspace.run("continue_pretraining", "domain")
    assert (done.returncode, done.stderr.count("\n")) == (1, 1), done.stderr
    assert "data/tokens was made with the tokenizer 0123456789ab..., data/models/general has " in done.stderr
    assert "name a model with the tokenizer of build_tokenizer." in done.stderr
