"""The published agreement of judges is found again, and a missing score shifts no other."""

from pathlib import Path

import pytest

from benchmarks.judge_agreement import align, read_answers, tables


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
