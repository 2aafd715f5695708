"""The first signal asks, the second ends."""

import os
import signal
import subprocess
import sys

import pytest

from scratchlm.training.signals import stop_on_signal


@pytest.mark.parametrize("number", [signal.SIGTERM, signal.SIGINT])
def test_the_first_signal_only_asks_and_the_handlers_come_back(number: int):
    before = signal.getsignal(number)
    with stop_on_signal() as stop:
        assert not stop.received
        os.kill(os.getpid(), number)
        assert stop.received
    assert signal.getsignal(number) == before


def test_the_second_signal_ends_the_process():
    code = (
        "import os, signal\nfrom scratchlm.training.signals import stop_on_signal\n"
        "with stop_on_signal():\n    os.kill(os.getpid(), signal.SIGTERM)\n    print('on', flush=True)\n"
        "    os.kill(os.getpid(), signal.SIGTERM)\n    print('never')"
    )
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True)
    assert (done.returncode, done.stdout) == (-signal.SIGTERM, "on\n")
