"""A chat server whose answers a test lays down, on 127.0.0.1, and the settings to ask it."""

import json
import threading
import time
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from typing import Any

import pytest

from scratchlm.judging.capabilities import Capabilities
from scratchlm.judging.config import AnthropicConfig, OpenAIConfig
from scratchlm.judging.openai_client import OpenAIClient
from scratchlm.judging.rubric import read_rubric
from scratchlm.judging.server_judge import ServerJudge
from scratchlm.judging.verdicts import VerdictStore
from tests.conftest import ROOT

POINTS, SCALE = (read_rubric(ROOT / f"rubrics/{name}.yaml") for name in ("points-100", "scale-4"))
PLAIN = Capabilities(json_schema=False, tool_call=False, logprobs=False, seed=False)

# Answers to judge: every second one is wrong.
ITEMS = [
    {
        "id": n,
        "instruction": "Double the number.",
        "input": f"{n}",
        "output": f"{2 * n}",
        "response": f"{2 * n + n % 2}",
    }
    for n in range(100)
]


@dataclass
class Answer:
    """What the server sends: a body of JSON or bytes, after a delay."""

    body: Any = b""
    status: int = 200
    headers: dict[str, str] = field(default_factory=dict)
    delay_seconds: float = 0


def completion(text: str | None, model: str = "stub-7b", **others: Any) -> Answer:
    """A well-formed chat completion; `others` stand beside the text."""
    message = {"role": "assistant", "content": text, **others}
    usage = {"prompt_tokens": 11, "completion_tokens": 7, "total_tokens": 18}
    return Answer({"id": "x", "model": model, "choices": [{"index": 0, "message": message}], "usage": usage})


def anthropic_message(text: str, model: str = "stub-7b", verdict: dict[str, Any] | None = None) -> Answer:
    """A well-formed message of Anthropic's API, with a call of the tool if there is a verdict."""
    content: list[dict[str, Any]] = [{"type": "text", "text": text}] if text else []
    if verdict is not None:
        content.append({"type": "tool_use", "id": "t1", "name": "verdict", "input": verdict})
    usage = {"input_tokens": 11, "output_tokens": 7}
    body = {"id": "x", "type": "message", "role": "assistant", "model": model, "content": content, "usage": usage}
    return Answer({**body, "stop_reason": "tool_use" if verdict else "end_turn", "stop_sequence": None})


def said(backend: str, text: str, model: str = "stub-7b") -> Answer:
    """A text, as a server of this backend sends it."""
    return completion(text, model) if backend == "openai" else anthropic_message(text, model)


def server_config(server: "ChatServer | str", backend: str = "openai", **settings: Any) -> Any:
    """The settings of a server, with those of a test."""
    url = server if isinstance(server, str) else server.base_url
    defaults: dict[str, Any] = {"base_url": url, "model": "m", "temperature": 0.0, "max_tokens": 50, "max_attempts": 2}
    defaults |= {"max_concurrency": 4, "samples": 1, "skip_verbatim": False, "prices": None, "max_cost": None}
    if backend == "openai":
        return OpenAIConfig(**{**defaults, "logprobs": False, **settings})
    return AnthropicConfig(**{**defaults, **settings})


def server_judge(server: "ChatServer", capabilities: Capabilities = PLAIN, **settings: Any) -> ServerJudge:
    """A judge on the scale of 100 points at the stub server, of which these capabilities are known."""
    config = server_config(server, **settings)
    return ServerJudge(config, SCALE if config.logprobs else POINTS, capabilities, OpenAIClient(config))


class ChatServer(ThreadingHTTPServer):
    """Answers with `answers` in turn and with the last one from then on, or with what `respond` makes of a request."""

    daemon_threads = True

    def __init__(self) -> None:
        super().__init__(("127.0.0.1", 0), _Handler)
        self.answers = [completion("SCORE: 50")]
        self.respond: Callable[[dict[str, Any]], Answer] = self._next
        self.requests: list[dict[str, Any]] = []
        self.keys: list[str] = []
        self.lock = threading.Lock()

    def handle_error(self, request: object, client_address: object) -> None:
        """A client that hung up is what some tests are about."""

    @property
    def base_url(self) -> str:
        return f"http://127.0.0.1:{self.server_port}/v1"

    def _next(self, request: dict[str, Any]) -> Answer:
        return self.answers.pop(0) if len(self.answers) > 1 else self.answers[0]


class _Handler(BaseHTTPRequestHandler):
    server: ChatServer

    def do_POST(self) -> None:
        request = json.loads(self.rfile.read(int(self.headers["Content-Length"])))
        with self.server.lock:
            self.server.requests.append(request)
            self.server.keys.append(self.headers["Authorization"] or self.headers["x-api-key"])
            answer = self.server.respond(request)
        time.sleep(answer.delay_seconds)
        body = answer.body if isinstance(answer.body, bytes) else json.dumps(answer.body).encode()
        self.send_response(answer.status)
        for name, value in {"Content-Type": "application/json", **answer.headers}.items():
            self.send_header(name, value)
        self.send_header("Content-Length", str(len(body)))
        self.end_headers()
        self.wfile.write(body)

    def log_message(self, format: str, *args: object) -> None:  # noqa: A002 (the name in the base class)
        pass


@pytest.fixture
def server(monkeypatch: pytest.MonkeyPatch) -> Iterator[ChatServer]:
    """A running server, and no key in the environment."""
    monkeypatch.setenv("NO_PROXY", "127.0.0.1")
    for name in ("SCRATCHLM_JUDGE_API_KEY", "OPENAI_API_KEY", "ANTHROPIC_API_KEY"):
        monkeypatch.delenv(name, raising=False)
    with ChatServer() as server:
        thread = threading.Thread(target=server.serve_forever, kwargs={"poll_interval": 0.01})
        thread.start()
        yield server
        server.shutdown()
        thread.join()


@pytest.fixture
def store(tmp_path: Path) -> Iterator[VerdictStore]:
    """An empty store."""
    with VerdictStore(tmp_path / "verdicts.sqlite") as store:
        yield store
