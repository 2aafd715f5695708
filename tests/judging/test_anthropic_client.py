"""What is read of a message of Anthropic's API."""

from typing import Any

from scratchlm.judging.anthropic_client import AnthropicClient
from scratchlm.judging.client import ChatReply, Form, Manner
from scratchlm.judging.reply_form import reply_schema
from tests.judging.conftest import ChatServer, anthropic_message, server_config

MESSAGES = [{"role": "user", "content": "Grade this."}]
TOOL = Manner(Form.TOOL, reply_schema(4), None)


def ask(server: ChatServer, manner: Manner = TOOL, **changes: Any) -> ChatReply:
    """The reply that is read of a message with these fields."""
    answer = anthropic_message("Well.")
    answer.body |= changes
    server.answers = [answer]
    return AnthropicClient(server_config(server, "anthropic")).ask(MESSAGES, manner)


def test_prompt_tokens_from_the_cache_count_too(server: ChatServer):
    usage = {"input_tokens": 11, "output_tokens": 7, "cache_creation_input_tokens": 20, "cache_read_input_tokens": 300}
    reply = ask(server, usage=usage)
    assert (reply.prompt_tokens, reply.completion_tokens) == (331, 7)


def test_of_the_blocks_of_a_message_only_its_texts_are_its_content(server: ChatServer):
    blocks = [
        {"type": "thinking", "thinking": "SCORE: 0", "signature": ""},
        {"type": "text", "text": "Right, "},
        {"type": "text", "text": "though terse."},
        {"type": "tool_use", "id": "t1", "name": "verdict", "input": {"reason": "d\u00e9j\u00e0", "score": 3}},
    ]
    reply = ask(server, content=blocks, stop_reason="tool_use")
    assert (reply.content, reply.tool) == ("Right, though terse.", '{"reason": "d\u00e9j\u00e0", "score": 3}')


def test_a_message_that_stops_as_a_refusal_is_one_with_its_words_or_without(server: ChatServer):
    assert ask(server, stop_reason="refusal").refusal == "Well."
    assert ask(server, stop_reason="refusal", content=[]).refusal == "refusal"
    assert ask(server).refusal is None


def test_a_temperature_is_sent_where_it_is_set(server: ChatServer):
    ask(server, Manner(Form.TEXT, reply_schema(4), 0.5))
    (request,) = server.requests
    assert request["temperature"] == 0.5
    assert "tools" not in request
    assert request["max_tokens"] == 50
