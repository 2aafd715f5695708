"""Judging through a proxy that answers wrongly: every item ends as one verdict or in an error that says why."""

from collections import Counter
from itertools import pairwise
from pathlib import Path

import pytest
import tenacity

from scratchlm.errors import UserError
from scratchlm.judging import client
from scratchlm.judging.judge import judge_items, plan_tasks
from scratchlm.judging.reading import read_score
from scratchlm.judging.server_judge import ServerJudge, make_server_judge
from scratchlm.judging.verdicts import Verdict, VerdictStore
from tests.judging.conftest import ITEMS
from tests.judging.servers.conftest import RealServer, config, rubric
from tests.judging.servers.fault_proxy import FAULTS, FORWARDED, RETRY_AFTER_SECONDS, FaultProxy

MOST_FAULTS = 3
TIMEOUT_SECONDS = 8  # a hang costs them; eight short answers at once take far less
FEWER = 30


class CountingStore(VerdictStore):
    """A store that counts what it acknowledged, by key."""

    def __init__(self, path: Path) -> None:
        super().__init__(path)
        self.acknowledged: Counter[str] = Counter()

    def put(self, key: str, verdict: Verdict) -> None:
        super().put(key, verdict)
        self.acknowledged[key] += 1


@pytest.fixture(autouse=True)
def short_backoff(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(client, "_backoff", tenacity.wait_random(0, 0.05))


def make_judge(server: RealServer, proxy: FaultProxy, store: VerdictStore) -> ServerJudge:
    settings = config(server, base_url=proxy.base_url, max_attempts=MOST_FAULTS + 1, max_concurrency=8)
    return make_server_judge(settings, rubric("points-100"), store)


@pytest.fixture(
    params=["transformers_serve", pytest.param("llama_server", marks=[pytest.mark.slow, pytest.mark.timeout(3_600)])]
)
def server(request: pytest.FixtureRequest) -> RealServer:
    """Each real server in turn; both give 70 points."""
    return request.getfixturevalue(request.param)


def test_of_100_items_none_is_dropped_and_none_is_judged_twice_whatever_the_server_does(
    server: RealServer, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
):
    monkeypatch.setattr(client, "TIMEOUT_SECONDS", TIMEOUT_SECONDS)
    before = server.asked()
    with (
        CountingStore(tmp_path / "verdicts.sqlite") as store,
        FaultProxy(server.base_url, seed=0, most_faults=MOST_FAULTS) as proxy,
    ):
        judge = make_judge(server, proxy, store)
        rows = judge_items(judge, ITEMS, store)
        requests = len(proxy.exchanges)
        assert judge_items(judge, ITEMS, store) == rows
        assert len(proxy.exchanges) == requests
    assert [(row["id"], read_score(row)) for row in rows] == [(n, 70) for n in range(100)]
    tasks = plan_tasks(judge, ITEMS, samples=1)
    assert store.acknowledged == Counter(task.key for task in tasks)
    seen: Counter[str | None] = Counter()
    for task in tasks:
        exchanges = sorted(proxy.of(task.prompt or ""), key=lambda exchange: exchange.seconds)
        assert [exchange.fault for exchange in exchanges] == [*proxy.plan(task.prompt or ""), None]
        assert [exchange.delivered for exchange in exchanges] == [False] * (len(exchanges) - 1) + [True]
        for refused, later in pairwise(exchanges):
            assert refused.fault != "429" or later.seconds - refused.seconds >= RETRY_AFTER_SECONDS
        seen.update(exchange.fault for exchange in exchanges)
    assert seen.keys() == {*FAULTS, None}
    assert server.asked() - before == sum(exchange.fault in FORWARDED for exchange in proxy.exchanges)


def test_an_item_that_the_server_refuses_ends_in_an_error_and_costs_no_other_its_verdict(
    transformers_serve: RealServer, tmp_path: Path
):
    items = ITEMS[:FEWER]
    with (
        CountingStore(tmp_path / "verdicts.sqlite") as store,
        FaultProxy(transformers_serve.base_url, seed=1, most_faults=0) as proxy,
    ):
        judge = make_judge(transformers_serve, proxy, store)
        proxy.refused = {"Double the number.\n\n9\n"}
        with pytest.raises(UserError, match=r"status 400: .*by plan"):
            judge_items(judge, items, store)
        delivered = Counter(exchange.prompt for exchange in proxy.exchanges if exchange.delivered)
        tasks = plan_tasks(judge, items, samples=1)
        assert store.acknowledged == Counter(task.key for task in tasks if task.prompt in delivered)
        proxy.refused = set()
        rows = judge_items(judge, items, store)
    assert [(row["id"], read_score(row)) for row in rows] == [(n, 70) for n in range(FEWER)]
    assert store.acknowledged == Counter(task.key for task in tasks)
    assert [sum(exchange.delivered for exchange in proxy.of(task.prompt or "")) for task in tasks] == [1] * FEWER
