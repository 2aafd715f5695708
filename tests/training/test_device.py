"""The device is a fact of the machine; slow bfloat16 is said."""

import pytest
import torch

from scratchlm.errors import UserError
from scratchlm.training import device


def test_the_device_can_compute():
    assert torch.ones(2, device=device.pick_device()).sum().item() == 2


@pytest.mark.parametrize(
    ("precision", "supported", "warned"),
    [("bfloat16", False, True), ("bfloat16", True, False), ("float32", False, False)],
)
def test_emulated_bfloat16_prints_a_line(
    precision: str, supported: bool, warned: bool, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
):
    monkeypatch.setattr(device, "has_fast_bfloat16", lambda: supported)
    device.warn_if_slow(precision, torch.device("cpu"))
    assert ("bfloat16 is slow" in capsys.readouterr().err) == warned


def test_compiling_without_a_compiler_is_one_line(monkeypatch: pytest.MonkeyPatch):
    monkeypatch.setenv("CXX", "no-such-compiler")
    with pytest.raises(UserError, match="no C\\+\\+ compiler no-such-compiler; install it or set compile: false"):
        device.compile_loss(len)
