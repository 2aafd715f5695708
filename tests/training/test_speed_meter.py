"""What a training prints, and the throughput of its run."""

from collections.abc import Iterator

import pytest

from scratchlm.training import speed_meter
from scratchlm.training.speed_meter import SpeedMeter

ROW = {"train_loss": 2.5, "val_loss": 2.25}


@pytest.fixture
def clock(monkeypatch: pytest.MonkeyPatch) -> list[float]:
    """The time in seconds that the meter sees, its one element."""
    now = [100.0]
    monkeypatch.setattr(speed_meter.time, "perf_counter", lambda: now[0])
    return now


@pytest.fixture
def resumed(clock: list[float]) -> Iterator[SpeedMeter]:
    """A training of 40 steps that went on from step 10 and took two steps of 500 tokens in 4 seconds."""
    with SpeedMeter(step=10, steps=40) as meter:
        for _ in range(2):
            clock[0] += 2
            meter.update(loss=3.0, tokens=500, spike=None)
        yield meter


def test_only_this_run_counts(resumed: SpeedMeter):
    assert resumed.facts() == {"steps_run": 2, "training_seconds": 4.0, "tokens_per_second": 250.0}


def test_an_evaluation_is_a_line_with_the_time_that_is_left(resumed: SpeedMeter, capsys: pytest.CaptureFixture[str]):
    resumed.report(ROW)
    expected = "step 12/40: train loss 2.5000, val loss 2.2500, 250 tokens/s, 56 s left\n"
    assert expected in capsys.readouterr().err


def test_an_evaluation_before_any_step_has_a_line_too(clock: list[float], capsys: pytest.CaptureFixture[str]):
    with SpeedMeter(step=10, steps=40) as meter:
        meter.report(ROW)
    assert "step 10/40: train loss 2.5000, val loss 2.2500, 0 tokens/s, 0 s left\n" in capsys.readouterr().err


def test_a_skipped_step_is_a_line(resumed: SpeedMeter, capsys: pytest.CaptureFixture[str]):
    resumed.update(loss=9.0, tokens=500, spike="the loss is 6.1 sigma above the last 128")
    assert "step 12: the loss is 6.1 sigma above the last 128; the step was skipped.\n" in capsys.readouterr().err


def test_of_several_processes_the_first_speaks(monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]):
    monkeypatch.setattr(speed_meter, "rank", lambda: 1)
    with SpeedMeter(step=0, steps=1) as meter:
        meter.update(loss=1.0, tokens=1, spike="a spike")
        meter.report(ROW)
    assert capsys.readouterr().err == ""
