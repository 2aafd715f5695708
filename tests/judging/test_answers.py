"""Answers and replies that somebody edited: what is wrong is one line that names the file."""

import json
from pathlib import Path
from typing import Any

import pytest

from scratchlm.artifacts import write_jsonl
from scratchlm.errors import UserError
from scratchlm.judging.answers import read_answers, read_replies

ANSWERS = [{"id": n, "instruction": "Say it.", "input": "", "output": "It.", "response": ""} for n in (4, 2)]
REPLIES = [{"id": n, "rubric": "points-1", "replies": ["SCORE: 1"], "status": "ok"} for n in (2, 4)]


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
