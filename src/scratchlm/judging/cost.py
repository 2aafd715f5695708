"""What judging will cost, before anything is asked, and what a run has cost."""

import math
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from scratchlm.errors import UserError
from scratchlm.judging.answers import read_answers
from scratchlm.judging.budget import HIDDEN_TOKENS
from scratchlm.judging.capabilities import Capabilities
from scratchlm.judging.config import JudgeConfig
from scratchlm.judging.hostile import hostile_items
from scratchlm.judging.judge import Judge, plan_tasks
from scratchlm.judging.prices import find_price, price_source
from scratchlm.judging.rubric import Rubric, read_rubric
from scratchlm.judging.server_judge import RE_ASKS, ServerJudge, ServerSettings, stored_capabilities
from scratchlm.judging.verdicts import VerdictStore
from scratchlm.params import PARAMS, project_root, read_params
from scratchlm.workspace import work_root

RESPONSES = Path("data/responses/test.jsonl")
BYTES_PER_TOKEN = 3.3  # GPT-2's vocabulary takes 3.3 to 3.5 of the prompts for the book's 110 answers, by rubric
UNKNOWN = Capabilities(json_schema=False, tool_call=False, logprobs=False, seed=False)
TOKENS_OF_A_REQUEST = 40  # what a re-ask says beside the reply that it quotes

Items = Sequence[Mapping[str, Any]]


@dataclass(frozen=True)
class Estimate:
    """The requests that a run has to make and their tokens; each reply is counted with all of its `max_tokens`.

    `cost` is in US dollars if every reply can be read, `highest_cost` if every one is asked about twice more; None
    where the price is not known.
    """

    judgements: int
    verbatim: int
    stored: int
    requests: int
    prompt_tokens: int
    completion_tokens: int
    cost: float | None
    highest_cost: float | None


def estimate_cost(config: ServerSettings, rubric: Rubric, answers: Items, store: VerdictStore) -> Estimate:
    """What a server's judgements of these answers, and of the hostile ones, will take; asks nothing."""
    found = stored_capabilities(config, store)
    judge = ServerJudge(config, rubric, found or UNKNOWN)
    tasks = [*plan_tasks(judge, answers, judge.samples), *plan_tasks(judge, hostile_items(rubric.maximum), 1)]
    prompts = {task.key: task.prompt for task in tasks if task.prompt is not None}
    missing = [prompt for key, prompt in prompts.items() if found is None or store.get(key) is None]
    hidden = len(missing) * HIDDEN_TOKENS[config.backend]
    prompt_tokens = hidden + sum(math.ceil(len(prompt.encode()) / BYTES_PER_TOKEN) for prompt in missing)
    completion_tokens = len(missing) * config.max_tokens
    # The nth re-ask repeats the prompt and n replies.
    asks, repeats = 1 + RE_ASKS, RE_ASKS * (RE_ASKS + 1) // 2
    repeated = repeats * len(missing) * (config.max_tokens + TOKENS_OF_A_REQUEST)
    price = find_price(config)
    return Estimate(
        judgements=len(tasks),
        verbatim=len(tasks) - sum(task.prompt is not None for task in tasks),
        stored=len(prompts) - len(missing),
        requests=len(missing),
        prompt_tokens=prompt_tokens,
        completion_tokens=completion_tokens,
        cost=price.cost(prompt_tokens, completion_tokens) if price else None,
        highest_cost=price.cost(asks * prompt_tokens + repeated, asks * completion_tokens) if price else None,
    )


def estimate_project() -> tuple[ServerSettings, Estimate]:
    """The server and the estimate of the project around, by its params.yaml and its answers."""
    root = project_root()
    config = read_params("judge_responses", JudgeConfig, root / PARAMS)
    if config.server is None:
        raise UserError("judge_responses.backend is local, which costs nothing; set it to openai or anthropic.")
    rubric, answers = read_rubric(root / config.rubric), read_answers(root / RESPONSES)
    with VerdictStore(work_root() / "verdicts.sqlite") as store:
        return config.server, estimate_cost(config.server, rubric, answers, store)


def check_cost(config: JudgeConfig, rubric: Rubric, answers: Items, store: VerdictStore) -> None:
    """UserError if the estimate is above `max_cost`; that a price is known is checked with the first request."""
    server = config.server
    if server is None or server.max_cost is None:
        return
    cost = estimate_cost(server, rubric, answers, store).cost
    if cost is not None and cost > server.max_cost:
        raise UserError(
            f"judging is estimated at ${cost:.4f}, more than judge_responses.{server.backend}.max_cost "
            f"{server.max_cost:g}; raise it, lower max_tokens or samples, or take another model (scratchlm judge-cost)."
        )


def estimate_lines(config: ServerSettings, estimate: Estimate) -> Iterator[str]:
    """The estimate in words."""
    yield (
        f"{config.base_url}, model {config.model}: {estimate.judgements} judgements, hostile answers included; "
        f"{estimate.stored} are stored, {estimate.verbatim} are of verbatim answers and not asked for"
    )
    yield (
        f"{estimate.requests} requests of about {estimate.prompt_tokens:,} tokens, and replies of at most "
        f"{estimate.completion_tokens:,}"
    )
    if estimate.cost is None:
        yield f"the price is not known; set judge_responses.{config.backend}.prices"
        return
    limit = "none" if config.max_cost is None else f"${config.max_cost:g}"
    yield (
        f"at most about ${estimate.cost:.4f}, or ${estimate.highest_cost:.4f} if every reply has to be asked for three "
        f"times ({price_source(config)}; max_cost: {limit})"
    )


def count_run(config: JudgeConfig, judge: Judge, replies: Items, hostile: Items) -> dict[str, float]:
    """Answers, judgements, re-asks and cut prompts; tokens and US dollars of all verdicts, whenever they were paid."""
    everything = [*replies, *hostile]
    tokens = [
        own + sum(row[name] for row in everything)
        for own, name in zip(judge.probe_tokens, ("prompt_tokens", "completion_tokens"), strict=True)
    ]
    price = find_price(config.server) if config.server else None
    return {
        "items": len({row["id"] for row in replies}),
        "judgements": len(replies),
        "verbatim": sum(row["status"] == "verbatim" for row in replies),
        "re_asks": sum(max(len(row["replies"]) - 1, 0) for row in replies),
        "prompt_tokens": tokens[0],
        "completion_tokens": tokens[1],
        "cut_prompts": sum(row["unread_tokens"] > 0 for row in replies),
        **({"cost_usd": price.cost(*tokens)} if price else {}),
    }
