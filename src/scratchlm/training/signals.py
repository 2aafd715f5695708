"""SIGTERM and SIGINT ask a training to save and stop; a second one ends it at once."""

import signal
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from types import FrameType
from typing import Any, TypeVar

SIGNALS = (signal.SIGTERM, signal.SIGINT)

ResultT = TypeVar("ResultT")


class StopRequest:
    """Whether a signal asked this process to stop, and whether it then breaks off what it runs."""

    def __init__(self) -> None:
        self.received = self._breaks_off = False

    def run(self, function: Callable[[], ResultT], breaks_off: bool = True) -> ResultT | None:
        """What a function without effects returns; None if it was broken off, or not begun, because of a signal.

        One that must not be broken off at any place looks at `received` itself, and raises KeyboardInterrupt.
        """
        result = None
        try:
            self._breaks_off = breaks_off
            if not (self.received and breaks_off):
                result = function()
            self._breaks_off = False
        except KeyboardInterrupt:
            self._breaks_off = False
            if breaks_off and not self.received:  # from the function itself: the loop would run it again without end
                raise
        return result

    def receive(self, number: int, frame: FrameType | None) -> None:
        """The handler of the first signal."""
        self.received = True
        for each in SIGNALS:
            signal.signal(each, signal.SIG_DFL)
        if self._breaks_off:
            self._breaks_off = False
            raise KeyboardInterrupt


@contextmanager
def stop_on_signal(request: StopRequest | None = None) -> Iterator[StopRequest]:
    """Within the block a first SIGTERM or SIGINT sets `received` and ends `run`; the second has its default effect."""
    request = request or StopRequest()
    with _handled_by(request.receive):
        yield request


@contextmanager
def ended_by_signals() -> Iterator[None]:
    """Within the block SIGTERM and SIGINT end the process, also where it waits outside of Python, which hears none."""
    with _handled_by(signal.SIG_DFL):
        yield


@contextmanager
def _handled_by(handler: Any) -> Iterator[None]:
    previous = {number: signal.signal(number, handler) for number in SIGNALS}
    try:
        yield
    finally:
        for number, earlier in previous.items():
            signal.signal(number, earlier)
