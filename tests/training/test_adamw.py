"""The AdamW that spares torch._dynamo: torch's own steps, states and groups."""

import subprocess
import sys

import torch

from scratchlm.training.adamw import AdamW

WITHOUT_THE_COMPILER = """
import sys
sys.modules["torch._dynamo"] = None  # an import of it fails
import torch
from scratchlm.models.gpt import GPT
from scratchlm.training.optimizer import build_optimizer
from tests.training.conftest import tiny_config, tiny_model

for name in ("adamw", "muon"):
    with torch.device("meta"):
        GPT(tiny_model().config)
    model = tiny_model()
    optimizer = build_optimizer(model, tiny_config(optimizer=name))
    model(torch.zeros(1, 4, dtype=torch.long)).sum().backward()
    optimizer.step()
    optimizer.zero_grad()
    optimizer.load_state_dict(optimizer.state_dict())
"""


def test_steps_states_and_groups_are_torchs():
    runs = []
    for kind in (AdamW, torch.optim.AdamW):
        generator = torch.Generator().manual_seed(0)
        weight = torch.nn.Parameter(torch.randn(4, 3, generator=generator))
        optimizer = kind([weight], lr=0.1, fused=True)
        optimizer.add_param_group({"params": [torch.nn.Parameter(torch.ones(2))], "weight_decay": 0.5})
        for _ in range(3):
            for group in optimizer.param_groups:
                for parameter in group["params"]:
                    parameter.grad = torch.randn(parameter.shape, generator=generator)
            optimizer.step()
        optimizer.zero_grad()
        assert weight.grad is None
        runs.append((weight, optimizer.state_dict()))
    (ours, our_state), (theirs, their_state) = runs
    assert torch.equal(ours, theirs)
    assert our_state["param_groups"] == their_state["param_groups"]
    for index, state in their_state["state"].items():
        assert all(torch.equal(our_state["state"][index][name], value) for name, value in state.items())


def test_models_and_optimizers_are_made_and_used_without_the_compiler():
    subprocess.run([sys.executable, "-c", WITHOUT_THE_COMPILER], check=True)
