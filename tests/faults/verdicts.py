"""The judge, killed with SIGKILL while it judges and run again: verdicts that are lost, or asked for twice.

Each worker sends a request only after its last verdict was stored, so of the requests that came at most one a worker
may have no stored verdict: more of them were acknowledged and lost.
"""

import json
import random
import re
import signal
import sqlite3
import threading
import time
from collections import Counter
from collections.abc import Iterator
from contextlib import closing, contextmanager
from pathlib import Path
from typing import Any

from scratchlm.artifacts import read_jsonl
from tests.conftest import Workspace
from tests.faults.result import Result
from tests.judging.conftest import Answer, ChatServer, completion
from tests.records import record_jsonl

WORKERS = 8
ITEMS_A_KILL = 25  # more than are judged before it
MOST_REQUESTS = 16  # before a kill
SERVER_SECONDS = 0.02
START_SECONDS = 0.1  # a kill before the first request falls into them
LIFE_SECONDS = 120

_ITEM = re.compile(r"item-(\d+)-")


def run(count: int, folder: Path, seed: int) -> Result:
    """Judge through the stage's command, kill it `count` times at random moments, and let it end; `folder` is empty."""
    draw = random.Random(seed)
    items = range(count * ITEMS_A_KILL)
    workspace = Workspace(folder)
    answers = [{"id": n, "instruction": f"item-{n}-", "input": "", "output": "Yes.", "response": "No."} for n in items]
    record_jsonl(folder / "data/responses/test.jsonl", answers)
    kills: list[tuple[dict[str, str], Counter[int]]] = []
    lost = 0
    asked: Counter[int] = Counter()
    with answering_server(asked) as server:
        workspace.set("judge_responses.backend", "openai")
        workspace.set("judge_responses.openai.base_url", server.base_url)
        workspace.set("judge_responses.openai.max_concurrency", WORKERS)
        for _ in range(count):
            before = len(stored_verdicts(folder)) - asked.total()
            if not kill_at(draw.randint(0, MOST_REQUESTS), draw.random(), workspace, asked):
                break
            kills.append((stored_verdicts(folder), asked.copy()))
            lost += max(0, before + asked.total() - WORKERS - len(kills[-1][0]))
        done = workspace.run("judge_responses")
        end = stored_verdicts(folder)
    lost += sum(end.get(key) != verdict for kept, _ in kills for key, verdict in kept.items())
    twice = sum(
        asked[item_of(verdict)] > before[item_of(verdict)] for kept, before in kills for verdict in kept.values()
    )
    rows = read_jsonl(folder / "data/judgements/replies.jsonl") if done.returncode == 0 else []
    whole = [(row["id"], item_of(json.dumps(row["replies"]))) for row in rows] == [(n, n) for n in items]
    again = asked.total() - len(items)
    return Result(
        what="judge killed with SIGKILL: verdicts lost, or asked for again once stored",
        tried=len(kills),
        lost=lost + twice + (0 if whole else len(items)),
        manual=int(done.returncode != 0),
        note=f"{len(items):,} answers; {again:,} requests under way at a kill were sent again",
    )


@contextmanager
def answering_server(asked: Counter[int]) -> Iterator[ChatServer]:
    """A server that names in its reply the item that it was asked about, and counts it in `asked`."""

    def respond(request: dict[str, Any]) -> Answer:
        named = _ITEM.search(request["messages"][0]["content"])
        asked.update([int(named[1])] if named else [])
        answer = completion(json.dumps({"reason": named[0] if named else "none", "score": 1}))
        answer.delay_seconds = SERVER_SECONDS
        return answer

    with ChatServer() as server:
        server.respond = respond
        thread = threading.Thread(target=server.serve_forever, kwargs={"poll_interval": 0.01})
        thread.start()
        yield server
        server.shutdown()
        thread.join()


def kill_at(requests: int, moment: float, workspace: Workspace, asked: Counter[int]) -> bool:
    """Start the stage and kill it after so many requests about items and a part of the time that one takes.

    False if it ended before.
    """
    goal = asked.total() + requests
    stage = workspace.start("judge_responses")
    deadline = time.monotonic() + LIFE_SECONDS
    while requests and asked.total() < goal and stage.is_running() and time.monotonic() < deadline:
        time.sleep(0.001)
    time.sleep(moment * (SERVER_SECONDS if requests else START_SECONDS))
    stage.send_signal(signal.SIGKILL)
    killed = stage.wait().returncode < 0
    time.sleep(0.05)  # until the server has read what the dead process had sent
    return killed


def stored_verdicts(folder: Path) -> dict[str, str]:
    """The verdicts about items in the store of a project, by their keys."""
    path = folder / ".work/verdicts.sqlite"
    if not path.exists():
        return {}
    with closing(sqlite3.connect(path)) as connection:
        if not connection.execute("SELECT 1 FROM sqlite_master WHERE name = 'verdicts'").fetchone():
            return {}
        rows = connection.execute("SELECT key, verdict FROM verdicts").fetchall()
    return {key: verdict for key, verdict in rows if _ITEM.search(verdict)}


def item_of(verdict: str) -> int:
    """The item that a verdict is about; -1 where it names none."""
    named = _ITEM.search(verdict)
    return int(named[1]) if named else -1
