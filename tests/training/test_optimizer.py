"""The learning rate is a pure function of the step; only matrices decay."""

import pytest
import torch
from torch.optim import SGD
from torch.optim.lr_scheduler import CosineAnnealingLR, LinearLR, LRScheduler

from scratchlm.training.optimizer import build_optimizer, learning_rate
from tests.training.conftest import tiny_config, tiny_model


def test_the_learning_rate_warms_up_and_decays_along_a_cosine():
    config = tiny_config(learning_rate=1.0, min_learning_rate_ratio=0.1, warmup_steps=10)
    rates = [learning_rate(step, 110, config) for step in range(110)]
    assert rates[:10] == pytest.approx([(step + 1) / 10 for step in range(10)])
    assert rates[10] == 1.0
    assert rates[60] == pytest.approx(0.55)
    assert rates[-1] == pytest.approx(0.1, abs=1e-3)
    assert rates[10:] == sorted(rates[10:], reverse=True)


@pytest.mark.parametrize(("schedule", "reference"), [("cosine", CosineAnnealingLR), ("linear", LinearLR)])
def test_the_rate_falls_as_torchs_schedule_does(schedule: str, reference: type[LRScheduler]):
    config = tiny_config(learning_rate=2.0, schedule=schedule, min_learning_rate_ratio=0.25, warmup_steps=3)
    optimizer = SGD([torch.zeros(1, requires_grad=True)], lr=2.0)
    ends = {
        "cosine": {"T_max": 20, "eta_min": 0.5},
        "linear": {"total_iters": 20, "start_factor": 1, "end_factor": 0.25},
    }
    scheduler = reference(optimizer, **ends[schedule])
    for step in range(3, 23):
        assert learning_rate(step, 23, config) == pytest.approx(optimizer.param_groups[0]["lr"])
        optimizer.step()
        scheduler.step()


def test_a_ratio_of_one_is_a_constant_rate():
    for schedule in ("cosine", "linear"):
        config = tiny_config(schedule=schedule, min_learning_rate_ratio=1.0, warmup_steps=0)
        assert {learning_rate(step, 9, config) for step in range(9)} == {config.learning_rate}


def test_no_warm_up_starts_at_the_full_rate():
    assert learning_rate(0, 10, tiny_config(learning_rate=0.5, warmup_steps=0)) == 0.5


def test_only_matrices_decay_and_only_what_trains_is_there():
    model = tiny_model()
    model.wpe.weight.requires_grad_(False)
    decayed, plain = build_optimizer(model, tiny_config()).param_groups
    assert decayed["weight_decay"] == 0.1
    assert plain["weight_decay"] == 0.0
    names = {id(parameter): name for name, parameter in model.named_parameters()}
    assert {names[id(p)].endswith("weight") and "ln_" not in names[id(p)] for p in decayed["params"]} == {True}
    assert "wpe.weight" not in {names[id(p)] for p in decayed["params"] + plain["params"]}
    assert len(decayed["params"]) + len(plain["params"]) == len(names) - 1


def test_a_step_equals_the_formula_of_adamw():
    model = torch.nn.Linear(2, 1, bias=False)
    start = model.weight.detach().clone()
    optimizer = build_optimizer(model, tiny_config(learning_rate=0.1, weight_decay=0.5))
    model(torch.ones(1, 2)).sum().backward()
    optimizer.step()
    # The first step of Adam has size 1; decay is decoupled (Loshchilov and Hutter 2019, algorithm 2).
    torch.testing.assert_close(model.weight.detach(), start * (1 - 0.1 * 0.5) - 0.1)
