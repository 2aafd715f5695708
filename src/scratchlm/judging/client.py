"""One request to an OpenAI-compatible server: the key, the retries, and errors in one line that never hold the key."""

import os
from collections.abc import Mapping, Sequence
from typing import Any
from urllib.parse import urlsplit

import openai
import tenacity
from pydantic import BaseModel, Field, ValidationError

from scratchlm.errors import UserError
from scratchlm.judging.config import ClientConfig
from scratchlm.retry_after import parse_retry_after

KEY = "SCRATCHLM_JUDGE_API_KEY"
OPENAI_KEY = "OPENAI_API_KEY"
NO_KEY = "no-key-needed"
LOCAL_HOSTS = {"localhost", "127.0.0.1", "::1"}
TIMEOUT_SECONDS = 60
LONGEST_WAIT_SECONDS = 300
TRANSIENT_STATUS = {408, 409, 425, 429}

_backoff = tenacity.wait_random_exponential(multiplier=1, max=30)


class _Function(BaseModel):
    arguments: str


class _ToolCall(BaseModel):
    function: _Function


class _Message(BaseModel):
    content: str | None = None
    tool_calls: list[_ToolCall] | None = None
    refusal: str | None = None


class _Choice(BaseModel):
    message: _Message


class _Usage(BaseModel):
    prompt_tokens: int = 0
    completion_tokens: int = 0


class ChatReply(BaseModel):
    """What is used of a chat completion; servers differ in the rest."""

    choices: list[_Choice] = Field(min_length=1)
    model: str | None = None
    usage: _Usage | None = None

    @property
    def text(self) -> str:
        """The content, or what a tool was called with, or the refusal of a model that refuses."""
        message = self.choices[0].message
        called = message.tool_calls[0].function.arguments if message.tool_calls else ""
        return message.content or called or message.refusal or ""


class GarbageReplyError(Exception):
    """A body with status 200 that is no chat completion."""


class ChatClient:
    """Asks one model for chat completions; threads may share it."""

    def __init__(self, config: ClientConfig, schema: Mapping[str, Any]) -> None:
        self.config = config
        self._key = _read_key(config.base_url)
        self._openai = openai.OpenAI(
            api_key=self._key, base_url=config.base_url, timeout=TIMEOUT_SECONDS, max_retries=0
        )
        self._retrying = tenacity.Retrying(
            stop=tenacity.stop_after_attempt(config.max_attempts),
            wait=lambda state: max(_backoff(state), _retry_after(_error_of(state))),
            retry=tenacity.retry_if_exception(_is_transient),
            reraise=True,
        )
        json_schema = {"name": "verdict", "schema": schema, "strict": True}
        self._fields: dict[str, Any] = {
            "max_tokens": config.max_tokens,
            "response_format": {"type": "json_schema", "json_schema": json_schema},
        }
        if config.temperature is not None:
            self._fields["temperature"] = config.temperature

    def ask(self, messages: Sequence[Mapping[str, str]]) -> ChatReply:
        """The reply to a conversation; UserError says what the server said once the attempts are used up."""
        try:
            return self._retrying(self._ask_once, messages)
        except (openai.OpenAIError, GarbageReplyError) as error:
            raise UserError(self._without_key(self._explain(error))) from None

    def _ask_once(self, messages: Sequence[Mapping[str, str]]) -> ChatReply:
        fields = self._fields
        create: Any = self._openai.chat.completions.with_raw_response.create
        try:
            response = create(model=self.config.model, messages=messages, **fields)
        except (openai.BadRequestError, openai.UnprocessableEntityError) as error:
            accepted = _without_refused(fields, str(error))
            if accepted == fields:
                raise
            self._fields = accepted
            return self._ask_once(messages)
        try:
            return ChatReply.model_validate_json(response.content)
        except ValidationError:
            raise GarbageReplyError(self._without_key(response.text)[:80]) from None

    def _without_key(self, text: str) -> str:
        """To be called before a text is cut: the beginning of a key would not be found."""
        return text.replace(self._key, "***")

    def _explain(self, error: Exception) -> str:
        server = f"{self.config.base_url}, model {self.config.model}"
        attempts = f" after {self.config.max_attempts} attempts" if _is_transient(error) else ""
        match error:
            case openai.AuthenticationError() | openai.PermissionDeniedError():
                # The server's own words may quote a part of the key.
                return f"{server}: the API key was refused (status {error.status_code}); set {KEY}."
            case openai.APIStatusError():
                wait = f" and asks to wait {seconds:.0f} s" if (seconds := _retry_after(error)) else ""
                return f"{server}: status {error.status_code}{wait}{attempts}: {self._without_key(error.message)[:300]}"
            case openai.APITimeoutError():
                return f"{server}: no answer within {TIMEOUT_SECONDS} s{attempts}; is the server overloaded?"
            case GarbageReplyError():
                return f"{server}: the body is no chat completion{attempts}: {error}"
            case _:
                return (
                    f"{server}: no connection{attempts} ({error.__cause__ or error}); check base_url and the network."
                )


def _read_key(base_url: str) -> str:
    """The key from the environment; OpenAI's is not shown to a server on this machine."""
    is_local = urlsplit(base_url).hostname in LOCAL_HOSTS
    key = os.environ.get(KEY) or (NO_KEY if is_local else os.environ.get(OPENAI_KEY))
    if not key:
        raise UserError(f"{base_url} needs an API key; set {KEY} (or {OPENAI_KEY}), to any text if it takes none.")
    if not (key.isascii() and key.isprintable()):
        raise UserError(f"{KEY} or {OPENAI_KEY} holds a line break or another character that no key has; set it again.")
    return key


def _without_refused(fields: dict[str, Any], message: str) -> dict[str, Any]:
    """The request's fields as a server that refused some of them takes them."""
    fields = dict(fields)
    if "response_format" in message or "json_schema" in message:
        fields.pop("response_format", None)
    if "max_completion_tokens" in message and "max_tokens" in fields:
        fields["max_completion_tokens"] = fields.pop("max_tokens")
    return fields


def _is_transient(error: BaseException) -> bool:
    if isinstance(error, openai.APIStatusError):
        again = error.status_code in TRANSIENT_STATUS or error.status_code >= 500
        return again and _retry_after(error) <= LONGEST_WAIT_SECONDS
    return isinstance(error, openai.APIConnectionError | GarbageReplyError)


def _error_of(state: tenacity.RetryCallState) -> BaseException | None:
    return state.outcome.exception() if state.outcome else None


def _retry_after(error: BaseException | None) -> float:
    """Seconds that the server asks to wait; 0 if it does not."""
    value = error.response.headers.get("retry-after", "") if isinstance(error, openai.APIStatusError) else ""
    return parse_retry_after(value)
