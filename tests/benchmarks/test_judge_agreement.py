"""The published agreement of judges is found again, and a missing score shifts no other."""

import re
from pathlib import Path
from typing import Any

import pytest

from benchmarks.judge_agreement import Answers, align, judge, read_answers, tables
from tests.conftest import Workspace
from tests.judging.conftest import Answer, ChatServer, completion


@pytest.fixture
def evaluation(shared: Path) -> Path:
    return shared / "mirror/raw.githubusercontent.com/rasbt/LLMs-from-scratch/main/ch07/03_model-evaluation"


def test_llama_3_agrees_with_gpt_4_as_published(evaluation: Path):
    lines = list(tables(read_answers(evaluation), None))
    assert lines[2] == "| Llama 3 8B, as published | 199 | 0.83 | 0.76 | 0.62 |"
    assert lines[3].startswith("| chrF++ | 199 | 0.70 | 0.87 |")
    rest = lines[lines.index("") + 1 :]
    assert [row.split(" | ")[3] for row in rest[2:4]] == ["0.63", "0.25"]  # Spearman, of what is not verbatim


def test_the_missing_score_is_found_by_its_neighbours():
    yardstick = [10, 90, 20, 80, 50]
    assert align([12, 88, 79, 51], yardstick) == [12, 88, None, 79, 51]
    assert align(yardstick, yardstick) == yardstick


def test_any_configured_judge_scores_the_answers_item_by_item(workspace: Workspace, server: ChatServer):
    def respond(request: dict[str, Any]) -> Answer:
        number = re.search("Item ([0-9])", request["messages"][0]["content"])
        grade = number and int(number[1])
        return completion("I cannot tell." if grade == 2 else f"SCORE: {grade}")

    server.respond = respond
    workspace.set("judge_responses.backend", "openai")
    workspace.set("judge_responses.openai.base_url", server.base_url)
    items = [
        {"id": n, "instruction": f"Item {n}", "input": "", "output": "Yes.", "response": f"No, {n}."}
        for n in (4, 2, 0, 1)
    ]
    assert judge(items, workspace.path / "params.yaml") == [100, None, 0, 25]
    answers = Answers(items, [90, 50, 10, 20], [80, 60, 10, 30])
    lines = list(tables(answers, [100, None, 0, 25]))
    assert lines[0] == "The configured judge: 1 of 4 answers unparsed, left out of all rows."
    assert "| the configured judge | 3 | 0.99 | 1.00 | 1.00 |" in lines
