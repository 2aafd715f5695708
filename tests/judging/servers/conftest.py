"""`transformers serve` with a model of ours, started once a session, and the settings to judge by it."""

import os
import socket
import subprocess
import sys
import time
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import httpx
import pytest

from scratchlm.judging.config import OpenAIConfig
from scratchlm.judging.rubric import Rubric, read_rubric
from scratchlm.judging.verdicts import VerdictStore
from tests.conftest import ROOT
from tests.corpora import write_byte_tokenizer
from tests.tiny_model import save_tiny_model, teach, tiny_gpt

CHAT_TEMPLATE = "{% for message in messages %}{{ message.role }}: {{ message.content }}\n{% endfor %}assistant>"
READY_SECONDS = 200
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


@dataclass(frozen=True)
class RealServer:
    """A running server of chat completions, the name of its model, and what it logs."""

    base_url: str
    model: str
    log: Path

    def asked(self) -> int:
        """How many requests the server itself has logged."""
        return self.log.read_text(errors="replace").count("POST /v1/chat/completions")


@contextmanager
def running(command: Sequence[str | Path], model: str, folder: Path, **environment: str) -> Iterator[RealServer]:
    """Start a server with `--port PORT`, and yield it once it is healthy."""
    with socket.socket() as free:
        free.bind(("127.0.0.1", 0))
        port = free.getsockname()[1]
    server = RealServer(f"http://127.0.0.1:{port}/v1", model, folder / "server.log")
    with (
        server.log.open("w") as log,
        subprocess.Popen(
            [*command, "--host", "127.0.0.1", "--port", str(port)],
            env=os.environ | environment,
            stdout=log,
            stderr=log,
        ) as process,
    ):
        try:
            _wait_until_healthy(process, port, server.log)
            yield server
        finally:
            process.terminate()


def _wait_until_healthy(process: subprocess.Popen[bytes], port: int, log: Path) -> None:
    deadline = time.monotonic() + READY_SECONDS
    while time.monotonic() < deadline and process.poll() is None:
        try:
            if httpx.get(f"http://127.0.0.1:{port}/health", trust_env=False).is_success:
                return
        except httpx.TransportError:
            pass
        time.sleep(0.1)
    pytest.fail(f"the server did not start: {log.read_text()[-2_000:]}")


def config(server: RealServer, **settings: Any) -> OpenAIConfig:
    """Settings that judge by a server, or by a proxy before it with another `base_url`."""
    defaults = {"temperature": 0.0, "max_tokens": 40, "max_attempts": 2, "max_concurrency": 8, "logprobs": False}
    defaults |= {"samples": 1, "skip_verbatim": False, "prices": None, "max_cost": None}
    return OpenAIConfig(**{"base_url": server.base_url, "model": server.model, **defaults, **settings})


@pytest.fixture(scope="session")
def transformers_serve(tmp_path_factory: pytest.TempPathFactory) -> Iterator[RealServer]:
    """`transformers serve` with a model that replies "SCORE: 70" to everything."""
    folder = tmp_path_factory.mktemp("transformers-serve")
    tokenizer = write_byte_tokenizer(folder / "tokenizer")
    model = teach(tiny_gpt(), [*tokenizer.encode(">SCORE: 70"), tokenizer.eot_id])
    directory = save_tiny_model(folder / "judge", model, chat_template=CHAT_TEMPLATE)
    command = [Path(sys.executable).with_name("transformers"), "serve", directory]
    offline = {"HF_HUB_OFFLINE": "1", "HF_HOME": str(folder / "huggingface")}
    with running(command, str(directory), folder, **offline) as server:
        yield server


@pytest.fixture(autouse=True)
def local(monkeypatch: pytest.MonkeyPatch) -> None:
    """No proxy and no key of this machine's environment."""
    monkeypatch.setenv("NO_PROXY", "127.0.0.1")
    for key in ("SCRATCHLM_JUDGE_API_KEY", "OPENAI_API_KEY"):
        monkeypatch.delenv(key, raising=False)


@pytest.fixture
def store(tmp_path: Path) -> Iterator[VerdictStore]:
    with VerdictStore(tmp_path / "verdicts.sqlite") as store:
        yield store


def rubric(name: str) -> Rubric:
    """A rubric that comes with the project."""
    return read_rubric(ROOT / f"rubrics/{name}.yaml")
