"""Steps that stand out are left out where that is asked for, and a resumed run leaves out the same ones."""

from collections.abc import Sequence

import numpy as np
import pytest
import torch

from scratchlm.models.gpt import GPT
from scratchlm.training.batches import Batch, TokenBatches
from scratchlm.training.losses import next_token_loss
from scratchlm.training.spikes import LEAST, SIGMAS, WINDOW, find_spike, remember_step
from tests.training.conftest import LENGTH, MemoryShards, Training, tiny_config

STEPS, SPIKE = 74, 70


def olmo_skips(losses: Sequence[float], norms: Sequence[float]) -> bool:
    """What OLMo-core's SkipStepOptimizer says of the last step (`step_factor == 0`), in its own order of operations."""
    if len(losses) < LEAST + 1:
        return False
    for values in (losses, norms):
        deviation, mean = torch.std_mean(torch.tensor(values[:-1], dtype=torch.float64))
        if values[-1] - mean > SIGMAS * deviation:
            return True
    return False


def test_the_rule_is_that_of_olmo_core():
    random, recent, found = np.random.default_rng(0), [], 0
    for step in range(400):
        loss, norm = 3 + random.normal(0, 0.1), 1 + random.normal(0, 0.2)
        if step % 37 == 20:
            loss, norm = (loss + 0.75, norm) if step % 2 else (loss, norm + 1.5)
        losses, norms = zip(*recent, (loss, norm), strict=True)
        spike = find_spike(recent, loss, norm)
        assert (spike is not None) == olmo_skips(losses, norms), step
        found += spike is not None
        remember_step(recent, loss, norm)
        assert len(recent) == min(step + 1, WINDOW)
    assert 2 < found < 15


def spiking_loss(shards: MemoryShards):
    """A loss that is a thousand times as large for the batch of step SPIKE."""
    config = tiny_config()
    batches = TokenBatches(shards, LENGTH, 4 * LENGTH, config.micro_batch_size, config.seed)  # pyright: ignore
    tokens = batches.micro_batch(SPIKE, 0).tokens

    def loss_fn(model: GPT, batch: Batch) -> torch.Tensor:
        return next_token_loss(model, batch) * (1_000 if torch.equal(batch.tokens, tokens) else 1)

    return loss_fn


def test_a_spike_is_skipped_counted_and_printed(
    run_training: Training, shards: MemoryShards, capsys: pytest.CaptureFixture[str]
):
    settings = {"steps": STEPS, "save_every_steps": 100, "eval_every_steps": 37, "loss_fn": spiking_loss(shards)}
    _, applied = run_training("applied", **settings)
    _, progress = run_training("skipped", skip_spikes=True, **settings)
    assert (applied.skipped_steps, applied.recent_steps) == (0, [])
    assert (progress.skipped_steps, len(progress.recent_steps)) == (1, STEPS)
    assert progress.summary()["skipped_steps"] == 1
    lines = [line for line in capsys.readouterr().err.splitlines() if "skipped" in line]
    assert len(lines) == 1
    assert lines[0].startswith(f"step {SPIKE}: the loss ")


@pytest.mark.parametrize("stop", [SPIKE, SPIKE + 1])
def test_a_run_stopped_around_a_spike_ends_bit_identical(run_training: Training, shards: MemoryShards, stop: int):
    settings = {"steps": STEPS, "eval_every_steps": 37, "skip_spikes": True, "loss_fn": spiking_loss(shards)}
    whole, progress = run_training("whole", save_every_steps=100, **settings)
    calls = 0

    def stopping(model: GPT, batch: Batch) -> torch.Tensor:
        nonlocal calls
        calls += 1
        if calls == 2 * stop + 2:
            raise KeyboardInterrupt
        return settings["loss_fn"](model, batch)

    with pytest.raises(KeyboardInterrupt):
        run_training("stopped", save_every_steps=stop, **{**settings, "loss_fn": stopping})
    resumed, resumed_progress = run_training("stopped", save_every_steps=stop, **settings)
    assert resumed_progress == progress
    assert all(map(torch.equal, resumed.state_dict().values(), whole.state_dict().values()))


def test_without_spikes_nothing_changes(run_training: Training):
    plain, _ = run_training("plain")
    watched, progress = run_training("watched", skip_spikes=True)
    assert progress.skipped_steps == 0
    assert all(map(torch.equal, watched.state_dict().values(), plain.state_dict().values()))
