"""`transformers serve` and llama.cpp's server, each with a model of ours, and the settings to judge by them."""

import os
import socket
import subprocess
import sys
import time
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from itertools import pairwise
from pathlib import Path
from typing import Any

import httpx
import pytest

from scratchlm.datasets.tokenizers import load_tokenizer
from scratchlm.judging.config import OpenAIConfig
from scratchlm.judging.rubric import Rubric, read_rubric
from scratchlm.models.gpt import GPT, GPTConfig
from scratchlm.models.storage import save_model
from tests.conftest import ROOT
from tests.corpora import write_byte_tokenizer
from tests.interoperability import llama_cpp_package
from tests.tiny_model import save_tiny_model, teach, teach_followers, tiny_gpt

CHAT_TEMPLATE = "{% for message in messages %}{{ message.role }}: {{ message.content }}\n{% endfor %}assistant>"
READY_SECONDS = 200
# A reply in tokens of GPT-2's vocabulary, with the probabilities where there are several.
WORDS = dict.fromkeys(("right", "wrong", "good", "bad", "fine", "odd", "short", "long"), 1 / 8)
GRADES = {"70": 0.5, "3": 0.375, "4": 0.125}
REPLY = (">", '{"', "reason", '":"', WORDS, '","', "score", '":', GRADES, "}")


@dataclass(frozen=True)
class RealServer:
    """A running server of chat completions, the name of its model, and what it logs: `mark` stands once a request."""

    base_url: str
    model: str
    log: Path
    mark: str

    def asked(self) -> int:
        """How many requests the server itself has logged."""
        return self.log.read_text(errors="replace").count(self.mark)


@contextmanager
def running(
    command: Sequence[str | Path], model: str, folder: Path, mark: str, **environment: str
) -> Iterator[RealServer]:
    """Start a server with `--port PORT`, and yield it once it is healthy."""
    with socket.socket() as free:
        free.bind(("127.0.0.1", 0))
        port = free.getsockname()[1]
    server = RealServer(f"http://127.0.0.1:{port}/v1", model, folder / "server.log", mark)
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
    with running(command, str(directory), folder, "POST /v1/chat/completions", **offline) as server:
        yield server


@pytest.fixture(scope="session")
def llama_judge(gpt2_directory: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A model that replies {"reason":"WORD","score":70} if it may, 3 or 4 if it may not, with GPT-2's vocabulary."""
    tokenizer = load_tokenizer(gpt2_directory)
    shape = {"n_layer": 1, "n_head": 2, "n_embd": 32, "context_length": 2_048, "dropout": 0.0}
    model = GPT(GPTConfig(vocab_size=tokenizer.vocab_size, **shape))
    model.init_weights(seed=0)

    places = [{text: 1.0} if isinstance(text, str) else text for text in REPLY]
    tokens = [{token: share for text, share in place.items() for token in tokenizer.encode(text)} for place in places]
    assert list(map(len, tokens)) == list(map(len, places))
    tokens.append({tokenizer.eot_id: 1.0})
    followers = {token: later for place, later in pairwise(tokens) for token in place}
    directory = tmp_path_factory.mktemp("llama-judge") / "model"
    teach_followers(model.eval(), followers)
    save_model(model, directory, tokenizer=gpt2_directory, card="", chat_template=CHAT_TEMPLATE)
    return directory


@pytest.fixture(scope="session")
def llama_server(llama_judge: Path) -> Iterator[RealServer]:
    """llama.cpp's server with that model, eight requests at once."""
    folder = llama_judge.parent
    llama_cpp_package.build("llama-server")
    llama_cpp_package.convert(llama_judge, folder / "judge.gguf")
    command = [llama_cpp_package.SERVER, "--model", folder / "judge.gguf", "--alias", "judge"]
    command += ["--parallel", "8", "--ctx-size", "16384", "--threads", "1"]
    with running(command, "judge", folder, "launch_slot_") as server:
        yield server


@pytest.fixture(autouse=True)
def local(monkeypatch: pytest.MonkeyPatch) -> None:
    """No proxy and no key of this machine's environment."""
    monkeypatch.setenv("NO_PROXY", "127.0.0.1")
    for key in ("SCRATCHLM_JUDGE_API_KEY", "OPENAI_API_KEY"):
        monkeypatch.delenv(key, raising=False)


def rubric(name: str) -> Rubric:
    """A rubric that comes with the project."""
    return read_rubric(ROOT / f"rubrics/{name}.yaml")
