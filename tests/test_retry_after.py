"""The header Retry-After, in its two forms and in none."""

import time
from email.utils import formatdate

import pytest

from scratchlm.retry_after import parse_retry_after


@pytest.mark.parametrize(("value", "seconds"), [("0", 0.0), ("7", 7.0), ("1.5", 1.5)])
def test_a_number_is_seconds(value: str, seconds: float):
    assert parse_retry_after(value) == seconds


def test_a_date_is_the_seconds_until_then():
    assert 58 < parse_retry_after(formatdate(time.time() + 60, usegmt=True)) <= 60


@pytest.mark.parametrize("value", ["", "soon", "1.2.3", "Fri, 99 Nov 2026 99:00:00 GMT"])
def test_what_is_neither_asks_for_no_wait(value: str):
    assert parse_retry_after(value) == 0.0
