"""Judges end to end: a local model, a stub server."""

import json
import math
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
import tenacity
import torch

from scratchlm.datasets.tokenizers import load_tokenizer
from scratchlm.errors import UserError
from scratchlm.judging import client
from scratchlm.judging.capabilities import Capabilities
from scratchlm.judging.config import JudgeConfig
from scratchlm.judging.judge import judge_items, make_judge
from scratchlm.judging.local_judge import LocalJudge
from scratchlm.judging.openai_client import OpenAIClient
from scratchlm.judging.reading import read_score
from scratchlm.judging.rubric import read_rubric
from scratchlm.judging.server_judge import ServerJudge, make_server_judge
from scratchlm.judging.verdicts import VerdictStore
from scratchlm.models.classifier import GPTClassifier
from scratchlm.models.gpt import GPT
from scratchlm.models.storage import save_model
from tests.conftest import ROOT
from tests.corpora import write_byte_tokenizer
from tests.judging.conftest import Answer, ChatServer, completion, said, server_config
from tests.tiny_model import save_tiny_model, teach, tiny_gpt

CPU = torch.device("cpu")
POINTS, SCALE = (read_rubric(ROOT / f"rubrics/{name}.yaml") for name in ("points-100", "scale-4"))
PLAIN = Capabilities(json_schema=False, tool_call=False, logprobs=False, seed=False)
ITEMS = [
    {
        "id": n,
        "instruction": "Double the number.",
        "input": f"{n}",
        "output": f"{2 * n}",
        "response": f"{2 * n + n % 2}",
    }
    for n in range(12)
]


def server_judge(server: ChatServer, capabilities: Capabilities = PLAIN, **settings: Any) -> ServerJudge:
    """A judge on the scale of 100 points at the stub server, of which these capabilities are known."""
    config = server_config(server, **settings)
    return ServerJudge(config, SCALE if config.logprobs else POINTS, capabilities, OpenAIClient(config))


@pytest.fixture
def store(tmp_path: Path) -> Iterator[VerdictStore]:
    with VerdictStore(tmp_path / "verdicts.sqlite") as store:
        yield store


def graded(request: dict[str, Any]) -> Answer:
    """A server that gives each item the score of its own."""
    number = int(request["messages"][0]["content"].split("Double the number.\n\n")[1].split("\n")[0])
    return completion(json.dumps({"reason": "so it is", "score": number}))


def test_every_item_gets_the_verdict_on_its_own_prompt_in_its_place(server: ChatServer, store: VerdictStore):
    server.respond = graded
    rows = judge_items(server_judge(server), ITEMS, store)
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
    rows = judge_items(judge, ITEMS, store)
    assert len(server.requests) == 12
    assert rows[:5] == some
    assert judge_items(judge, ITEMS, store) == rows
    assert len(server.requests) == 12


def test_a_failure_keeps_what_was_judged_and_is_not_cached_itself(
    server: ChatServer, store: VerdictStore, monkeypatch: pytest.MonkeyPatch
):
    monkeypatch.setattr(client, "_backoff", tenacity.wait_none())
    server.respond = lambda request: Answer(status=500) if len(server.requests) > 7 else graded(request)
    judge = server_judge(server, max_concurrency=1)
    with pytest.raises(UserError, match="status 500 after 2 attempts"):
        judge_items(judge, ITEMS, store)
    assert len(server.requests) == 9
    server.respond = graded
    assert [read_score(row) for row in judge_items(judge, ITEMS, store)] == list(range(12))
    assert len(server.requests) == 9 + 5


def test_an_unreadable_reply_is_asked_about_twice_with_the_error_quoted(server: ChatServer, store: VerdictStore):
    server.answers = [completion("It is fine."), completion("SCORE: 101"), completion("SCORE: 64")]
    row = judge_items(server_judge(server), ITEMS[:1], store)[0]
    assert (row["status"], row["replies"]) == (
        "ok",
        [{"content": "It is fine."}, {"content": "SCORE: 101"}, {"content": "SCORE: 64"}],
    )
    assert (row["prompt_tokens"], row["completion_tokens"]) == (33, 21)
    roles = [message["role"] for message in server.requests[2]["messages"]]
    assert roles == ["user", "assistant", "user", "assistant", "user"]
    assert "the score 101 is not between 0 and 100" in server.requests[2]["messages"][-1]["content"]


def test_what_stays_unreadable_is_kept_as_unparsed_and_asked_for_again_in_a_rerun(
    server: ChatServer, store: VerdictStore
):
    server.answers = [completion("I cannot grade this.")]
    judge = server_judge(server)
    row = judge_items(judge, ITEMS[:1], store)[0]
    assert (row["status"], row["replies"]) == ("unparsed", 3 * [{"content": "I cannot grade this."}])
    assert read_score(row) is None
    server.answers = [completion("SCORE: 5")]
    assert judge_items(judge, ITEMS[:1], store)[0]["status"] == "ok"


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


def test_samples_are_asked_for_one_by_one_with_a_seed_each_where_it_is_honoured(
    server: ChatServer, store: VerdictStore
):
    server.respond = lambda request: completion(f"SCORE: {10 * request.get('seed', 0)}")
    judge = server_judge(server, Capabilities(False, False, False, seed=True), samples=3, temperature=1.0)
    rows = judge_items(judge, ITEMS[:2], store, judge.samples)
    assert [(row["id"], row["sample"], read_score(row)) for row in rows] == [
        (item, sample, 10 * sample) for item in (0, 1) for sample in (0, 1, 2)
    ]
    assert judge_items(judge, ITEMS[:2], store, 2) == [row for row in rows if row["sample"] < 2]
    assert len(server.requests) == 6
    judge_items(server_judge(server, temperature=1.0, samples=2), ITEMS[:1], store, 1)
    assert "seed" not in server.requests[-1]


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


def with_logprobs(text: str, grades: dict[str, float]) -> Answer:
    """A completion of one token a character; the first digit has these grades beside it."""
    answer = completion(text)
    tops = [{"token": token, "logprob": math.log(p)} for token, p in grades.items()]
    tokens = [{"token": char, "top_logprobs": tops if char.isdigit() else []} for char in text]
    answer.body["choices"][0]["logprobs"] = {"content": tokens}
    return answer


def test_the_expected_score_is_that_of_the_probabilities_where_the_grade_stands(
    server: ChatServer, store: VerdictStore
):
    server.answers = [with_logprobs("Good. SCORE: 3", {"3": 0.5, " 4": 0.25, "A": 0.2, "5": 0.05})]
    judge = server_judge(server, Capabilities(False, False, logprobs=True, seed=False), logprobs=True)
    (row,) = judge_items(judge, ITEMS[:1], store)
    assert row["reading"] == "expected"
    assert row["replies"][0]["probabilities"] == pytest.approx([0, 0, 0, 0.5, 0.25])
    assert read_score(row) == pytest.approx(100 * (3 * 0.5 + 4 * 0.25) / 0.75 / 4)
    assert server.requests[0]["logprobs"] is True


def test_a_reply_without_probabilities_is_not_mixed_with_those_that_have_them(server: ChatServer, store: VerdictStore):
    server.answers = [completion("SCORE: 3")]
    judge = server_judge(server, Capabilities(False, False, logprobs=True, seed=False), logprobs=True)
    (row,) = judge_items(judge, ITEMS[:1], store)
    assert (row["status"], len(row["replies"]), read_score(row)) == ("unparsed", 3, None)


def test_probabilities_that_a_server_does_not_give_are_one_line(server: ChatServer):
    with pytest.raises(UserError, match="gives no probabilities, as its probe found"):
        server_judge(server, logprobs=True)
    config = server_config(server, logprobs=True)
    with pytest.raises(UserError, match="points-100-v1 goes to 100; take"):
        ServerJudge(config, POINTS, PLAIN)


@pytest.mark.parametrize("backend", ["openai", "anthropic"])
def test_both_backends_judge_and_are_asked_what_they_honour_once(
    server: ChatServer, store: VerdictStore, backend: str
) -> None:
    server.answers = [said(backend, "SCORE: 3")]
    config = server_config(server, backend)
    judge = make_server_judge(config, SCALE, store)
    probes = len(server.requests)
    assert probes == (6 if backend == "openai" else 1)
    (row,) = judge_items(judge, ITEMS[:1], store)
    assert (row["honoured"], row["model"], read_score(row)) == ([], "stub-7b", 75)
    assert judge_items(make_server_judge(config, SCALE, store), ITEMS[:1], store) == [row]
    assert len(server.requests) == probes + 1


def test_the_local_judge_expects_the_grade_that_the_model_learnt(tmp_path: Path, store: VerdictStore):
    directory = tmp_path / "judge"
    tokenizer = write_byte_tokenizer(tmp_path / "tokenizer")
    save_tiny_model(directory, teach(tiny_gpt(), [*tokenizer.encode(":3"), tokenizer.eot_id]))
    rows = judge_items(LocalJudge(directory, SCALE, CPU), ITEMS, store)
    assert [read_score(row) for row in rows] == pytest.approx([75] * 12, abs=2)
    assert {(row["model"], row["rubric"], row["status"], row["unread_tokens"]) for row in rows} == {
        ("judge", "scale-4-v1", "ok", 0)
    }


def test_the_local_judges_probabilities_are_those_of_the_whole_vocabulary(tmp_path: Path):
    from transformers import AutoModelForCausalLM

    directory = save_tiny_model(tmp_path / "judge")
    judge = LocalJudge(directory, SCALE, CPU)
    prompt = judge.prompt(ITEMS[0])
    verdict = judge.ask(prompt, 0)
    tokenizer = load_tokenizer(directory)
    reference = AutoModelForCausalLM.from_pretrained(directory)
    with torch.no_grad():
        logits = reference(torch.tensor([tokenizer.encode(prompt)])).logits[0, -1]
    expected = logits.double().softmax(dim=-1)[[tokenizer.encode(digit)[0] for digit in "01234"]]
    assert verdict.replies[0]["probabilities"] == pytest.approx(expected.tolist(), rel=1e-4)


def test_a_prompt_beyond_the_context_is_read_at_its_end_and_counted(tmp_path: Path):
    judge = LocalJudge(save_tiny_model(tmp_path / "judge", tiny_gpt(context_length=64)), SCALE, CPU)
    prompt = judge.prompt(ITEMS[0])
    verdict = judge.ask(prompt, 0)
    assert verdict.unread_tokens == verdict.prompt_tokens - 64 == len(prompt) - 64
    assert verdict.replies == judge.ask(prompt[-64:], 0).replies


def test_another_model_gives_new_verdicts(tmp_path: Path, store: VerdictStore):
    one = judge_items(LocalJudge(save_tiny_model(tmp_path / "a" / "judge"), SCALE, CPU), ITEMS[:2], store)
    model = tiny_gpt()
    model.init_weights(seed=1)
    other = judge_items(LocalJudge(save_tiny_model(tmp_path / "b" / "judge", model), SCALE, CPU), ITEMS[:2], store)
    assert one[0]["replies"] != other[0]["replies"]


def test_the_local_judge_is_asked_again_because_its_code_may_have_changed(
    tmp_path: Path, store: VerdictStore, monkeypatch: pytest.MonkeyPatch
):
    judge = LocalJudge(save_tiny_model(tmp_path / "judge"), SCALE, CPU)
    before = judge_items(judge, ITEMS[:2], store)
    monkeypatch.setattr(GPT, "logits", lambda self, hidden: -hidden @ self.wte.weight.T)
    assert judge_items(judge, ITEMS[:2], store)[0]["replies"] != before[0]["replies"]


def test_a_classifier_is_no_judge(tmp_path: Path):
    write_byte_tokenizer(tmp_path / "tokenizer")
    classifier = GPTClassifier(tiny_gpt(), 2)
    save_model(classifier, tmp_path / "judge", tokenizer=tmp_path / "tokenizer", card="", class_names=["ham", "spam"])
    with pytest.raises(UserError, match="judge holds a classifier"):
        LocalJudge(tmp_path / "judge", SCALE, CPU)


def test_the_parameters_choose_the_judge(tmp_path: Path, server: ChatServer, store: VerdictStore):
    save_tiny_model(tmp_path / "judge")
    servers = {name: server_config(server, name) for name in ("openai", "anthropic")}
    settings = {"model": "judge", "rubric": "", **servers}
    for backend in ("local", "openai", "anthropic"):
        server.answers = [said(backend, "SCORE: 3")]
        judge = make_judge(JudgeConfig.model_construct(backend=backend, **settings), SCALE, tmp_path, store)
        assert isinstance(judge, LocalJudge if backend == "local" else ServerJudge)
