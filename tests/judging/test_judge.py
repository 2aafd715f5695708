"""The run that asks a judge about every item: what is asked, what is kept, and what is asked again."""

import json
from pathlib import Path
from typing import Any

import pytest
import tenacity

from scratchlm.errors import UserError
from scratchlm.judging import client
from scratchlm.judging.config import JudgeConfig
from scratchlm.judging.judge import judge_items, make_judge
from scratchlm.judging.local_judge import LocalJudge
from scratchlm.judging.reading import read_score
from scratchlm.judging.server_judge import ServerJudge
from scratchlm.judging.verdicts import VerdictStore
from tests.judging.conftest import ITEMS, SCALE, Answer, ChatServer, completion, said, server_config, server_judge
from tests.tiny_model import save_tiny_model

TWELVE = ITEMS[:12]


def graded(request: dict[str, Any]) -> Answer:
    """A server that gives each item the score of its own."""
    number = int(request["messages"][0]["content"].split("Double the number.\n\n")[1].split("\n")[0])
    return completion(json.dumps({"reason": "so it is", "score": number}))


def test_every_item_gets_the_verdict_on_its_own_prompt_in_its_place(server: ChatServer, store: VerdictStore):
    server.respond = graded
    rows = judge_items(server_judge(server), TWELVE, store)
    assert [row["id"] for row in rows] == [read_score(row) for row in rows] == list(range(12))
    assert rows[3] == {
        "id": 3,
        "sample": 0,
        "rubric": "points-100-v1",
        "maximum": 100,
        "reading": "reply",
        "model": "stub-7b",
        "replies": [{"content": '{"reason": "so it is", "score": 3}'}],
        "status": "ok",
        "prompt_tokens": 11,
        "completion_tokens": 7,
        "unread_tokens": 0,
        "honoured": [],
    }


def test_a_rerun_asks_only_for_what_is_missing_and_gives_the_same_rows(server: ChatServer, store: VerdictStore):
    server.respond = graded
    judge = server_judge(server)
    some = judge_items(judge, ITEMS[:5], store)
    assert len(server.requests) == 5
    rows = judge_items(judge, TWELVE, store)
    assert len(server.requests) == 12
    assert rows[:5] == some
    assert judge_items(judge, TWELVE, store) == rows
    assert len(server.requests) == 12


def test_a_failure_keeps_what_was_judged_and_is_not_cached_itself(
    server: ChatServer, store: VerdictStore, monkeypatch: pytest.MonkeyPatch
):
    monkeypatch.setattr(client, "_backoff", tenacity.wait_none())
    server.respond = lambda request: Answer(status=500) if len(server.requests) > 7 else graded(request)
    judge = server_judge(server, max_concurrency=1)
    with pytest.raises(UserError, match="status 500 after 2 attempts"):
        judge_items(judge, TWELVE, store)
    assert len(server.requests) == 9
    server.respond = graded
    assert [read_score(row) for row in judge_items(judge, TWELVE, store)] == list(range(12))
    assert len(server.requests) == 9 + 5


@pytest.mark.parametrize("change", [{"model": "n"}, {"temperature": None}, {"temperature": 0.5}, {"max_tokens": 41}])
def test_a_verdict_holds_only_for_the_settings_that_gave_it(
    server: ChatServer, store: VerdictStore, change: dict[str, Any]
):
    judge_items(server_judge(server), ITEMS[:1], store)
    judge_items(server_judge(server, **change), ITEMS[:1], store)
    assert len(server.requests) == 2


def test_concurrency_and_patience_do_not_make_a_new_verdict(server: ChatServer, store: VerdictStore):
    judge_items(server_judge(server), ITEMS[:1], store)
    judge_items(server_judge(server, max_concurrency=1, max_attempts=9), ITEMS[:1], store)
    assert len(server.requests) == 1


def test_a_verbatim_answer_is_not_asked_about_where_that_is_set(server: ChatServer, store: VerdictStore):
    items = [
        ITEMS[1],
        {**ITEMS[2], "response": f" {ITEMS[2]['output']}\n"},
        {**ITEMS[3], "output": "-6", "response": "6"},
    ]
    rows = judge_items(server_judge(server, skip_verbatim=True), items, store)
    assert [row["status"] for row in rows] == ["ok", "verbatim", "ok"]
    assert (rows[1]["replies"], read_score(rows[1]), len(server.requests)) == ([], 100, 2)
    assert [row["status"] for row in judge_items(server_judge(server), items, store)] == 3 * ["ok"]


def test_the_parameters_choose_the_judge(tmp_path: Path, server: ChatServer, store: VerdictStore):
    save_tiny_model(tmp_path / "judge")
    servers = {name: server_config(server, name) for name in ("openai", "anthropic")}
    settings = {"model": "judge", "rubric": "", **servers}
    for backend in ("local", "openai", "anthropic"):
        server.answers = [said(backend, "SCORE: 3")]
        judge = make_judge(JudgeConfig.model_construct(backend=backend, **settings), SCALE, tmp_path, store)
        assert isinstance(judge, LocalJudge if backend == "local" else ServerJudge)
