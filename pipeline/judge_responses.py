"""Let a judge, a local model or a server, read every answer; its raw replies are kept."""

from pathlib import Path

from scratchlm.artifacts import verify_sha256, write_json, write_jsonl, write_sha256
from scratchlm.judging.answers import read_answers
from scratchlm.judging.config import JudgeConfig
from scratchlm.judging.judge import judge_items, make_judge
from scratchlm.judging.verdicts import VerdictStore, count_replies
from scratchlm.params import read_params
from scratchlm.stages import run_stage
from scratchlm.workspace import work_root

MODELS = Path("data/models")
RESPONSES = Path("data/responses/test.jsonl")
REPLIES = Path("data/judgements/replies.jsonl")
METRICS = Path("metrics/judge_responses.json")


def main() -> None:
    params = read_params("judge_responses", JudgeConfig)
    verify_sha256(RESPONSES)
    judge = make_judge(params, MODELS)
    with VerdictStore(work_root() / "verdicts.sqlite") as store:
        replies = judge_items(judge, read_answers(RESPONSES), store)
    write_jsonl(REPLIES, replies)
    write_sha256(REPLIES)
    write_json(METRICS, count_replies(replies))


if __name__ == "__main__":
    run_stage("judge_responses", main)
