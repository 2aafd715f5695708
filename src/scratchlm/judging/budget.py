"""The limit of what a run may pay: no request is sent that could go beyond it."""

import threading

from scratchlm.errors import UserError
from scratchlm.judging.config import ServerConfig
from scratchlm.judging.prices import find_price

# What a server adds to a prompt: the marks of a chat, the schema; Anthropic some 350 tokens about the tool.
HIDDEN_TOKENS = {"openai": 100, "anthropic": 400}


class Budget:
    """What this process has paid a server, and the most that its requests under way can cost; threads may share it.

    A request is booked with the most it can cost: a token is at least a byte of it, and `max_tokens` come back.
    """

    def __init__(self, config: ServerConfig) -> None:
        self.price = find_price(config)
        self.paid = 0.0
        self._config = config
        self._booked = 0.0
        self._lock = threading.Lock()
        if config.max_cost is not None and self.price is None:
            raise UserError(
                f"the price of {config.model} at {config.base_url} is not known, so max_cost {config.max_cost:g} "
                f"cannot be kept; set judge_responses.{config.backend}.prices, or max_cost to null."
            )

    def book(self, request_bytes: int) -> float:
        """The most that a request can cost, set aside; UserError if it could go beyond max_cost."""
        tokens = request_bytes + HIDDEN_TOKENS[self._config.backend]
        most = self.price.cost(tokens, self._config.max_tokens) if self.price else 0.0
        limit = self._config.max_cost
        with self._lock:
            if limit is not None and self.paid + self._booked + most > limit:
                raise UserError(
                    f"${self.paid:.4f} are paid, and the next request could go beyond max_cost {limit:g}; what was "
                    f"judged is kept: raise judge_responses.{self._config.backend}.max_cost to go on."
                )
            self._booked += most
        return most

    def settle(self, booked: float, prompt_tokens: int, completion_tokens: int) -> None:
        """Replace what was set aside by what the tokens of the reply cost; of a failed request there are none."""
        with self._lock:
            self._booked -= booked
            if self.price:
                self.paid += self.price.cost(prompt_tokens, completion_tokens)
