"""Chat completions of any OpenAI-compatible server."""

from typing import Any

import openai
from pydantic import BaseModel, Field

from scratchlm.judging.client import ChatClient, ChatReply, Form, Manner, Messages
from scratchlm.judging.config import OpenAIConfig

TOP_LOGPROBS = 20  # the most that OpenAI gives


class _Function(BaseModel):
    arguments: str


class _ToolCall(BaseModel):
    function: _Function


class _Message(BaseModel):
    content: str | None = None
    tool_calls: list[_ToolCall] | None = None
    refusal: str | None = None


class _Top(BaseModel):
    token: str
    logprob: float


class _Token(BaseModel):
    token: str
    top_logprobs: list[_Top] = []


class _Logprobs(BaseModel):
    content: list[_Token] | None = None


class _Choice(BaseModel):
    message: _Message
    logprobs: _Logprobs | None = None


class _Usage(BaseModel):
    prompt_tokens: int = 0
    completion_tokens: int = 0


class _Completion(BaseModel):
    """What is used of a chat completion; servers differ in the rest."""

    choices: list[_Choice] = Field(min_length=1)
    model: str | None = None
    usage: _Usage | None = None


class OpenAIClient(ChatClient):
    """Asks one model for chat completions."""

    own_key = "OPENAI_API_KEY"

    def __init__(self, config: OpenAIConfig) -> None:
        super().__init__(config, openai)
        self._openai = openai.OpenAI(**self._settings)
        self._limit_field = "max_tokens"

    def _request(self, messages: Messages, manner: Manner) -> Any:
        fields: dict[str, Any] = {self._limit_field: self.config.max_tokens}
        if manner.form is Form.SCHEMA:
            json_schema = {"name": "verdict", "schema": manner.schema, "strict": True}
            fields["response_format"] = {"type": "json_schema", "json_schema": json_schema}
        elif manner.form is Form.TOOL:
            fields["tools"] = [{"type": "function", "function": {"name": "verdict", "parameters": manner.schema}}]
            fields["tool_choice"] = {"type": "function", "function": {"name": "verdict"}}
        if manner.temperature is not None:
            fields["temperature"] = manner.temperature
        if manner.seed is not None:
            fields["seed"] = manner.seed
        if manner.logprobs:
            fields |= {"logprobs": True, "top_logprobs": TOP_LOGPROBS}
        create: Any = self._openai.chat.completions.with_streaming_response.create
        return create(model=self.config.model, messages=messages, **fields)

    def _parse(self, body: bytes) -> ChatReply:
        completion = _Completion.model_validate_json(body)
        choice, usage = completion.choices[0], completion.usage or _Usage()
        calls = choice.message.tool_calls
        tokens = (choice.logprobs.content if choice.logprobs else None) or []
        return ChatReply(
            content=choice.message.content or "",
            tool=calls[0].function.arguments if calls else None,
            refusal=choice.message.refusal,
            model=completion.model,
            prompt_tokens=usage.prompt_tokens,
            completion_tokens=usage.completion_tokens,
            tokens=[(token.token, {top.token: top.logprob for top in token.top_logprobs}) for token in tokens],
        )

    def _adapt(self, message: str) -> bool:
        if "max_completion_tokens" not in message or self._limit_field != "max_tokens":
            return False
        self._limit_field = "max_completion_tokens"
        return True
