"""What a judge is, and the run that asks one about every item; what was answered is not asked again."""

import threading
from collections.abc import Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor, as_completed
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any, Protocol

from tqdm import tqdm

from scratchlm.checksums import sha256_json
from scratchlm.errors import UserError
from scratchlm.judging.config import JudgeConfig
from scratchlm.judging.rubric import Rubric
from scratchlm.judging.verdicts import Verdict, VerdictStore

NOT_ASKED = Verdict(model="", replies=[], status="verbatim", prompt_tokens=0, completion_tokens=0)


class Judge(Protocol):
    """Who answers a rubric's prompt.

    `reading` says how its replies become scores. `identity` is all that determines an answer besides the prompt and
    the number of the sample. A judge without one is asked anew in every run.
    """

    rubric: Rubric
    reading: str
    samples: int
    skip_verbatim: bool
    max_concurrency: int

    @property
    def identity(self) -> dict[str, Any] | None: ...

    @property
    def probe_tokens(self) -> tuple[int, int]: ...

    @property
    def paid(self) -> float: ...

    def prompt(self, item: Mapping[str, Any]) -> str:
        """What is asked about an item."""
        ...

    def ask(self, prompt: str, sample: int) -> Verdict:
        """The verdict on one prompt; UserError if there is none."""
        ...


@dataclass(frozen=True)
class Task:
    """One judgement to make: a sample of an item, under the key of all that determines it; `prompt` None: not asked."""

    item: Mapping[str, Any]
    sample: int
    prompt: str | None
    key: str


def make_judge(config: JudgeConfig, rubric: Rubric, models: Path, store: VerdictStore) -> Judge:
    """The judge of the parameters, for which alone its packages are imported; local models stand in `models`."""
    if config.server is None:
        from scratchlm.judging.local_judge import LocalJudge
        from scratchlm.training.device import pick_device

        return LocalJudge(models / config.model, rubric, pick_device())
    from scratchlm.judging.server_judge import make_server_judge

    return make_server_judge(config.server, rubric, store)


def plan_tasks(judge: Judge, items: Sequence[Mapping[str, Any]], samples: int) -> list[Task]:
    """The judgements of all items; an answer that is the reference is not asked about where the judge skips such."""
    tasks = []
    for item in items:
        is_verbatim = item["response"].strip() == item["output"].strip()
        prompt = None if judge.skip_verbatim and is_verbatim else judge.prompt(item)
        for sample in range(samples):
            key = sha256_json({**(judge.identity or {}), "sample": sample, "prompt": prompt})
            tasks.append(Task(item, sample, prompt, key))
    return tasks


def judge_items(
    judge: Judge, items: Sequence[Mapping[str, Any]], store: VerdictStore, samples: int = 1
) -> list[dict[str, Any]]:
    """A row for each sample of each item; a judge with an identity is asked only where the store has no verdict.

    A readable verdict is stored as it arrives. A UserError ends the run once the requests under way are answered.
    """
    is_stored = judge.identity is not None
    tasks = plan_tasks(judge, items, samples)
    verdicts = {task.key: NOT_ASKED for task in tasks if task.prompt is None}
    asked = {task.key: (task.prompt, task.sample) for task in tasks if task.prompt is not None}
    verdicts |= {key: verdict for key in asked if is_stored and (verdict := store.get(key))}

    stop = threading.Event()

    def ask(key: str) -> None:
        if stop.is_set():
            return
        try:
            verdicts[key] = verdict = judge.ask(*asked[key])
        except UserError:
            stop.set()
            raise
        if is_stored and verdict.status == "ok":
            store.put(key, verdict)

    with ThreadPoolExecutor(judge.max_concurrency) as pool:
        requests = [pool.submit(ask, key) for key in asked if key not in verdicts]
        try:
            for request in tqdm(as_completed(requests), desc="judge", total=len(requests), disable=None):
                request.result()
        finally:
            stop.set()
    how = {"rubric": judge.rubric.label, "maximum": judge.rubric.maximum, "reading": judge.reading}
    return [{"id": task.item["id"], "sample": task.sample, **how, **asdict(verdicts[task.key])} for task in tasks]
