"""Read the judge's replies as scores: mean with interval, bounds for what could not be read, what attacks gained.

Of more than 1,000 answers the table of items holds 1,000, spread evenly from the worst to the best.
"""

from pathlib import Path

from pydantic import Field

from scratchlm.artifacts import PLOT_ROWS, evenly_spaced, write_csv, write_json
from scratchlm.checksums import verify_sha256
from scratchlm.judging.answers import read_answers, read_hostile, read_replies
from scratchlm.judging.chrf import chrf
from scratchlm.judging.judged_items import ITEM_COLUMNS, judged_items
from scratchlm.judging.reading import read_score, read_scores
from scratchlm.judging.scores import histogram, item_score, rank_agreement, summarize_attacks, summarize_scores
from scratchlm.params import Schema, read_params
from scratchlm.stages import run_stage

RESPONSES = Path("data/responses/test.jsonl")
REPLIES = Path("data/judgements/replies.jsonl")
HOSTILE = Path("data/judgements/hostile.jsonl")
METRICS = Path("metrics/score_judgements.json")
HISTOGRAM = Path("metrics/plots/score_judgements_histogram.csv")
ITEMS = Path("metrics/plots/score_judgements_items.csv")


class Params(Schema):
    """Section `score_judgements` of params.yaml."""

    max_unparsed_rate: float = Field(ge=0, le=1)


def main() -> None:
    params = read_params("score_judgements", Params)
    for path in (RESPONSES, REPLIES, HOSTILE):
        verify_sha256(path)
    answers = read_answers(RESPONSES)
    samples = read_scores(read_replies(REPLIES, answers))
    metrics = summarize_scores(list(samples.values()), params.max_unparsed_rate)
    scores = [item_score(samples[answer["id"]]) for answer in answers]
    others = {
        "spearman_ref_chrf": [chrf(answer["response"], answer["output"]) for answer in answers],
        "spearman_words": [float(len(answer["response"].split())) for answer in answers],
    }
    agreement = {name: rank_agreement(scores, values) for name, values in others.items()}
    attacks = summarize_attacks([{**row, "score": read_score(row)} for row in read_hostile(HOSTILE)])
    print("{attacks} hostile answers, of which {attack_success_rate:.0%} raised their score".format(**attacks))
    write_csv(HISTOGRAM, histogram(scores), ["score_from", "score_to", "count"])
    items = judged_items(answers, scores)
    if len(items) > PLOT_ROWS:
        items = evenly_spaced(sorted(items, key=lambda item: item["score"]), PLOT_ROWS)
    write_csv(ITEMS, items, ITEM_COLUMNS)
    write_json(METRICS, metrics | {name: value for name, value in agreement.items() if value is not None} | attacks)


if __name__ == "__main__":
    run_stage("score_judgements", main)
