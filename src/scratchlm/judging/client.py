"""Requests to a server that judges: the key, the retries, the limits, and one-line errors that never hold the key."""

import json
import os
import time
import weakref
from abc import ABC, abstractmethod
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from enum import StrEnum
from types import ModuleType
from typing import Any
from urllib.parse import urlsplit

import httpx2
import tenacity

from scratchlm.errors import UserError
from scratchlm.judging.budget import Budget
from scratchlm.judging.config import AnthropicConfig, OpenAIConfig
from scratchlm.judging.prices import LOCAL_HOSTS
from scratchlm.retry_after import parse_retry_after

KEY = "SCRATCHLM_JUDGE_API_KEY"
NO_KEY = "no-key-needed"
TIMEOUT_SECONDS = 60
LONGEST_WAIT_SECONDS = 300
MOST_REPLY_BYTES = 10_000_000
TRANSIENT_STATUS = {408, 409, 425, 429}
REFUSAL_STATUS = {400, 422, 501}

_backoff = tenacity.wait_random_exponential(multiplier=1, max=30)

Messages = Sequence[Mapping[str, str]]
Tops = Mapping[str, float]  # the likeliest tokens at one place, with their log-probabilities


class Form(StrEnum):
    """How a verdict is asked for."""

    SCHEMA = "json_schema"
    TOOL = "tool_call"
    TEXT = "text"


@dataclass(frozen=True)
class Manner:
    """The fields of a request beside the conversation."""

    form: Form
    schema: Mapping[str, Any]
    temperature: float | None
    seed: int | None = None
    logprobs: bool = False


@dataclass(frozen=True)
class ChatReply:
    """What is used of a server's reply; `tokens` are those of the content, each with the likeliest at its place."""

    content: str
    tool: str | None
    refusal: str | None
    model: str | None
    prompt_tokens: int
    completion_tokens: int
    tokens: Sequence[tuple[str, Tops]] = ()


class GarbageReplyError(Exception):
    """A body with status 200 that is no reply."""


class RefusedError(UserError):
    """The server refuses the request as it is."""


class ChatClient(ABC):
    """Asks one model; threads may share it. The SDKs of OpenAI and Anthropic have the same exceptions."""

    own_key: str

    def __init__(self, config: OpenAIConfig | AnthropicConfig, sdk: ModuleType) -> None:
        self.config = config
        self.budget = Budget(config)
        self._sdk: Any = sdk
        self._key = _read_key(config.base_url, self.own_key)
        self._retrying = tenacity.Retrying(
            stop=tenacity.stop_after_attempt(config.max_attempts),
            wait=lambda state: max(_backoff(state), self._retry_after(_error_of(state))),
            retry=tenacity.retry_if_exception(self._is_transient),
            reraise=True,
        )
        # A redirect to another host would show it the key.
        http_client = self._sdk.DefaultHttpxClient(follow_redirects=False, timeout=TIMEOUT_SECONDS)
        weakref.finalize(self, http_client.close)
        self._settings = {
            "api_key": self._key,
            "base_url": config.base_url,
            "timeout": TIMEOUT_SECONDS,
            "max_retries": 0,
            "http_client": http_client,
        }

    def ask(self, messages: Messages, manner: Manner) -> ChatReply:
        """The reply to a conversation; UserError says what the server said once the attempts are used up."""
        booked = self.budget.book(len(json.dumps([messages, manner.schema, self.config.model]).encode()))
        usage = (0, 0)
        try:
            reply = self._retrying(self._ask_once, messages, manner)
            usage = reply.prompt_tokens, reply.completion_tokens
            return reply
        except (self._sdk.APIError, httpx2.HTTPError, GarbageReplyError) as error:
            kind = RefusedError if getattr(error, "status_code", None) in REFUSAL_STATUS else UserError
            raise kind(self._without_key(self._explain(error))) from None
        finally:
            self.budget.settle(booked, *usage)

    @abstractmethod
    def _request(self, messages: Messages, manner: Manner) -> Any:
        """A streamed request in the SDK's words."""

    @abstractmethod
    def _parse(self, body: bytes) -> ChatReply:
        """What a body of status 200 holds; ValueError if it is no reply."""

    @abstractmethod
    def _adapt(self, message: str) -> bool:
        """Whether fields that the server refuses by this message are sent otherwise from now on."""

    def _ask_once(self, messages: Messages, manner: Manner) -> ChatReply:
        deadline = time.monotonic() + TIMEOUT_SECONDS
        try:
            with self._request(messages, manner) as response:
                body = _read_body(response.iter_bytes(), deadline)
        except (self._sdk.BadRequestError, self._sdk.UnprocessableEntityError) as error:
            if not self._adapt(str(error)):
                raise
            return self._ask_once(messages, manner)
        try:
            reply = self._parse(body)
        except ValueError:
            raise GarbageReplyError(self._without_key(body.decode(errors="replace"))[:80]) from None
        clean = {name: self._without_key(getattr(reply, name)) for name in ("content", "tool", "refusal", "model")}
        return ChatReply(**{**vars(reply), **clean})

    def _without_key(self, text: str | None) -> Any:
        """To be called before a text is cut: the beginning of a key would not be found."""
        return text and text.replace(self._key, "***")

    def _explain(self, error: Any) -> str:
        server = f"{self.config.base_url}, model {self.config.model}"
        attempts = f" after {self.config.max_attempts} attempts" if self._is_transient(error) else ""
        if isinstance(error, self._sdk.AuthenticationError | self._sdk.PermissionDeniedError):
            # The server's own words may quote a part of the key.
            return f"{server}: the API key was refused (status {error.status_code}); set {KEY}."
        if isinstance(error, self._sdk.APIStatusError):
            wait = f" and asks to wait {seconds:.0f} s" if (seconds := self._retry_after(error)) else ""
            message = self._without_key(error.message)[:300]
            return f"{server}: status {error.status_code}{wait}{attempts}: {message}"
        if isinstance(error, self._sdk.APITimeoutError | httpx2.TimeoutException):
            return f"{server}: no answer within {TIMEOUT_SECONDS} s{attempts}; is the server overloaded?"
        if isinstance(error, GarbageReplyError):
            return f"{server}: the body is no reply of a chat{attempts}: {error}"
        return f"{server}: no connection{attempts} ({error.__cause__ or error}); check base_url and the network."

    def _is_transient(self, error: Any) -> bool:
        if isinstance(error, self._sdk.APIStatusError):
            again = error.status_code in TRANSIENT_STATUS or (error.status_code >= 500 and error.status_code != 501)
            return again and self._retry_after(error) <= LONGEST_WAIT_SECONDS
        return isinstance(error, self._sdk.APIConnectionError | httpx2.TransportError | GarbageReplyError)

    def _retry_after(self, error: Any) -> float:
        """Seconds that the server asks to wait; 0 if it does not."""
        if not isinstance(error, self._sdk.APIStatusError):
            return 0.0
        return parse_retry_after(error.response.headers.get("retry-after", ""))


def _read_body(pieces: Iterable[bytes], deadline: float) -> bytes:
    """The body; an error where it comes too slowly or is too long, however lively the connection is."""
    body = bytearray()
    for piece in pieces:
        body += piece
        if time.monotonic() > deadline:
            raise httpx2.ReadTimeout("the body does not end")
        if len(body) > MOST_REPLY_BYTES:
            raise GarbageReplyError(f"more than {MOST_REPLY_BYTES:,} bytes")
    return bytes(body)


def _read_key(base_url: str, own_key: str) -> str:
    """The key from the environment; the vendor's own is not shown to a server on this machine."""
    is_local = urlsplit(base_url).hostname in LOCAL_HOSTS
    key = os.environ.get(KEY) or (NO_KEY if is_local else os.environ.get(own_key))
    if not key:
        raise UserError(f"{base_url} needs an API key; set {KEY} (or {own_key}), to any text if it takes none.")
    if not (key.isascii() and key.isprintable()):
        raise UserError(f"{KEY} or {own_key} holds a line break or another character that no key has; set it again.")
    return key


def _error_of(state: tenacity.RetryCallState) -> BaseException | None:
    return state.outcome.exception() if state.outcome else None
