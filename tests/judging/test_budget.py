"""What a run may pay is not exceeded, whatever its requests under way come to."""

from concurrent.futures import ThreadPoolExecutor

import pytest

from scratchlm.errors import UserError
from scratchlm.judging.budget import HIDDEN_TOKENS, Budget
from scratchlm.judging.config import PriceConfig
from tests.judging.conftest import server_config

PRICES = PriceConfig(input=2.0, output=8.0)
MOST = (2 * (1_000 + HIDDEN_TOKENS["openai"]) + 8 * 50) / 1e6  # of a request of 1,000 bytes and 50 tokens


def budget(max_cost: float | None) -> Budget:
    return Budget(server_config("http://127.0.0.1:9/v1", prices=PRICES, max_cost=max_cost))


def test_requests_under_way_are_counted_with_the_most_they_can_cost():
    limited = budget(max_cost=1.5 * MOST)
    booked = limited.book(1_000)
    assert booked == pytest.approx(MOST)
    with pytest.raises(UserError, match="could go beyond max_cost"):
        limited.book(1_000)
    limited.settle(booked, 100, 10)
    assert limited.paid == pytest.approx(0.00028)
    limited.book(1_000)


def test_a_request_that_failed_gives_back_what_was_set_aside():
    limited = budget(max_cost=1.5 * MOST)
    for _ in range(5):
        limited.settle(limited.book(1_000), 0, 0)
    assert limited.paid == 0


def test_threads_together_book_no_more_than_the_limit():
    limited = budget(max_cost=10.5 * MOST)

    def book(_: int) -> bool:
        try:
            return limited.book(1_000) > 0
        except UserError:
            return False

    with ThreadPoolExecutor(8) as pool:
        assert sum(pool.map(book, range(100))) == 10


def test_without_a_limit_what_was_paid_is_counted_all_the_same():
    unlimited = budget(max_cost=None)
    unlimited.settle(unlimited.book(10**9), 1_000_000, 1_000_000)
    assert unlimited.paid == pytest.approx(10)


def test_a_limit_without_a_price_is_one_line():
    remote = server_config("https://api.openai.com/v1", model="gpt-9", max_cost=1.0)
    with pytest.raises(UserError, match=r"the price of gpt-9 at .*openai\.com/v1 is not known, so max_cost 1"):
        Budget(remote)
