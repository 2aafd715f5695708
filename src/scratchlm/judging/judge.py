"""The judges, a local model or a server, and the run that asks one of them about every item."""

import json
import threading
from collections.abc import Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor, as_completed
from dataclasses import asdict
from pathlib import Path
from typing import Any, Literal, Protocol

import torch
from pydantic import Field
from tqdm import tqdm

from scratchlm.artifacts import sha256_json
from scratchlm.datasets.tokenizers import load_tokenizer
from scratchlm.errors import UserError
from scratchlm.judging.client import ChatClient, ClientConfig
from scratchlm.judging.rubric import DIGIT, POINTS, REPLY_SCHEMA, Rubric, UnreadableReplyError, request_again
from scratchlm.judging.verdicts import Verdict, VerdictStore
from scratchlm.models.storage import load_gpt
from scratchlm.params import Schema

RE_ASKS = 2


class ServerConfig(ClientConfig):
    """A server as judge."""

    max_concurrency: int = Field(gt=0)


class JudgeConfig(Schema):
    """Which judge reads the answers: a model directory, or a server; the settings of the other one are not used."""

    backend: Literal["local", "openai"]
    model: str = Field(min_length=1)
    openai: ServerConfig


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


class LocalJudge:
    """A model directory as judge: the probabilities of the ten digits after the prompt."""

    rubric = DIGIT
    max_concurrency = 1
    identity = None  # the code of the model determines the answer too, and asking costs nothing

    def __init__(self, directory: Path, device: torch.device) -> None:
        self._model = load_gpt(directory).to(device)
        self._tokenizer = load_tokenizer(directory)
        self._digits = [token for digit in "0123456789" for token in self._tokenizer.encode(digit)]
        if len(set(self._digits)) != 10:
            raise UserError(f"the tokenizer of {directory} has no token for each digit; judge with another model.")
        self._name = directory.name

    @torch.no_grad()
    def ask(self, prompt: str) -> Verdict:
        """The digits' probabilities as JSON; of a prompt longer than the context, the end is read."""
        tokens = self._tokenizer.encode(prompt)
        read = tokens[-self._model.config.context_length :]
        device = next(self._model.parameters()).device
        hidden = self._model.hidden(torch.tensor([read], device=device))  # (1, T, C)
        logits = self._model.logits(hidden[0, -1])  # (V,)
        probabilities = logits.double().softmax(dim=-1)[self._digits].tolist()
        return Verdict(
            rubric=self.rubric.version,
            model=self._name,
            replies=[json.dumps({"digit_probabilities": probabilities})],
            status="ok",
            prompt_tokens=len(tokens),
            completion_tokens=0,
            unread_tokens=len(tokens) - len(read),
        )


class ServerJudge:
    """A model behind an OpenAI-compatible endpoint as judge; an unreadable reply is asked about twice more."""

    rubric = POINTS

    def __init__(self, config: ServerConfig) -> None:
        self.max_concurrency = config.max_concurrency
        self.identity: dict[str, Any] = {
            "backend": "openai",
            **config.model_dump(exclude={"max_attempts", "max_concurrency"}),
        }
        self._client = ChatClient(config, REPLY_SCHEMA)

    def ask(self, prompt: str) -> Verdict:
        """The replies up to the first readable one; status `unparsed` if none is."""
        messages = [{"role": "user", "content": prompt}]
        replies, status = [], "unparsed"
        while status == "unparsed" and len(replies) <= RE_ASKS:
            replies.append(reply := self._client.ask(messages))
            try:
                self.rubric.read(reply.text)
                status = "ok"
            except UnreadableReplyError as error:
                messages += [
                    {"role": "assistant", "content": reply.text},
                    {"role": "user", "content": request_again(error)},
                ]
        return Verdict(
            rubric=self.rubric.version,
            model=replies[-1].model or self.identity["model"],
            replies=[reply.text for reply in replies],
            status=status,
            prompt_tokens=sum(reply.usage.prompt_tokens for reply in replies if reply.usage),
            completion_tokens=sum(reply.usage.completion_tokens for reply in replies if reply.usage),
        )


def make_judge(config: JudgeConfig, models: Path, device: torch.device) -> Judge:
    """The judge of the parameters; local models stand in the folder `models`."""
    if config.backend == "local":
        return LocalJudge(models / config.model, device)
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
