"""The key of a server, followed through the stage's own command: it stands nowhere but in the request."""

import os
import subprocess
import sys
from pathlib import Path

import pytest

from scratchlm.errors import UserError
from scratchlm.judging.rubric import read_rubric
from scratchlm.judging.server_judge import make_server_judge
from scratchlm.judging.verdicts import VerdictStore
from tests.conftest import ROOT, Workspace
from tests.judging.conftest import Answer, ChatServer, said, server_config
from tests.records import record_jsonl

SENTINEL = "sk-sentinel-0815-4711"
DEBUG = {"OPENAI_LOG": "debug", "ANTHROPIC_LOG": "debug", "PYTHONFAULTHANDLER": "1"}
ANSWERS = [{"id": 0, "instruction": "Say it.", "input": "", "output": "It.", "response": "That."}]


@pytest.fixture(params=["openai", "anthropic"])
def judging(request: pytest.FixtureRequest, workspace: Workspace, server: ChatServer) -> Workspace:
    """A project whose answers a server judges."""
    record_jsonl(workspace.path / "data/responses/test.jsonl", ANSWERS)
    workspace.set("judge_responses.backend", request.param)
    workspace.set(f"judge_responses.{request.param}.base_url", server.base_url)
    workspace.set(f"judge_responses.{request.param}.max_attempts", 1)
    return workspace


def command_lines() -> str:
    """Those of all processes."""
    return "".join(path.read_bytes().decode(errors="replace") for path in Path("/proc").glob("[0-9]*/cmdline"))


def files(folder: Path) -> bytes:
    return b"".join(path.read_bytes() for path in folder.rglob("*") if path.is_file() and not path.is_symlink())


@pytest.mark.parametrize("fate", ["judges", "refuses", "breaks"])
def test_a_key_is_in_no_log_reply_file_or_process_list(judging: Workspace, server: ChatServer, fate: str):
    backend = judging.params["judge_responses"]["backend"]
    seen = []

    def respond(request: object) -> Answer:
        seen.append(command_lines())
        text = f"You sent {SENTINEL}. SCORE: 3"
        match fate:
            case "judges":
                return said(backend, text, model=f"model-of-{SENTINEL}")
            case "refuses":
                return Answer({"error": {"message": text}}, status=401)
            case _:
                return Answer(f"<html>{text}".encode())

    server.respond = respond
    environment = judging.environment() | {"SCRATCHLM_JUDGE_API_KEY": SENTINEL, **DEBUG}
    command = [sys.executable, "-m", "pipeline.judge_responses"]  # the command line is looked at too
    result = subprocess.run(command, cwd=judging.path, env=environment, capture_output=True, text=True)
    assert result.returncode == (0 if fate == "judges" else 1)
    assert all(SENTINEL in key for key in server.keys)
    for text in (result.stdout, result.stderr, *seen):
        assert SENTINEL not in text
    assert SENTINEL.encode() not in files(judging.path)
    assert fate != "judges" or b"You sent ***" in files(judging.path)


def test_without_the_extra_the_error_is_one_line(
    server: ChatServer, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setitem(sys.modules, "anthropic", None)
    monkeypatch.delitem(sys.modules, "scratchlm.judging.anthropic_client", raising=False)
    rubric = read_rubric(ROOT / "rubrics/scale-4.yaml")
    with (
        VerdictStore(tmp_path / "verdicts.sqlite") as store,
        pytest.raises(UserError, match=r'run `pip install "scratchlm\[anthropic\]"`'),
    ):
        make_server_judge(server_config(server, "anthropic"), rubric, store)


def test_a_request_shows_no_other_secret_of_the_environment(server: ChatServer, judging: Workspace):
    backend = judging.params["judge_responses"]["backend"]
    server.answers = [said(backend, "SCORE: 3")]
    secrets = {f"{name}_{kind}": SENTINEL for name in ("OPENAI", "ANTHROPIC") for kind in ("API_KEY", "AUTH_TOKEN")}
    assert judging.run("judge_responses", **{**os.environ, **secrets}).returncode == 0
    assert server.keys
    assert not any(SENTINEL in key for key in server.keys)
