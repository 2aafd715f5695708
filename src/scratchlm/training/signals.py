"""SIGTERM and SIGINT ask a training to save and stop; a second one ends it at once."""

import signal
from collections.abc import Iterator
from contextlib import contextmanager
from types import FrameType

SIGNALS = (signal.SIGTERM, signal.SIGINT)


class StopRequest:
    """Whether a signal asked this process to stop."""

    def __init__(self) -> None:
        self.received = False


@contextmanager
def stop_on_signal() -> Iterator[StopRequest]:
    """Within the block the first SIGTERM or SIGINT only sets `received`; the second has its default effect."""
    request = StopRequest()

    def receive(number: int, frame: FrameType | None) -> None:
        request.received = True
        for each in SIGNALS:
            signal.signal(each, signal.SIG_DFL)

    previous = {number: signal.signal(number, receive) for number in SIGNALS}
    try:
        yield request
    finally:
        for number, handler in previous.items():
            signal.signal(number, handler)
