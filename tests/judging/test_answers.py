"""Answers and replies that somebody edited: what is wrong is one line that names the file."""

import json
from pathlib import Path
from typing import Any

import pytest

from scratchlm.artifacts import write_jsonl
from scratchlm.errors import UserError
from scratchlm.judging.answers import read_answers, read_replies

ANSWERS = [{"id": n, "instruction": "Say it.", "input": "", "output": "It.", "response": ""} for n in (4, 2)]
HOW = {"rubric": "scale-4-v1", "maximum": 4, "reading": "reply", "model": "m", "status": "ok"}
REPLIES = [{"id": n, "sample": 0, **HOW, "replies": [{"content": "SCORE: 1"}]} for n in (2, 4)]


def test_answers_and_replies_are_read_in_their_order(tmp_path: Path):
    write_jsonl(tmp_path / "answers.jsonl", ANSWERS)
    write_jsonl(tmp_path / "replies.jsonl", REPLIES)
    answers = read_answers(tmp_path / "answers.jsonl")
    assert answers == ANSWERS
    assert read_replies(tmp_path / "replies.jsonl", answers) == REPLIES


@pytest.mark.parametrize(
    ("rows", "message"),
    [
        ([], "has no items"),
        ([ANSWERS[0], ANSWERS[0]], "has the id 4 twice"),
        ([{"id": 4, "instruction": "Say it."}], "line 1 has no input"),
    ],
)
def test_wrong_answers_are_one_line(tmp_path: Path, rows: list[dict[str, Any]], message: str):
    (tmp_path / "answers.jsonl").write_text("".join(f"{json.dumps(row)}\n" for row in rows))
    with pytest.raises(UserError, match=rf"answers\.jsonl,? {message}"):
        read_answers(tmp_path / "answers.jsonl")


def test_a_reply_about_no_answer_is_one_line(tmp_path: Path):
    write_jsonl(tmp_path / "replies.jsonl", REPLIES)
    with pytest.raises(UserError, match=r"replies\.jsonl judges item 2, which no answer has"):
        read_replies(tmp_path / "replies.jsonl", ANSWERS[:1])


def test_an_answer_without_a_judgement_is_one_line(tmp_path: Path):
    write_jsonl(tmp_path / "replies.jsonl", REPLIES[:1])
    with pytest.raises(UserError, match=r"replies\.jsonl has no judgement of item 4"):
        read_replies(tmp_path / "replies.jsonl", ANSWERS)


@pytest.mark.parametrize("change", [{"reading": "expected"}, {"maximum": 100}, {"rubric": "scale-4-v2"}])
def test_judgements_on_different_scales_are_never_mixed(tmp_path: Path, change: dict[str, Any]):
    write_jsonl(tmp_path / "replies.jsonl", [REPLIES[0], REPLIES[1] | change])
    with pytest.raises(UserError, match="mixes rubrics or readings"):
        read_replies(tmp_path / "replies.jsonl", ANSWERS)


def test_samples_of_one_item_differ_in_their_number(tmp_path: Path):
    rows = [*REPLIES, REPLIES[0] | {"sample": 1}]
    write_jsonl(tmp_path / "replies.jsonl", rows)
    assert read_replies(tmp_path / "replies.jsonl", ANSWERS) == rows
    write_jsonl(tmp_path / "replies.jsonl", [*rows, REPLIES[0]])
    with pytest.raises(UserError, match="has the id 2 twice"):
        read_replies(tmp_path / "replies.jsonl", ANSWERS)
