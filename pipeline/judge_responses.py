"""Let a judge, a local model or a server, read every answer, and twenty hostile ones; its raw replies are kept."""

from pathlib import Path

from scratchlm.artifacts import write_json, write_jsonl
from scratchlm.checksums import verify_sha256, write_sha256
from scratchlm.judging.answers import read_answers
from scratchlm.judging.config import JudgeConfig
from scratchlm.judging.cost import check_cost, count_run
from scratchlm.judging.hostile import judge_hostile
from scratchlm.judging.judge import judge_items, make_judge
from scratchlm.judging.rubric import read_rubric
from scratchlm.judging.verdicts import VerdictStore
from scratchlm.params import read_params
from scratchlm.stages import run_stage
from scratchlm.workspace import work_root

MODELS = Path("data/models")
RESPONSES = Path("data/responses/test.jsonl")
REPLIES = Path("data/judgements/replies.jsonl")
HOSTILE = Path("data/judgements/hostile.jsonl")
METRICS = Path("metrics/judge_responses.json")


def main() -> dict[str, float]:
    params = read_params("judge_responses", JudgeConfig)
    verify_sha256(RESPONSES)
    rubric, answers = read_rubric(Path(params.rubric)), read_answers(RESPONSES)
    with VerdictStore(work_root() / "verdicts.sqlite") as store:
        check_cost(params, rubric, answers, store)
        judge = make_judge(params, rubric, MODELS, store)
        replies = judge_items(judge, answers, store, judge.samples)
        hostile = judge_hostile(judge, store)
    write_jsonl(REPLIES, replies)
    write_jsonl(HOSTILE, hostile)
    for path in (REPLIES, HOSTILE):
        write_sha256(path)
    write_json(METRICS, count_run(params, judge, replies, hostile))
    return {"paid_usd": judge.paid}


if __name__ == "__main__":
    run_stage("judge_responses", main)
