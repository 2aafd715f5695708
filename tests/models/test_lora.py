"""LoRA begins as nothing, merges into the same function, and is read by PEFT."""

from pathlib import Path

import pytest
import torch
from safetensors.torch import load_file

from scratchlm.models.classifier import GPTClassifier
from scratchlm.models.gpt import GPT
from scratchlm.models.lora import LoRAConfig, LoRAProjection, add_lora, merge_lora, save_adapter
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
def test_merged_equals_unmerged():
    model, tokens = make_lora_model().double(), random_tokens(2, 16)
    unmerged = model(tokens)
    merge_lora(model)
    torch.testing.assert_close(model(tokens), unmerged, rtol=1e-9, atol=1e-9)
    assert model.state_dict().keys() == make_gpt().state_dict().keys()
    assert (unmerged - make_gpt().double()(tokens)).abs().max() > 1


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
