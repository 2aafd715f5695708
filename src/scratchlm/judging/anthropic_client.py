"""Anthropic's Messages API, the vendor's or another server's; a verdict is asked for as a tool call."""

import json
from typing import Any, Literal

import anthropic
from pydantic import BaseModel, Field

from scratchlm.judging.client import ChatClient, ChatReply, Form, Manner, Messages
from scratchlm.judging.config import AnthropicConfig


class _Block(BaseModel):
    type: str
    text: str = ""
    input: dict[str, Any] = {}


class _Usage(BaseModel):
    input_tokens: int = 0
    output_tokens: int = 0
    cache_creation_input_tokens: int | None = None
    cache_read_input_tokens: int | None = None

    @property
    def prompt_tokens(self) -> int:
        return self.input_tokens + (self.cache_creation_input_tokens or 0) + (self.cache_read_input_tokens or 0)


class _Message(BaseModel):
    """What is used of a message."""

    type: Literal["message"]
    content: list[_Block]
    model: str | None = None
    stop_reason: str | None = None
    usage: _Usage = Field(default_factory=_Usage)


class AnthropicClient(ChatClient):
    """Asks one model for messages."""

    own_key = "ANTHROPIC_API_KEY"

    def __init__(self, config: AnthropicConfig) -> None:
        super().__init__(config, anthropic)
        self._anthropic = anthropic.Anthropic(**self._settings)

    def _request(self, messages: Messages, manner: Manner) -> Any:
        fields: dict[str, Any] = {"max_tokens": self.config.max_tokens}
        if manner.form is Form.TOOL:
            tool = {"name": "verdict", "description": "Records the verdict.", "input_schema": manner.schema}
            fields |= {"tools": [tool], "tool_choice": {"type": "tool", "name": "verdict"}}
        if manner.temperature is not None:
            # No field of the SDK's any more, as newer models refuse it; older ones and other servers take it.
            fields["extra_body"] = {"temperature": manner.temperature}
        create: Any = self._anthropic.messages.with_streaming_response.create
        return create(model=self.config.model, messages=messages, **fields)

    def _parse(self, body: bytes) -> ChatReply:
        message = _Message.model_validate_json(body)
        calls = [block.input for block in message.content if block.type == "tool_use"]
        text = "".join(block.text for block in message.content if block.type == "text")
        refused = message.stop_reason == "refusal"
        return ChatReply(
            content=text,
            tool=json.dumps(calls[0], ensure_ascii=False) if calls else None,
            refusal=(text or "refusal") if refused else None,
            model=message.model,
            prompt_tokens=message.usage.prompt_tokens,
            completion_tokens=message.usage.output_tokens,
        )

    def _adapt(self, message: str) -> bool:
        return False
