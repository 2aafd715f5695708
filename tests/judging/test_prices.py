"""Which price holds for a model at a server."""

import pytest

from scratchlm.judging.config import PriceConfig
from scratchlm.judging.prices import PRICES, PRICES_DATE, Price, find_price, price_source
from tests.judging.conftest import server_config

REMOTE = server_config("https://api.openai.com/v1", model="gpt-4.1-mini")


def test_a_price_is_of_a_million_tokens():
    assert Price(2.5, 10).cost(prompt_tokens=400_000, completion_tokens=30_000) == pytest.approx(1.0 + 0.3)


def test_a_price_is_that_of_the_parameters_the_machine_or_the_table():
    assert find_price(REMOTE) == PRICES["api.openai.com"]["gpt-4.1-mini"]
    assert find_price(REMOTE.model_copy(update={"prices": PriceConfig(input=2.0, output=8.0)})) == Price(2, 8)
    for host in ("localhost", "127.0.0.1", "[::1]"):
        assert find_price(server_config(f"http://{host}:11434/v1")) == Price(0, 0)


@pytest.mark.parametrize(
    "change",
    [
        {"model": "gpt-4.1-mini-2030-01-01"},
        {"base_url": "https://openrouter.ai/api/v1"},
        {"base_url": "https://api.openai.com.example.org/v1"},
        {"base_url": "http://192.168.0.7/v1"},
    ],
)
def test_neither_a_snapshot_nor_another_server_has_the_price_of_the_table(change: dict[str, str]):
    assert find_price(REMOTE.model_copy(update=change)) is None


def test_a_price_of_nothing_in_the_parameters_is_not_taken_for_none():
    assert find_price(REMOTE.model_copy(update={"prices": PriceConfig(input=0.0, output=0.0)})) == Price(0, 0)


def test_where_a_price_comes_from_is_said():
    assert price_source(REMOTE) == f"list prices of {PRICES_DATE}"
    assert price_source(server_config("http://localhost:11434/v1")) == "this machine takes no money"
    own = PriceConfig(input=0.1, output=0.1)
    assert price_source(server_config("http://localhost:11434/v1", prices=own)) == "judge_responses prices"
