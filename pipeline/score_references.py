"""Compare the answers with the reference answers: exact match, chrF++, ROUGE-L, empty and repetitive ones.

Of more than 1,000 answers the table of items holds 1,000, spread evenly from the worst to the best by chrF++.
"""

from pathlib import Path

from scratchlm.artifacts import PLOT_ROWS, evenly_spaced, write_csv, write_json
from scratchlm.checksums import verify_sha256
from scratchlm.judging.answers import read_answers
from scratchlm.judging.reference import score_answers
from scratchlm.stages import run_stage

RESPONSES = Path("data/responses/test.jsonl")
METRICS = Path("metrics/score_references.json")
ITEMS = Path("metrics/plots/score_references_items.csv")


def main() -> None:
    verify_sha256(RESPONSES)
    items, metrics = score_answers(read_answers(RESPONSES))
    if len(items) > PLOT_ROWS:
        items = evenly_spaced(sorted(items, key=lambda item: item["ref_chrf"]), PLOT_ROWS)
    write_csv(ITEMS, items, list(items[0]))
    write_json(METRICS, metrics)


if __name__ == "__main__":
    run_stage("score_references", main)
