"""The first signal asks, the second ends."""

import os
import signal
import subprocess
import sys
import time

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


@pytest.mark.parametrize("number", [signal.SIGTERM, signal.SIGINT])
def test_a_signal_ends_what_runs_at_once_and_nothing_is_begun_after_it(number: int):
    called = []

    def function() -> str:
        called.append(number)
        if len(called) == 2:
            os.kill(os.getpid(), number)
            time.sleep(60)
        return "done"

    start = time.monotonic()
    with stop_on_signal() as stop:
        assert stop.run(function) == "done"
        assert stop.run(function) is None
        assert stop.received
        assert stop.run(function) is None
    assert (len(called), time.monotonic() - start < 30) == (2, True)


def test_an_interrupt_that_is_no_signal_goes_on_to_the_caller():
    def function() -> None:
        raise KeyboardInterrupt

    with stop_on_signal() as stop:
        with pytest.raises(KeyboardInterrupt):
            stop.run(function)
        assert not stop.received


def test_what_may_not_be_broken_off_is_begun_after_a_signal_and_may_leave_by_itself():
    def function() -> bool:
        if stop.received:
            raise KeyboardInterrupt
        os.kill(os.getpid(), signal.SIGTERM)
        return stop.received

    with stop_on_signal() as stop:
        assert stop.run(function, breaks_off=False)
        assert stop.run(function, breaks_off=False) is None


def test_the_second_signal_ends_the_process():
    code = (
        "import os, signal\nfrom scratchlm.training.signals import stop_on_signal\n"
        "with stop_on_signal():\n    os.kill(os.getpid(), signal.SIGTERM)\n    print('on', flush=True)\n"
        "    os.kill(os.getpid(), signal.SIGTERM)\n    print('never')"
    )
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True)
    assert (done.returncode, done.stdout) == (-signal.SIGTERM, "on\n")
