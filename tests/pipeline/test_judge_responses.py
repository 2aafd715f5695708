"""The stage judge_responses, as DVC runs it."""

from pipeline.judge_responses import main
from scratchlm.artifacts import read_json, read_jsonl
from tests.conftest import Workspace
from tests.records import record_jsonl
from tests.tiny_model import save_tiny_model

ANSWERS = [
    {"id": n, "instruction": f"Is {n} even?", "input": "", "output": "Yes.", "response": "No."} for n in range(0, 8, 2)
]


def test_the_local_judge_reads_every_answer_and_a_rerun_gives_the_same_bytes(workspace: Workspace):
    save_tiny_model(workspace.path / "data/models/gpt2-roundtrip")
    record_jsonl(workspace.path / "data/responses/test.jsonl", ANSWERS)
    replies = workspace.path / "data/judgements/replies.jsonl"
    main()
    first = replies.read_bytes()
    assert [row["id"] for row in read_jsonl(replies)] == [0, 2, 4, 6]
    metrics = read_json(workspace.path / "metrics/judge_responses.json")
    assert (metrics["items"], metrics["re_asks"], metrics["cut_prompts"]) == (4, 0, 0)
    main()
    assert replies.read_bytes() == first


def test_a_server_that_is_not_there_is_one_line(workspace: Workspace):
    record_jsonl(workspace.path / "data/responses/test.jsonl", ANSWERS)
    workspace.set("judge_responses.backend", "openai")
    workspace.set("judge_responses.openai.base_url", "http://127.0.0.1:9/v1")
    workspace.set("judge_responses.openai.max_attempts", 1)
    result = workspace.run("judge_responses")
    assert (result.returncode, result.stderr.count("\n")) == (1, 1)
    assert "http://127.0.0.1:9/v1" in result.stderr
