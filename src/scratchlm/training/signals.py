"""SIGTERM and SIGINT ask a training to save and stop; a second one ends it at once."""

import signal
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from types import FrameType
from typing import TypeVar

SIGNALS = (signal.SIGTERM, signal.SIGINT)

ResultT = TypeVar("ResultT")


class StopRequest:
    """Whether a signal asked this process to stop, and whether it then breaks off what it runs."""

    def __init__(self, breaks_off: bool) -> None:
        self.received = False
        self._may_break_off, self._breaks_off = breaks_off, False

    def run(self, function: Callable[[], ResultT]) -> ResultT | None:
        """What a function without effects returns; None if it was broken off, or not begun, because of a signal."""
        result = None
        try:
            self._breaks_off = self._may_break_off
            if not (self.received and self._may_break_off):
                result = function()
            self._breaks_off = False
        except KeyboardInterrupt:
            self._breaks_off = False
            if not self.received:  # it came from the function itself: the loop would run it again without end
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
def stop_on_signal(breaks_off: bool = True) -> Iterator[StopRequest]:
    """Within the block a first SIGTERM or SIGINT sets `received` and ends `run`; the second has its default effect."""
    request = StopRequest(breaks_off)
    previous = {number: signal.signal(number, request.receive) for number in SIGNALS}
    try:
        yield request
    finally:
        for number, handler in previous.items():
            signal.signal(number, handler)
