"""What is read of a chat completion, from servers that differ in what they leave out."""

from typing import Any

import pytest

from scratchlm.judging.client import Form, Manner
from scratchlm.judging.openai_client import OpenAIClient
from scratchlm.judging.reply_form import reply_schema
from tests.judging.conftest import Answer, ChatServer, completion, server_config

MESSAGES = [{"role": "user", "content": "Grade this."}]
TEXT = Manner(Form.TEXT, reply_schema(4), 0.0)


def test_each_token_stands_with_the_likeliest_at_its_place(server: ChatServer):
    answer = completion("3.")
    tops = [{"token": "3", "logprob": -0.5, "bytes": [51]}, {"token": " 4", "logprob": -1.5}]
    places = [{"token": "3", "logprob": -0.5, "top_logprobs": tops}, {"token": "."}]
    answer.body["choices"][0]["logprobs"] = {"content": places, "refusal": None}
    server.answers = [answer]
    reply = OpenAIClient(server_config(server)).ask(MESSAGES, TEXT)
    assert reply.tokens == [("3", {"3": -0.5, " 4": -1.5}), (".", {})]


@pytest.mark.parametrize("logprobs", [None, {"content": None}, {}])
def test_a_reply_without_probabilities_has_no_tokens(server: ChatServer, logprobs: Any):
    answer = completion("3")
    answer.body["choices"][0]["logprobs"] = logprobs
    server.answers = [answer]
    assert OpenAIClient(server_config(server)).ask(MESSAGES, TEXT).tokens == []


def test_what_a_server_leaves_out_is_none_or_zero(server: ChatServer):
    server.answers = [Answer({"choices": [{"message": {"content": "3"}}]})]
    reply = OpenAIClient(server_config(server)).ask(MESSAGES, TEXT)
    assert (reply.content, reply.model, reply.prompt_tokens, reply.completion_tokens) == ("3", None, 0, 0)


def test_of_several_tool_calls_the_first_counts(server: ChatServer):
    calls = [
        {"id": f"{n}", "type": "function", "function": {"name": "verdict", "arguments": f'{{"score": {n}}}'}}
        for n in (3, 4)
    ]
    server.answers = [completion(None, tool_calls=calls)]
    assert OpenAIClient(server_config(server)).ask(MESSAGES, TEXT).tool == '{"score": 3}'
