"""The stage generate_responses, as DVC runs it."""

from pipeline.generate_responses import main
from scratchlm.artifacts import read_json, read_jsonl, write_jsonl
from tests.conftest import Workspace
from tests.corpora import write_byte_tokenizer
from tests.tiny_model import save_tiny_model, teach, tiny_gpt

ENTRIES = [{"instruction": f"Is {n} a number?", "input": "", "output": "Yes, it is."} for n in range(5)]


def test_every_entry_gets_its_answer_and_whether_it_ended(workspace: Workspace):
    tokenizer = write_byte_tokenizer(workspace.path / "tokenizer")
    model = teach(tiny_gpt(), [*tokenizer.encode("\nYes."), tokenizer.eot_id])
    save_tiny_model(workspace.path / "data/models/instruct", model)
    write_jsonl(workspace.path / "data/instructions/test.jsonl", ENTRIES)

    main()
    answer = {"response": "Yes.", "tokens": 4, "stopped": True}
    rows = read_jsonl(workspace.path / "data/responses/test.jsonl")
    assert rows == [{"id": n, **entry, **answer} for n, entry in enumerate(ENTRIES)]
    metrics = read_json(workspace.path / "metrics/generate_responses.json")
    assert metrics == {"responses": 5, "mean_tokens": 4, "stopped_rate": 1}

    workspace.set("generate_responses.max_new_tokens", 2)
    main()
    first = read_jsonl(workspace.path / "data/responses/test.jsonl")[0]
    assert (first["response"], first["stopped"]) == ("Ye", False)


def test_a_prompt_that_fills_the_context_is_one_line(workspace: Workspace):
    save_tiny_model(workspace.path / "data/models/instruct", tiny_gpt(context_length=100))
    write_jsonl(workspace.path / "data/instructions/test.jsonl", ENTRIES)
    result = workspace.run("generate_responses")
    assert (result.returncode, result.stderr.count("\n")) == (1, 1)
    assert "context_length of 100" in result.stderr
