"""The weights of a model, kept and compared bit by bit."""

import torch

from scratchlm.models.gpt import GPT


def weights(model: GPT) -> dict[str, torch.Tensor]:
    """A copy of every tensor."""
    return {name: tensor.clone() for name, tensor in model.state_dict().items()}


def assert_same(ours: dict[str, torch.Tensor], theirs: dict[str, torch.Tensor]) -> None:
    """Every tensor of ours has the bits of theirs."""
    for name, tensor in ours.items():
        assert torch.equal(tensor, theirs[name]), name
