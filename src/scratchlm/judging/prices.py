"""List prices of judges, in US dollars for a million tokens, by server and model; without discounts for caches.

As recorded on PRICES_DATE in github.com/simonw/llm-prices at commit 723ef0b. Only exact names count: dated snapshots
of a model may cost something else. What is not here is set with the parameter `prices`.
"""

from dataclasses import dataclass
from urllib.parse import urlsplit

from scratchlm.judging.config import ServerConfig

PRICES_DATE = "2026-08-05"
LOCAL_HOSTS = {"localhost", "127.0.0.1", "::1"}


@dataclass(frozen=True)
class Price:
    """US dollars for a million tokens."""

    input: float
    output: float

    def cost(self, prompt_tokens: int, completion_tokens: int) -> float:
        """US dollars for so many tokens."""
        return (self.input * prompt_tokens + self.output * completion_tokens) / 1e6


PRICES = {
    "api.openai.com": {
        "gpt-4o": Price(2.5, 10),
        "gpt-4o-mini": Price(0.15, 0.6),
        "gpt-4.1": Price(2, 8),
        "gpt-4.1-mini": Price(0.4, 1.6),
        "gpt-4.1-nano": Price(0.1, 0.4),
        "gpt-5": Price(1.25, 10),
        "gpt-5-mini": Price(0.25, 2),
        "gpt-5-nano": Price(0.05, 0.4),
        "gpt-5.4-mini": Price(0.75, 4.5),
        "gpt-5.4-nano": Price(0.2, 1.25),
    },
    "api.anthropic.com": {
        "claude-haiku-4-5": Price(1, 5),
        "claude-sonnet-4-5": Price(3, 15),
        "claude-opus-4-5": Price(5, 25),
        "claude-opus-4-6": Price(5, 25),
        "claude-opus-4-7": Price(5, 25),
        "claude-opus-4-8": Price(5, 25),
    },
}


def find_price(config: ServerConfig) -> Price | None:
    """The price in the parameters, or nothing to pay on this machine, or the table's; None where it is not known."""
    if config.prices is not None:
        return Price(config.prices.input, config.prices.output)
    if (host := _host(config)) in LOCAL_HOSTS:
        return Price(0, 0)
    return PRICES.get(host, {}).get(config.model)


def price_source(config: ServerConfig) -> str:
    """Where `find_price` has a price from, in words."""
    if config.prices is not None:
        return "judge_responses prices"
    return "this machine takes no money" if _host(config) in LOCAL_HOSTS else f"list prices of {PRICES_DATE}"


def _host(config: ServerConfig) -> str:
    return urlsplit(config.base_url).hostname or ""
