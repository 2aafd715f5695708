"""Requests to a stub server by both backends: retries, garbage, limits, and errors without the key."""

import time
from email.utils import formatdate
from typing import Any

import pytest
import tenacity

from scratchlm.errors import UserError
from scratchlm.judging import client
from scratchlm.judging.anthropic_client import AnthropicClient
from scratchlm.judging.client import ChatClient, Form, Manner
from scratchlm.judging.openai_client import OpenAIClient
from scratchlm.judging.reply_form import reply_schema
from tests.judging.conftest import Answer, ChatServer, anthropic_message, completion, said, server_config

MESSAGES = [{"role": "user", "content": "Grade this."}]
SENTINEL = "sk-sentinel-4711"
SCHEMA = reply_schema(100)
TEXT = Manner(Form.TEXT, SCHEMA, 0.0)

both_backends = pytest.mark.parametrize("backend", ["openai", "anthropic"])


@pytest.fixture(autouse=True)
def no_backoff(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(client, "_backoff", tenacity.wait_none())


def make_client(server: ChatServer, backend: str = "openai", **settings: Any) -> ChatClient:
    config = server_config(server, backend, **{"max_attempts": 3, **settings})
    return OpenAIClient(config) if backend == "openai" else AnthropicClient(config)


@both_backends
def test_a_reply_carries_the_text_the_returned_model_and_the_tokens(server: ChatServer, backend: str):
    server.answers = [said(backend, "SCORE: 90", model="stub-7b-0613")]
    reply = make_client(server, backend).ask(MESSAGES, TEXT)
    assert (reply.content, reply.model, reply.tool) == ("SCORE: 90", "stub-7b-0613", None)
    assert (reply.prompt_tokens, reply.completion_tokens) == (11, 7)


def test_each_form_of_verdict_is_asked_for_in_the_words_of_the_api(server: ChatServer):
    judge = make_client(server)
    judge.ask(MESSAGES, Manner(Form.SCHEMA, SCHEMA, 0.5, seed=3, logprobs=True))
    judge.ask(MESSAGES, Manner(Form.TOOL, SCHEMA, None))
    judge.ask(MESSAGES, TEXT)
    schema, tool, text = server.requests
    assert schema["response_format"]["json_schema"]["schema"] == SCHEMA
    assert (schema["temperature"], schema["seed"], schema["logprobs"], schema["top_logprobs"]) == (0.5, 3, True, 20)
    assert tool["tools"][0]["function"] == {"name": "verdict", "parameters": SCHEMA}
    assert tool["tool_choice"] == {"type": "function", "function": {"name": "verdict"}}
    assert "temperature" not in tool
    assert text == {"model": "m", "messages": MESSAGES, "max_tokens": 50, "temperature": 0.0}


def test_anthropics_verdict_is_a_call_of_a_tool_that_the_model_has_to_use(server: ChatServer):
    server.answers = [anthropic_message("Let me see.", verdict={"reason": "right", "score": 85})]
    reply = make_client(server, "anthropic").ask(MESSAGES, Manner(Form.TOOL, SCHEMA, None))
    assert (reply.content, reply.tool) == ("Let me see.", '{"reason": "right", "score": 85}')
    (request,) = server.requests
    assert request["tools"][0]["input_schema"] == SCHEMA
    assert request["tool_choice"] == {"type": "tool", "name": "verdict"}
    assert "temperature" not in request


def test_refusals_and_tool_calls_are_kept_apart_from_the_text(server: ChatServer):
    call = {"id": "1", "type": "function", "function": {"name": "verdict", "arguments": '{"score": 3}'}}
    server.answers = [completion(None, refusal="I cannot."), completion("Well.", tool_calls=[call]), completion(None)]
    judge = make_client(server)
    replies = [judge.ask(MESSAGES, TEXT) for _ in range(3)]
    assert [(reply.content, reply.tool, reply.refusal) for reply in replies] == [
        ("", None, "I cannot."),
        ("Well.", '{"score": 3}', None),
        ("", None, None),
    ]


@both_backends
def test_retry_after_in_seconds_is_honoured(server: ChatServer, backend: str):
    server.answers = [Answer(status=429, headers={"Retry-After": "0.6"}), said(backend, "SCORE: 1")]
    start = time.monotonic()
    assert make_client(server, backend).ask(MESSAGES, TEXT).content == "SCORE: 1"
    assert time.monotonic() - start >= 0.6


def test_retry_after_as_a_date_is_honoured(server: ChatServer):
    date = formatdate(time.time() + 2, usegmt=True)
    server.answers = [Answer(status=503, headers={"Retry-After": date}), completion("SCORE: 1")]
    start = time.time()
    make_client(server).ask(MESSAGES, TEXT)
    assert time.time() - start >= 1


@both_backends
def test_a_wait_beyond_the_limit_ends_at_once_and_says_so(server: ChatServer, backend: str):
    server.answers = [Answer(status=429, headers={"Retry-After": "3600"})]
    with pytest.raises(UserError, match="status 429 and asks to wait 3600 s"):
        make_client(server, backend).ask(MESSAGES, TEXT)
    assert len(server.requests) == 1


@both_backends
@pytest.mark.parametrize("status", [408, 429, 500, 503, 529])
def test_a_transient_status_is_tried_max_attempts_times(server: ChatServer, backend: str, status: int):
    server.answers = [Answer({"error": {"message": "busy"}}, status=status)]
    with pytest.raises(UserError, match=rf"model m: status {status} after 3 attempts: .*busy"):
        make_client(server, backend).ask(MESSAGES, TEXT)
    assert len(server.requests) == 3


@both_backends
@pytest.mark.parametrize("body", [b"<html>oops</html>", b"", b"[1]", b"null", {"a": 1}, {"choices": []}])
def test_a_garbage_body_with_status_200_is_asked_again(server: ChatServer, backend: str, body: Any):
    server.answers = [Answer(body), said(backend, "SCORE: 1")]
    assert make_client(server, backend).ask(MESSAGES, TEXT).content == "SCORE: 1"


@both_backends
def test_garbage_that_does_not_end_is_an_error_that_quotes_it(server: ChatServer, backend: str):
    server.answers = [Answer(b"<html>oops</html>")]
    with pytest.raises(UserError, match="no reply of a chat after 3 attempts: <html>oops"):
        make_client(server, backend).ask(MESSAGES, TEXT)


def test_a_body_without_an_end_is_given_up(server: ChatServer, monkeypatch: pytest.MonkeyPatch):
    monkeypatch.setattr(client, "MOST_REPLY_BYTES", 1_000)
    server.answers = [Answer(b" " * 5_000)]
    with pytest.raises(UserError, match="more than 1,000 bytes"):
        make_client(server).ask(MESSAGES, TEXT)


def test_a_body_that_drips_is_given_up_at_the_time_out():
    with pytest.raises(client.httpx2.ReadTimeout):
        client._read_body(iter([b"a", b"b"]), deadline=time.monotonic() - 1)


@both_backends
def test_a_permanent_status_is_not_tried_again(server: ChatServer, backend: str):
    server.answers = [Answer({"error": {"message": "no such model"}}, status=404)]
    with pytest.raises(UserError, match=r"status 404: .*no such model"):
        make_client(server, backend).ask(MESSAGES, TEXT)
    assert len(server.requests) == 1


def test_a_limit_of_tokens_under_another_name_is_sent_so_from_then_on(server: ChatServer):
    def respond(request: dict[str, Any]) -> Answer:
        if "max_tokens" in request:
            return Answer({"error": {"message": "Use 'max_completion_tokens' instead."}}, status=400)
        return completion("SCORE: 1")

    server.respond = respond
    judge = make_client(server)
    judge.ask(MESSAGES, TEXT)
    judge.ask(MESSAGES, TEXT)
    assert len(server.requests) == 3
    assert server.requests[-1] == {"model": "m", "messages": MESSAGES, "temperature": 0, "max_completion_tokens": 50}


@both_backends
def test_a_dead_server_is_one_line_that_names_it(server: ChatServer, backend: str):
    with pytest.raises(UserError, match=r"http://127.0.0.1:9/v1, model m: no connection after 3 attempts"):
        make_client(server, backend, base_url="http://127.0.0.1:9/v1").ask(MESSAGES, TEXT)


@both_backends
def test_a_server_that_hangs_is_given_up(server: ChatServer, backend: str, monkeypatch: pytest.MonkeyPatch):
    monkeypatch.setattr(client, "TIMEOUT_SECONDS", 0.1)
    server.answers = [Answer(delay_seconds=0.3)]
    with pytest.raises(UserError, match=r"no answer within 0\.1 s after 2 attempts"):
        make_client(server, backend, max_attempts=2).ask(MESSAGES, TEXT)


@both_backends
@pytest.mark.parametrize("status", [400, 401, 403, 500])
def test_an_error_never_holds_the_key(
    server: ChatServer, backend: str, monkeypatch: pytest.MonkeyPatch, status: int
) -> None:
    monkeypatch.setenv("SCRATCHLM_JUDGE_API_KEY", SENTINEL)
    server.answers = [Answer({"error": {"message": f"the key {SENTINEL} is wrong"}}, status=status)]
    with pytest.raises(UserError) as caught:
        make_client(server, backend).ask(MESSAGES, TEXT)
    assert server.keys[0].endswith(SENTINEL)
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
            judge.ask(MESSAGES, TEXT)
        assert SENTINEL[:4] not in str(caught.value)


@both_backends
def test_a_reply_that_quotes_the_key_is_kept_without_it(
    server: ChatServer, backend: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("SCRATCHLM_JUDGE_API_KEY", SENTINEL)
    server.answers = [said(backend, f"Your key is {SENTINEL}. SCORE: 1", model=SENTINEL)]
    reply = make_client(server, backend).ask(MESSAGES, TEXT)
    assert (reply.content, reply.model) == ("Your key is ***. SCORE: 1", "***")


@both_backends
def test_a_redirect_is_not_followed_as_it_would_show_the_key_elsewhere(server: ChatServer, backend: str):
    server.answers = [Answer(status=307, headers={"Location": f"{server.base_url}/elsewhere"})]
    with pytest.raises(UserError, match="status 307"):
        make_client(server, backend).ask(MESSAGES, TEXT)
    assert len(server.requests) == 1


@both_backends
def test_a_vendors_key_is_not_shown_to_a_local_server(
    server: ChatServer, backend: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    for name in ("OPENAI_API_KEY", "ANTHROPIC_API_KEY", "ANTHROPIC_AUTH_TOKEN"):
        monkeypatch.setenv(name, SENTINEL)
    server.answers = [said(backend, "SCORE: 1")]
    make_client(server, backend).ask(MESSAGES, TEXT)
    assert SENTINEL not in server.keys[0]


@pytest.mark.parametrize(
    ("backend", "url", "name"),
    [
        ("openai", "https://api.openai.com/v1", "OPENAI_API_KEY"),
        ("anthropic", "https://api.anthropic.com", "ANTHROPIC_API_KEY"),
    ],
)
def test_a_remote_server_needs_a_key_that_can_stand_in_a_header(
    server: ChatServer, backend: str, url: str, name: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    with pytest.raises(UserError, match=rf"needs an API key; set SCRATCHLM_JUDGE_API_KEY \(or {name}\)"):
        make_client(server, backend, base_url=url)
    monkeypatch.setenv(name, f"{SENTINEL}\n")
    with pytest.raises(UserError, match="line break") as caught:
        make_client(server, backend, base_url=url)
    assert SENTINEL not in str(caught.value)


@pytest.mark.parametrize("url", ["https://user:secret@host/v1", "https://host/v1?key=secret", "ftp://host"])
def test_an_address_has_no_room_for_a_key(url: str):
    with pytest.raises(ValueError, match="should match pattern"):
        server_config(url)
