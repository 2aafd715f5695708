"""The device is a fact of the machine; slow bfloat16 is said; memory that was freed is used again."""

import ctypes
import subprocess
import sys

import pytest
import torch

from scratchlm.errors import UserError
from scratchlm.training import device
from tests.conftest import ROOT


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


FAULTS = """
import resource
import torch
from scratchlm.training.device import keep_freed_memory

def count_faults(numbers=2**25):  # 128 MB, some 32,000 pages
    before = resource.getrusage(resource.RUSAGE_SELF).ru_minflt
    torch.ones(numbers)
    return resource.getrusage(resource.RUSAGE_SELF).ru_minflt - before

count_faults()
without = count_faults()
keep_freed_memory()
count_faults(2**25 + 2**20)
print(without, count_faults())
"""


@pytest.mark.skipif(not hasattr(ctypes.CDLL(None), "mallopt"), reason="only glibc can be told")
def test_a_freed_block_is_taken_again_without_page_faults():
    environment = {"PYTHONPATH": f"{ROOT / 'src'}"}
    done = subprocess.run([sys.executable, "-c", FAULTS], env=environment, capture_output=True, text=True, check=True)
    without, kept = map(int, done.stdout.split())
    assert without > 10_000
    assert kept < 100


def test_compiling_without_a_compiler_is_one_line(monkeypatch: pytest.MonkeyPatch):
    monkeypatch.setenv("CXX", "no-such-compiler")
    with pytest.raises(UserError, match="no C\\+\\+ compiler no-such-compiler; install it or set compile: false"):
        device.compile_loss(len)
