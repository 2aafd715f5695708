"""A model behind a server as judge: what it is asked again, with which seeds, and how probabilities become a score."""

import math

import pytest

from scratchlm.errors import UserError
from scratchlm.judging.capabilities import Capabilities
from scratchlm.judging.client import Form
from scratchlm.judging.judge import judge_items
from scratchlm.judging.reading import read_score
from scratchlm.judging.reply_form import reply_request
from scratchlm.judging.server_judge import ServerJudge, make_server_judge
from scratchlm.judging.verdicts import VerdictStore
from tests.judging.conftest import (
    ITEMS,
    PLAIN,
    POINTS,
    SCALE,
    Answer,
    ChatServer,
    completion,
    said,
    server_config,
    server_judge,
)


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


@pytest.mark.parametrize(
    ("found", "field"),
    [
        (Capabilities(True, False, False, False), "response_format"),
        (Capabilities(False, True, False, False), "tools"),
        (PLAIN, None),
    ],
)
def test_a_verdict_is_asked_for_in_the_strictest_form_that_is_honoured(
    server: ChatServer, found: Capabilities, field: str | None
) -> None:
    server_judge(server, found).ask("Grade this.", 0)
    assert {"response_format", "tools"} & server.requests[0].keys() == ({field} if field else set())


def test_probabilities_are_asked_for_in_words_where_only_tools_are_honoured(server: ChatServer):
    judge = server_judge(server, Capabilities(False, tool_call=True, logprobs=True, seed=False), logprobs=True)
    assert judge.identity is not None
    assert judge.identity["form"] is Form.TEXT
    server.answers = [with_logprobs("SCORE: 3", {"3": 0.9})]
    judge.ask("Grade this.", 0)
    assert "tools" not in server.requests[0]


def test_a_reply_of_nothing_is_quoted_as_one_because_no_server_takes_an_empty_message(server: ChatServer):
    server.answers = [completion(None), completion("SCORE: 64")]
    verdict = server_judge(server).ask("Grade this.", 0)
    assert (verdict.status, verdict.replies[0]) == ("ok", {"content": ""})
    assert server.requests[1]["messages"][1] == {"role": "assistant", "content": "(no text)"}


def test_a_judge_without_a_client_says_what_it_would_ask(server: ChatServer):
    judge = ServerJudge(server_config(server), POINTS, PLAIN)
    assert judge.prompt(ITEMS[0]) == POINTS.fill(ITEMS[0], reply_request(100))
    assert judge.identity == server_judge(server).identity
    assert (judge.paid, server.requests) == (0.0, [])
