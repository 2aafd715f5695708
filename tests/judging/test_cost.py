"""What judging costs is told before, limited while, and counted after."""

from pathlib import Path
from typing import Any

import pytest
from typer.testing import CliRunner

from scratchlm.artifacts import write_jsonl
from scratchlm.cli import cli
from scratchlm.datasets.tokenizers import load_tokenizer
from scratchlm.errors import UserError
from scratchlm.judging import cost, prices
from scratchlm.judging.config import JudgeConfig, PriceConfig
from scratchlm.judging.hostile import hostile_items
from scratchlm.judging.judge import judge_items
from scratchlm.judging.openai_client import OpenAIClient
from scratchlm.judging.reply_form import reply_request
from scratchlm.judging.server_judge import ServerJudge, make_server_judge
from scratchlm.judging.verdicts import VerdictStore
from tests.conftest import Workspace
from tests.judging.conftest import PLAIN, SCALE, ChatServer, completion, server_config

ANSWERS = [
    {"id": n, "instruction": f"Say {n}.", "input": "", "output": f"{n}", "response": f"{n}" if n == 3 else "None"}
    for n in range(10)
]
HOSTILE = hostile_items(4)
PRICES = PriceConfig(input=2.0, output=8.0)


def judge_config(config: Any) -> JudgeConfig:
    return JudgeConfig.model_construct(backend="openai", model="", rubric="", openai=config, anthropic=None)


def test_the_estimate_counts_what_is_missing_and_asks_nothing(server: ChatServer, store: VerdictStore):
    config = server_config(server, samples=2, temperature=1.0, skip_verbatim=True, prices=PRICES)
    estimate = cost.estimate_cost(config, SCALE, ANSWERS, store)
    assert server.requests == []
    assert (estimate.judgements, estimate.verbatim, estimate.stored) == (2 * 10 + len(HOSTILE), 2, 0)
    assert estimate.requests == 2 * 9 + len(HOSTILE)
    assert estimate.completion_tokens == 50 * estimate.requests
    assert estimate.cost == pytest.approx((2 * estimate.prompt_tokens + 8 * estimate.completion_tokens) / 1e6)
    assert estimate.highest_cost is not None
    assert estimate.highest_cost > 3 * estimate.cost

    server.answers = [completion("SCORE: 2")]
    judge_items(make_server_judge(config, SCALE, store), ANSWERS, store, 2)
    assert cost.estimate_cost(config, SCALE, ANSWERS, store).stored == 2 * 9
    assert cost.estimate_cost(config, SCALE, ANSWERS, store).requests == len(HOSTILE)


def test_the_estimate_of_prompt_tokens_is_not_below_those_of_a_small_vocabulary(gpt2_directory: Path):
    """Larger vocabularies, as judges have today, take more bytes a token."""
    tokenizer = load_tokenizer(gpt2_directory)
    prompts = [SCALE.fill(item, reply_request(4)) for item in [*ANSWERS, *HOSTILE]]
    tokens = sum(len(tokenizer.encode(prompt)) for prompt in prompts)
    assert sum(len(prompt.encode()) for prompt in prompts) / cost.BYTES_PER_TOKEN > 0.95 * tokens


def test_an_estimate_above_the_limit_stops_before_anything_is_asked(server: ChatServer, store: VerdictStore):
    config = judge_config(server_config(server, prices=PRICES, max_cost=0.001))
    with pytest.raises(UserError, match=r"estimated at \$0\.\d+, more than judge_responses\.openai\.max_cost 0\.001"):
        cost.check_cost(config, SCALE, ANSWERS, store)
    cost.check_cost(judge_config(server_config(server, prices=PRICES, max_cost=1.0)), SCALE, ANSWERS, store)
    cost.check_cost(judge_config(server_config(server, prices=PRICES)), SCALE, ANSWERS, store)
    assert server.requests == []


def test_no_request_goes_beyond_the_limit_and_what_was_judged_is_kept(server: ChatServer, store: VerdictStore):
    reply = completion("SCORE: 2")
    reply.body["usage"] = {"prompt_tokens": 400, "completion_tokens": 50}  # $0.0012
    server.answers = [reply]
    config = server_config(server, prices=PRICES, max_cost=0.008)
    judge = ServerJudge(config, SCALE, PLAIN, OpenAIClient(config))
    with pytest.raises(UserError, match=r"could go beyond max_cost 0\.008; what was judged is kept"):
        judge_items(judge, ANSWERS, store)
    asked = len(server.requests)
    assert 0 < asked < len(ANSWERS)
    assert judge.paid == pytest.approx(0.0012 * asked)
    assert judge.paid <= 0.008
    judge_items(ServerJudge(config, SCALE, judge.capabilities, OpenAIClient(config)), ANSWERS[:1], store)
    assert len(server.requests) == asked


def test_a_run_is_counted_with_its_probe_and_whenever_it_was_paid(server: ChatServer, store: VerdictStore):
    server.answers = [completion("SCORE: 2")]
    config = server_config(server, skip_verbatim=True, prices=PRICES)
    for _ in range(2):
        judge = make_server_judge(config, SCALE, store)
        replies = judge_items(judge, ANSWERS, store)
        metrics = cost.count_run(judge_config(config), judge, replies, [])
        requests = 9 + 6  # of the probe
        assert metrics == {
            "items": 10,
            "judgements": 10,
            "verbatim": 1,
            "re_asks": 0,
            "prompt_tokens": 11 * requests,
            "completion_tokens": 7 * requests,
            "cut_prompts": 0,
            "cost_usd": pytest.approx((2 * 11 + 8 * 7) * requests / 1e6),
        }
    assert len(server.requests) == requests
    assert judge.paid == 0


def test_judge_cost_prints_the_estimate_without_a_key(workspace: Workspace, monkeypatch: pytest.MonkeyPatch):
    monkeypatch.delenv("OPENAI_API_KEY", raising=False)
    write_jsonl(workspace.path / "data/responses/test.jsonl", ANSWERS)
    local = CliRunner().invoke(cli, ["judge-cost"])
    assert "backend is local, which costs nothing" in str(local.exception)
    workspace.set("judge_responses.backend", "openai")
    workspace.set("judge_responses.openai.base_url", "https://api.openai.com/v1")
    workspace.set("judge_responses.openai.model", "gpt-4.1-mini")
    done = CliRunner().invoke(cli, ["judge-cost"], catch_exceptions=False)
    assert f"{10 + len(HOSTILE)} judgements" in done.stdout
    assert f"list prices of {prices.PRICES_DATE}; max_cost: none" in done.stdout
    workspace.set("judge_responses.openai.model", "gpt-9")
    assert "the price is not known" in CliRunner().invoke(cli, ["judge-cost"]).stdout
