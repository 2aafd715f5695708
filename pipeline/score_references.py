"""Compare the answers with the reference answers: exact match, chrF++, ROUGE-L, empty and repetitive ones."""

from pathlib import Path

from scratchlm.artifacts import read_jsonl, write_csv, write_json
from scratchlm.judging.reference import score_answers
from scratchlm.stages import run_stage

RESPONSES = Path("data/responses/test.jsonl")
METRICS = Path("metrics/score_references.json")
ITEMS = Path("metrics/plots/score_references_items.csv")
MAX_ROWS = 1_000


def main() -> None:
    items, metrics = score_answers(read_jsonl(RESPONSES))
    write_csv(ITEMS, items[:MAX_ROWS], list(items[0]))
    write_json(METRICS, metrics)


if __name__ == "__main__":
    run_stage("score_references", main)
