"""What a server honours of a request: asked once, as servers accept fields that they ignore."""

from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

from scratchlm.judging.client import ChatClient, ChatReply, Form, Manner, RefusedError
from scratchlm.judging.reply_form import json_object

# A form is honoured if it makes the model say what it would not say by itself.
PROBE = {"reason": "probe", "score": 1}
PROBE_SCHEMA: dict[str, Any] = {
    "type": "object",
    "properties": {
        "reason": {"type": "string", "enum": [PROBE["reason"]]},
        "score": {"type": "integer", "enum": [PROBE["score"]]},
    },
    "required": list(PROBE),
    "additionalProperties": False,
}
HELLO = "Say hello."
WORDS = "Write five words that have nothing to do with each other."
PROBE_VERSION = 1


@dataclass(frozen=True)
class Capabilities:
    """What a model at a server honours, and the tokens that it cost to find out.

    Tool calls are tried only where a schema is not honoured. `seed`: equal seeds draw the same words, others do not.
    """

    json_schema: bool
    tool_call: bool
    logprobs: bool
    seed: bool
    prompt_tokens: int = 0
    completion_tokens: int = 0

    @property
    def form(self) -> Form:
        """The strictest form of reply that is honoured."""
        return Form.SCHEMA if self.json_schema else Form.TOOL if self.tool_call else Form.TEXT

    @property
    def honoured(self) -> list[str]:
        """The names of what is honoured, to be kept beside each verdict."""
        return [name for name in ("json_schema", "tool_call", "logprobs", "seed") if getattr(self, name)]


def probe(client: ChatClient) -> Capabilities:
    """Ask a server what it honours; a field that it refuses is not honoured. UserError if it does not answer."""
    replies: list[ChatReply] = []
    is_openai = client.config.backend == "openai"  # Anthropic's API has tool calls alone
    warm = None if client.config.temperature is None else 1.0

    def ask(text: str, temperature: float | None, form: Form = Form.TEXT, **fields: Any) -> ChatReply | None:
        manner = Manner(form, PROBE_SCHEMA, temperature, **fields)
        try:
            replies.append(client.ask([{"role": "user", "content": text}], manner))
        except RefusedError:
            return None
        return replies[-1]

    def honours(form: Form, read: Callable[[ChatReply], str | None]) -> bool:
        reply = ask(HELLO, client.config.temperature, form)
        return reply is not None and json_object(read(reply) or "") == PROBE

    json_schema = is_openai and honours(Form.SCHEMA, lambda reply: reply.content)
    tool_call = not json_schema and honours(Form.TOOL, lambda reply: reply.tool)
    logprobs = seed = False
    if is_openai:
        reply = ask(HELLO, client.config.temperature, logprobs=True)
        logprobs = reply is not None and any(len(tops) > 1 for _, tops in reply.tokens)
        drawn = [reply.content if (reply := ask(WORDS, warm, seed=seed)) else "" for seed in (1, 1, 2)]
        seed = drawn[0] != "" and drawn[0] == drawn[1] != drawn[2]
    return Capabilities(
        json_schema,
        tool_call,
        logprobs,
        seed,
        prompt_tokens=sum(reply.prompt_tokens for reply in replies),
        completion_tokens=sum(reply.completion_tokens for reply in replies),
    )
