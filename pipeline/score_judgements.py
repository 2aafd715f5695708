"""Read the judge's replies as scores: mean with interval, bounds for what could not be read, agreement with chrF++."""

from pathlib import Path

from pydantic import Field

from scratchlm.artifacts import verify_sha256, write_csv, write_json
from scratchlm.judging.answers import read_answers, read_replies
from scratchlm.judging.chrf import chrf
from scratchlm.judging.reading import read_score
from scratchlm.judging.scores import histogram, rank_agreement, summarize_scores
from scratchlm.params import Schema, read_params
from scratchlm.stages import run_stage

RESPONSES = Path("data/responses/test.jsonl")
REPLIES = Path("data/judgements/replies.jsonl")
METRICS = Path("metrics/score_judgements.json")
HISTOGRAM = Path("metrics/plots/score_judgements_histogram.csv")


class Params(Schema):
    """Section `score_judgements` of params.yaml."""

    max_unparsed_rate: float = Field(ge=0, le=1)


def main() -> None:
    params = read_params("score_judgements", Params)
    for path in (RESPONSES, REPLIES):
        verify_sha256(path)
    answers = read_answers(RESPONSES)
    scores = {row["id"]: read_score(row) for row in read_replies(REPLIES, answers)}
    metrics = summarize_scores(list(scores.values()), params.max_unparsed_rate)
    ref_chrf = {answer["id"]: chrf(answer["response"], answer["output"]) for answer in answers}
    agreement = rank_agreement(list(scores.values()), [ref_chrf[item] for item in scores])
    write_csv(HISTOGRAM, histogram(list(scores.values())), ["score_from", "score_to", "count"])
    write_json(METRICS, metrics | ({} if agreement is None else {"spearman_ref_chrf": agreement}))


if __name__ == "__main__":
    run_stage("score_judgements", main)
