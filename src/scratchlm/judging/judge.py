"""What a judge is, and the run that asks one about every item; what was answered is not asked again."""

import threading
from collections.abc import Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor, as_completed
from dataclasses import asdict
from pathlib import Path
from typing import Any, Protocol

from tqdm import tqdm

from scratchlm.artifacts import sha256_json
from scratchlm.errors import UserError
from scratchlm.judging.config import JudgeConfig
from scratchlm.judging.rubric import Rubric
from scratchlm.judging.verdicts import Verdict, VerdictStore


class Judge(Protocol):
    """Who answers a rubric's prompt.

    `identity` is all that determines the answer besides the prompt. A judge without one is asked anew in every run.
    """

    rubric: Rubric
    max_concurrency: int

    @property
    def identity(self) -> dict[str, Any] | None: ...

    def ask(self, prompt: str) -> Verdict:
        """The verdict on one prompt; UserError if there is none."""
        ...


def make_judge(config: JudgeConfig, models: Path) -> Judge:
    """The judge of the parameters, for which alone its packages are imported; local models stand in `models`."""
    if config.backend == "local":
        from scratchlm.judging.local_judge import LocalJudge
        from scratchlm.training.device import pick_device

        return LocalJudge(models / config.model, pick_device())
    from scratchlm.judging.server_judge import ServerJudge

    return ServerJudge(config.openai)


def judge_items(judge: Judge, items: Sequence[Mapping[str, Any]], store: VerdictStore) -> list[dict[str, Any]]:
    """One row of replies.jsonl for each item; a judge with an identity is asked only where the store has no verdict.

    A readable verdict is stored as it arrives. A UserError ends the run once the requests under way are answered.
    """
    is_stored = judge.identity is not None
    keys = []
    prompts = {}
    for item in items:
        prompt = judge.rubric.prompt(item)
        keys.append(sha256_json({**(judge.identity or {}), "rubric": judge.rubric.version, "prompt": prompt}))
        prompts[keys[-1]] = prompt
    verdicts = {key: verdict for key in prompts if is_stored and (verdict := store.get(key))}

    stop = threading.Event()

    def ask(key: str) -> None:
        if stop.is_set():
            return
        try:
            verdicts[key] = verdict = judge.ask(prompts[key])
        except UserError:
            stop.set()
            raise
        if is_stored and verdict.status == "ok":
            store.put(key, verdict)

    with ThreadPoolExecutor(judge.max_concurrency) as pool:
        requests = [pool.submit(ask, key) for key in prompts if key not in verdicts]
        try:
            for request in tqdm(as_completed(requests), desc="judge", total=len(requests), disable=None):
                request.result()
        finally:
            stop.set()
    return [{"id": item["id"], **asdict(verdicts[key])} for item, key in zip(items, keys, strict=True)]
