"""Requests to a stub server: retries, refused fields, garbage, and errors without the key."""

import time
from email.utils import formatdate
from typing import Any

import pytest
import tenacity

from scratchlm.errors import UserError
from scratchlm.judging import client
from scratchlm.judging.client import ChatClient
from scratchlm.judging.config import ClientConfig
from scratchlm.judging.reading import read_points
from scratchlm.judging.reply_form import REPLY_SCHEMA
from tests.judging.conftest import Answer, ChatServer, completion

MESSAGES = [{"role": "user", "content": "Grade this."}]
SENTINEL = "sk-sentinel-4711"


@pytest.fixture(autouse=True)
def no_backoff(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(client, "_backoff", tenacity.wait_none())


def make_client(server: ChatServer, **settings: Any) -> ChatClient:
    defaults = {"base_url": server.base_url, "model": "m", "temperature": 0, "max_tokens": 50, "max_attempts": 3}
    return ChatClient(ClientConfig(**{**defaults, **settings}), REPLY_SCHEMA)


def test_a_reply_carries_the_text_the_returned_model_and_the_tokens(server: ChatServer):
    server.answers = [completion('{"reason": "right", "score": 90}', model="stub-7b-0613")]
    reply = make_client(server).ask(MESSAGES)
    assert (reply.text, reply.model) == ('{"reason": "right", "score": 90}', "stub-7b-0613")
    assert reply.usage is not None
    assert (reply.usage.prompt_tokens, reply.usage.completion_tokens) == (11, 7)
    assert server.requests[0]["response_format"]["json_schema"]["schema"] == REPLY_SCHEMA


def test_the_text_of_a_refusal_or_of_no_content_is_a_reply(server: ChatServer):
    refusal = completion(None)
    refusal.body["choices"][0]["message"]["refusal"] = "I cannot grade this."
    server.answers = [refusal, completion(None)]
    judge = make_client(server)
    assert [judge.ask(MESSAGES).text, judge.ask(MESSAGES).text] == ["I cannot grade this.", ""]


def test_what_a_tool_was_called_with_is_a_reply_where_there_is_no_content(server: ChatServer):
    call = completion(None)
    call.body["choices"][0]["message"]["tool_calls"] = [
        {"id": "1", "type": "function", "function": {"name": "verdict", "arguments": '{"reason": "no", "score": 3}'}}
    ]
    server.answers = [call]
    assert read_points(make_client(server).ask(MESSAGES).text) == 3


def test_retry_after_in_seconds_is_honoured(server: ChatServer):
    server.answers = [Answer(status=429, headers={"Retry-After": "0.6"}), completion("SCORE: 1")]
    start = time.monotonic()
    assert make_client(server).ask(MESSAGES).text == "SCORE: 1"
    assert time.monotonic() - start >= 0.6


def test_retry_after_as_a_date_is_honoured(server: ChatServer):
    date = formatdate(time.time() + 2, usegmt=True)
    server.answers = [Answer(status=503, headers={"Retry-After": date}), completion("SCORE: 1")]
    start = time.time()
    make_client(server).ask(MESSAGES)
    assert time.time() - start >= 1


def test_a_wait_beyond_the_limit_ends_at_once_and_says_so(server: ChatServer):
    server.answers = [Answer(status=429, headers={"Retry-After": "3600"})]
    with pytest.raises(UserError, match="status 429 and asks to wait 3600 s"):
        make_client(server).ask(MESSAGES)
    assert len(server.requests) == 1


@pytest.mark.parametrize("status", [408, 429, 500, 502, 503, 529])
def test_a_transient_status_is_tried_max_attempts_times(server: ChatServer, status: int):
    server.answers = [Answer({"error": {"message": "busy"}}, status=status)]
    with pytest.raises(UserError, match=rf"model m: status {status} after 3 attempts: .*busy"):
        make_client(server).ask(MESSAGES)
    assert len(server.requests) == 3


@pytest.mark.parametrize(
    "body", [b"<html>oops</html>", b"", b"[1]", b"null", {"a": 1}, {"choices": []}, {"choices": [{"message": "hi"}]}]
)
def test_a_garbage_body_with_status_200_is_asked_again(server: ChatServer, body: Any):
    server.answers = [Answer(body), completion("SCORE: 1")]
    assert make_client(server).ask(MESSAGES).text == "SCORE: 1"


def test_garbage_that_does_not_end_is_an_error_that_quotes_it(server: ChatServer):
    server.answers = [Answer(b"<html>oops</html>")]
    with pytest.raises(UserError, match="no chat completion after 3 attempts: <html>oops"):
        make_client(server).ask(MESSAGES)


def test_a_permanent_status_is_not_tried_again(server: ChatServer):
    server.answers = [Answer({"error": {"message": "no such model"}}, status=404)]
    with pytest.raises(UserError, match=r"status 404: .*no such model"):
        make_client(server).ask(MESSAGES)
    assert len(server.requests) == 1


def test_fields_that_a_server_refuses_are_left_out_or_renamed_from_then_on(server: ChatServer):
    def respond(request: dict[str, Any]) -> Answer:
        if "response_format" in request:
            return Answer({"error": {"message": "response_format is not supported"}}, status=400)
        if "max_tokens" in request:
            return Answer({"error": {"message": "Use 'max_completion_tokens' instead."}}, status=400)
        return completion("SCORE: 1")

    server.respond = respond
    judge = make_client(server)
    judge.ask(MESSAGES)
    judge.ask(MESSAGES)
    assert len(server.requests) == 4
    assert server.requests[-1] == {"model": "m", "messages": MESSAGES, "temperature": 0, "max_completion_tokens": 50}


def test_temperature_null_sends_none(server: ChatServer):
    make_client(server, temperature=None).ask(MESSAGES)
    assert "temperature" not in server.requests[0]


def test_a_dead_server_is_one_line_that_names_it(server: ChatServer):
    with pytest.raises(UserError, match=r"http://127.0.0.1:9/v1, model m: no connection after 3 attempts"):
        make_client(server, base_url="http://127.0.0.1:9/v1").ask(MESSAGES)


def test_a_server_that_hangs_is_given_up(server: ChatServer, monkeypatch: pytest.MonkeyPatch):
    monkeypatch.setattr(client, "TIMEOUT_SECONDS", 0.1)
    server.answers = [Answer(delay_seconds=0.3)]
    with pytest.raises(UserError, match=r"no answer within 0\.1 s after 2 attempts"):
        make_client(server, max_attempts=2).ask(MESSAGES)


@pytest.mark.parametrize("status", [400, 401, 403, 500])
def test_an_error_never_holds_the_key(server: ChatServer, monkeypatch: pytest.MonkeyPatch, status: int):
    monkeypatch.setenv("SCRATCHLM_JUDGE_API_KEY", SENTINEL)
    server.answers = [Answer({"error": {"message": f"the key {SENTINEL} is wrong"}}, status=status)]
    with pytest.raises(UserError) as caught:
        make_client(server).ask(MESSAGES)
    assert server.keys[0] == f"Bearer {SENTINEL}"
    assert SENTINEL not in str(caught.value)
    assert caught.value.__cause__ is None
    assert caught.value.__suppress_context__


@pytest.mark.parametrize(("status", "cut"), [(200, 80), (500, 300)])
def test_an_error_that_is_cut_holds_no_part_of_the_key(
    server: ChatServer, monkeypatch: pytest.MonkeyPatch, status: int, cut: int
):
    monkeypatch.setenv("SCRATCHLM_JUDGE_API_KEY", SENTINEL)
    judge = make_client(server, max_attempts=1)
    for padding in range(cut - 76, cut, 4):  # of these one or another puts the key across the cut
        server.answers = [Answer({"error": {"message": "x" * padding + SENTINEL}}, status=status)]
        with pytest.raises(UserError, match="xxxx") as caught:
            judge.ask(MESSAGES)
        assert SENTINEL[:4] not in str(caught.value)


def test_openais_key_is_not_shown_to_a_local_server(server: ChatServer, monkeypatch: pytest.MonkeyPatch):
    monkeypatch.setenv("OPENAI_API_KEY", SENTINEL)
    make_client(server).ask(MESSAGES)
    assert SENTINEL not in server.keys[0]


def test_a_remote_server_needs_a_key_that_can_stand_in_a_header(
    server: ChatServer, monkeypatch: pytest.MonkeyPatch
) -> None:
    with pytest.raises(UserError, match="needs an API key; set SCRATCHLM_JUDGE_API_KEY"):
        make_client(server, base_url="https://api.openai.com/v1")
    monkeypatch.setenv("OPENAI_API_KEY", f"{SENTINEL}\n")
    with pytest.raises(UserError, match="line break") as caught:
        make_client(server, base_url="https://api.openai.com/v1")
    assert SENTINEL not in str(caught.value)
