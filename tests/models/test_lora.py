"""LoRA begins as nothing, merges into the same function, and is read by PEFT."""

from pathlib import Path

import pytest
import torch
from safetensors.torch import load_file

from scratchlm.models.classifier import GPTClassifier, Readout
from scratchlm.models.gpt import GPT
from scratchlm.models.lora import LoRAConfig, LoRAProjection, add_lora, merge_lora, save_adapter, save_with_adapter
from scratchlm.models.storage import save_model
from tests.models.conftest import make_gpt, random_tokens

# PEFT reads an attribute that transformers has renamed.
pytestmark = pytest.mark.filterwarnings("ignore:`is_gradient_checkpointing` is deprecated:FutureWarning")

CONFIG = LoRAConfig(r=4, alpha=6.0)


def make_lora_model(classes: int = 0) -> GPT | GPTClassifier:
    """A model whose updates are not zero, as after training."""
    model = GPTClassifier(make_gpt(), classes) if classes else make_gpt()
    if isinstance(model, GPTClassifier):
        model.init_head(0)
    add_lora(model, CONFIG, seed=3)
    generator = torch.Generator().manual_seed(4)
    for name, parameter in model.named_parameters():
        if name.endswith("lora_B"):
            parameter.data.normal_(0.0, 0.2, generator=generator)
    return model.eval()


@torch.no_grad()
def test_a_new_update_changes_nothing():
    model, tokens = make_gpt(), random_tokens(2, 16)
    before = model(tokens)
    add_lora(model, CONFIG, seed=0)
    assert torch.equal(model(tokens), before)


def test_every_projection_has_an_update_drawn_by_the_seed_alone():
    models = []
    for global_seed, seed in [(1, 5), (2, 5), (1, 6)]:
        torch.manual_seed(global_seed)
        models.append(make_gpt())
        add_lora(models[-1], CONFIG, seed)
    first, second, third = ([m.lora_A for m in model.modules() if isinstance(m, LoRAProjection)] for model in models)
    assert len(first) == 3 * 4
    assert all(torch.equal(a, b) for a, b in zip(first, second, strict=True))
    assert not torch.equal(first[0], third[0])
    assert first[0].abs().max() <= 1 / 64**0.5


@torch.no_grad()
@pytest.mark.parametrize("classes", [0, 2])
@pytest.mark.parametrize(
    ("dtype", "tolerance"), [(torch.float64, 1e-13), (torch.float32, 3e-5), (torch.bfloat16, 0.1)], ids=str
)
def test_merged_equals_unmerged(dtype: torch.dtype, tolerance: float, classes: int):
    """Up to the rounding of the type, relative to the largest logit; without updates, the logits are others."""
    model, tokens = make_lora_model(classes).to(dtype), random_tokens(2, 16)
    inputs = (tokens, torch.full((2,), 16)) if classes else (tokens,)
    plain = GPTClassifier(make_gpt(), classes) if classes else make_gpt()
    plain.load_state_dict(model.state_dict(), strict=False)
    unmerged = model(*inputs).double()
    merge_lora(model)
    merged = model(*inputs).double()
    assert (merged - unmerged).abs().max() <= tolerance * unmerged.abs().max()
    assert (unmerged - plain.to(dtype)(*inputs).double()).abs().max() > 0.2 * unmerged.abs().max()
    assert model.state_dict().keys() == plain.state_dict().keys()


def test_merging_a_model_without_updates_leaves_it_as_it_is():
    model = make_gpt()
    merge_lora(model)
    expected = make_gpt().state_dict()
    assert all(torch.equal(tensor, expected[name]) for name, tensor in model.state_dict().items())


def test_an_unmerged_model_is_not_saved(tmp_path: Path, tokenizer_folder: Path):
    with pytest.raises(AssertionError, match="call merge_lora"):
        save_model(make_lora_model(), tmp_path / "model", tokenizer=tokenizer_folder, card="")


@torch.no_grad()
def test_peft_computes_the_same_language_model(tmp_path: Path, tokenizer_folder: Path):
    from peft import PeftModel
    from transformers import AutoModelForCausalLM

    base, model, tokens = tmp_path / "base", make_lora_model(), random_tokens(2, 16)
    save_model(make_gpt(), base, tokenizer=tokenizer_folder, card="")
    save_adapter(model, tmp_path / "adapter", str(base))
    reference = PeftModel.from_pretrained(
        AutoModelForCausalLM.from_pretrained(base, dtype=torch.float64), str(tmp_path / "adapter")
    )
    torch.testing.assert_close(model.double()(tokens), reference(tokens).logits, rtol=1e-9, atol=1e-9)
    reference.save_pretrained(str(tmp_path / "theirs"))
    ours, theirs = (load_file(tmp_path / folder / "adapter_model.safetensors") for folder in ("adapter", "theirs"))
    assert ours.keys() == theirs.keys()
    assert all(torch.equal(tensor, theirs[name]) for name, tensor in ours.items())


@torch.no_grad()
def test_peft_computes_the_same_classifier(tmp_path: Path, tokenizer_folder: Path):
    from peft import PeftModel
    from transformers import AutoModelForSequenceClassification

    base, model, tokens = tmp_path / "base", make_lora_model(classes=2), random_tokens(3, 16)
    save_model(make_gpt(), base, tokenizer=tokenizer_folder, card="")
    save_adapter(model, tmp_path / "adapter", str(base))
    reference = PeftModel.from_pretrained(
        AutoModelForSequenceClassification.from_pretrained(base, num_labels=2, dtype=torch.float64),
        str(tmp_path / "adapter"),
    )
    logits = model.double()(tokens, torch.full((3,), 16))
    torch.testing.assert_close(logits, reference(tokens).logits, rtol=1e-9, atol=1e-9)


@torch.no_grad()
@pytest.mark.parametrize("classes", [0, 2])
def test_the_saved_model_is_the_one_that_peft_merges_from_its_adapter(
    tmp_path: Path, tokenizer_folder: Path, classes: int
):
    from peft import PeftModel
    from transformers import AutoModelForCausalLM, AutoModelForSequenceClassification

    base, model = tmp_path / "base", make_lora_model(classes)
    save_model(make_gpt(), base, tokenizer=tokenizer_folder, card="")
    saving = {"tokenizer": tokenizer_folder, "card": "", "class_names": ["ham", "spam"][:classes]}
    save_with_adapter(model, tmp_path / "model", str(base), **saving)
    auto = AutoModelForSequenceClassification if classes else AutoModelForCausalLM
    settings = {"num_labels": classes} if classes else {}
    adapted = PeftModel.from_pretrained(auto.from_pretrained(base, **settings), str(tmp_path / "model/adapter"))
    theirs = adapted.merge_and_unload().state_dict()
    for name, tensor in load_file(tmp_path / "model/model.safetensors").items():
        torch.testing.assert_close(tensor, theirs[name], rtol=1e-6, atol=1e-6, msg=name)


def test_a_classifier_that_peft_would_compute_otherwise_has_no_adapter(tmp_path: Path, tokenizer_folder: Path):
    saving = {"tokenizer": tokenizer_folder, "card": "", "class_names": ["ham", "spam"]}
    for readout, has_adapter in [(Readout(), True), (Readout(position="mean"), False), (Readout(causal=False), False)]:
        model = GPTClassifier(make_gpt(), 2, readout)
        add_lora(model, LoRAConfig(r=2, alpha=4.0), seed=0)
        directory = tmp_path / str(readout)
        save_with_adapter(model, directory, "base", **saving)
        assert (directory / "adapter").exists() == has_adapter
