"""What a server honours is found by what it says, not by what it accepts."""

import json
from typing import Any

import pytest

from scratchlm.errors import UserError
from scratchlm.judging.anthropic_client import AnthropicClient
from scratchlm.judging.capabilities import PROBE, probe
from scratchlm.judging.client import Form
from scratchlm.judging.openai_client import OpenAIClient
from tests.judging.conftest import Answer, ChatServer, anthropic_message, completion, server_config


def honest(request: dict[str, Any]) -> Answer:
    """A server that honours everything."""
    if "response_format" in request:
        return completion(json.dumps(PROBE))
    if "tools" in request:
        call = {"id": "1", "type": "function", "function": {"name": "verdict", "arguments": json.dumps(PROBE)}}
        return completion(None, tool_calls=[call])
    answer = completion(f"word {request.get('seed')}")
    if request.get("logprobs"):
        tops = [{"token": "a", "logprob": -0.1}, {"token": "b", "logprob": -3.0}]
        answer.body["choices"][0]["logprobs"] = {"content": [{"token": "a", "top_logprobs": tops}]}
    return answer


def test_a_server_that_honours_everything_is_found_to(server: ChatServer):
    server.respond = honest
    found = probe(OpenAIClient(server_config(server)))
    assert found.honoured == ["json_schema", "logprobs", "seed"]
    assert found.form is Form.SCHEMA
    assert (found.prompt_tokens, found.completion_tokens) == (5 * 11, 5 * 7)


def test_a_server_that_accepts_every_field_and_ignores_it_is_found_to(server: ChatServer):
    server.answers = [completion("Hello.")]
    found = probe(OpenAIClient(server_config(server)))
    assert (found.honoured, found.form) == ([], Form.TEXT)


def test_a_server_that_refuses_fields_is_found_to(server: ChatServer):
    def respond(request: dict[str, Any]) -> Answer:
        refused = {"response_format", "logprobs", "seed"} & request.keys()
        return Answer({"error": {"message": f"{refused} unknown"}}, status=400) if refused else honest(request)

    server.respond = respond
    found = probe(OpenAIClient(server_config(server)))
    assert (found.honoured, found.form) == (["tool_call"], Form.TOOL)


@pytest.mark.parametrize("words", ["always the same", None])
def test_a_seed_is_honoured_only_where_another_one_draws_other_words(server: ChatServer, words: str | None):
    numbers = iter(range(100))
    server.respond = lambda request: completion(words or f"word {next(numbers)}")
    assert not probe(OpenAIClient(server_config(server))).seed


def test_anthropics_api_has_tool_calls_alone(server: ChatServer):
    server.respond = lambda request: anthropic_message("", verdict=PROBE)
    found = probe(AnthropicClient(server_config(server, "anthropic")))
    assert (found.honoured, found.form, len(server.requests)) == (["tool_call"], Form.TOOL, 1)


def test_a_server_that_fails_is_not_taken_for_one_that_honours_nothing(server: ChatServer):
    server.answers = [Answer(status=500)]
    with pytest.raises(UserError, match="status 500"):
        probe(OpenAIClient(server_config(server, max_attempts=1)))
