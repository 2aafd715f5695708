"""What is named trains, and nothing else moves."""

import pytest
import torch

from scratchlm.errors import UserError
from scratchlm.models.classifier import GPTClassifier
from scratchlm.models.lora import LoRAConfig, add_lora
from scratchlm.models.trainable import Part, set_trainable
from tests.models.conftest import CONFIG, make_gpt, random_tokens


def make_classifier() -> GPTClassifier:
    """A classifier of two classes; its trunk has three blocks."""
    model = GPTClassifier(make_gpt(), 2)
    model.init_head(0)
    return model


@pytest.mark.parametrize(
    ("part", "expected"),
    [
        ("head", ("score.",)),
        ("last_block", ("score.", "trunk.ln_f.", "trunk.h.2.")),
        ("last_two_blocks", ("score.", "trunk.ln_f.", "trunk.h.1.", "trunk.h.2.")),
        ("all", ("",)),
    ],
)
def test_a_step_moves_the_named_part_and_nothing_else(part: Part, expected: tuple[str, ...]):
    model = make_classifier()
    names = set_trainable(model, part)
    before = {name: parameter.detach().clone() for name, parameter in model.named_parameters()}
    model(random_tokens(4, 9), torch.tensor([9, 3, 5, 1])).square().sum().backward()
    torch.optim.AdamW(model.parameters(), lr=0.1).step()
    moved = {name for name, parameter in model.named_parameters() if not torch.equal(parameter, before[name])}
    assert moved == set(names)
    assert moved == {name for name in before if name.startswith(expected)}


def test_lora_trains_its_matrices_and_the_head():
    model = make_classifier()
    add_lora(model, LoRAConfig(r=2, alpha=4.0), seed=0)
    names = set_trainable(model, "lora")
    assert len(names) == 3 * 4 * 2 + 1
    assert all(".lora_A" in name or ".lora_B" in name for name in names if name != "score.weight")
    assert all(parameter.requires_grad == (name in names) for name, parameter in model.named_parameters())


def test_the_last_block_of_a_language_model_goes_without_its_tied_head():
    names = set_trainable(make_gpt(), "last_block")
    assert {name.split(".")[0] for name in names} == {"h", "ln_f"}
    assert "wte.weight" not in names


def test_frozen_blocks_run_without_dropout():
    model = make_classifier()
    set_trainable(model, "last_block")
    seen: list[torch.Tensor] = []
    model.trunk.h[1].register_forward_hook(lambda _module, _inputs, output: seen.append(output.detach()))
    model.train()
    outputs = [model(random_tokens(2, 9), torch.tensor([9, 4])) for _ in range(2)]
    assert torch.equal(seen[0], seen[1])
    assert not torch.equal(outputs[0], outputs[1])


def test_two_blocks_of_one_is_one_line():
    model = make_gpt(CONFIG.model_copy(update={"n_layer": 1}))
    with pytest.raises(UserError, match="the model has 1 block, so last_two_blocks cannot train"):
        set_trainable(model, "last_two_blocks")


def test_a_part_that_the_model_lacks_is_a_mistake_of_ours():
    with pytest.raises(AssertionError, match="head is no part of this GPT"):
        set_trainable(make_gpt(), "head")
