"""The stage generate_responses, as DVC runs it."""

import shutil

import pytest

from pipeline.generate_responses import main
from scratchlm.artifacts import read_json, read_jsonl
from scratchlm.datasets.prompts import format_prompt
from scratchlm.models import sampling
from tests.conftest import Workspace
from tests.corpora import write_byte_tokenizer
from tests.records import list_jsonl
from tests.tiny_model import save_tiny_model, teach, tiny_gpt

ENTRIES = [{"instruction": f"Is {n} a number?", "input": "", "output": "Yes, it is."} for n in range(5)]


def test_every_entry_gets_its_answer_and_whether_it_ended(workspace: Workspace):
    tokenizer = write_byte_tokenizer(workspace.path / "tokenizer")
    model = teach(tiny_gpt(), [*tokenizer.encode("\nYes."), tokenizer.eot_id])
    save_tiny_model(workspace.path / "data/models/instruct", model)
    list_jsonl(workspace.path / "data/instructions/test.jsonl", ENTRIES)

    main()
    answer = {"response": "Yes.", "tokens": 4, "stopped": True}
    rows = read_jsonl(workspace.path / "data/responses/test.jsonl")
    assert rows == [{"id": n, **entry, **answer} for n, entry in enumerate(ENTRIES)]
    metrics = read_json(workspace.path / "metrics/generate_responses.json")
    assert metrics == {"responses": 5, "unanswered": 0, "mean_tokens": 4, "stopped_rate": 1}

    workspace.set("generate_responses.max_new_tokens", 2)
    main()
    first = read_jsonl(workspace.path / "data/responses/test.jsonl")[0]
    assert (first["response"], first["stopped"]) == ("Ye", False)


def test_a_stop_string_ends_an_answer_and_is_no_part_of_it(workspace: Workspace):
    tokenizer = write_byte_tokenizer(workspace.path / "tokenizer")
    model = teach(tiny_gpt(), [*tokenizer.encode("\nYes."), tokenizer.eot_id])
    save_tiny_model(workspace.path / "data/models/instruct", model)
    list_jsonl(workspace.path / "data/instructions/test.jsonl", ENTRIES[:1])
    workspace.set("generate_responses.stop_strings", ["es"])
    workspace.set("generate_responses.max_new_tokens", 3)
    main()
    (row,) = read_jsonl(workspace.path / "data/responses/test.jsonl")
    assert (row["response"], row["tokens"], row["stopped"]) == ("Y", 3, True)
    assert read_json(workspace.path / "metrics/generate_responses.json")["stopped_rate"] == 1


def test_a_killed_run_goes_on_batch_by_batch_to_the_same_bytes(workspace: Workspace, monkeypatch: pytest.MonkeyPatch):
    save_tiny_model(workspace.path / "data/models/instruct")
    entries = [{**entry, "instruction": entry["instruction"] + "?" * n} for n, entry in enumerate(ENTRIES)]
    list_jsonl(workspace.path / "data/instructions/test.jsonl", entries)
    for key, value in {"temperature": 1.0, "batch_size": 2, "max_new_tokens": 8}.items():
        workspace.set(f"generate_responses.{key}", value)
    main()
    responses = workspace.path / "data/responses/test.jsonl"
    undisturbed = responses.read_bytes()
    shutil.rmtree(".work")
    drawn = []

    def generate(model, prompts, *arguments):
        if len(drawn) == 2:
            raise KeyboardInterrupt
        drawn.append(len(prompts))
        return sampling.generate(model, prompts, *arguments)

    monkeypatch.setattr("scratchlm.judging.responses.generate", generate)
    with pytest.raises(KeyboardInterrupt):
        main()
    drawn = [0]
    main()
    assert drawn == [0, 1]  # the third of three batches
    assert responses.read_bytes() == undisturbed


def test_a_prompt_that_fills_the_context_gets_an_empty_answer_and_changes_no_other(workspace: Workspace):
    length = len(format_prompt(ENTRIES[0]).encode())
    save_tiny_model(workspace.path / "data/models/instruct", tiny_gpt(context_length=length + 8))
    workspace.set("generate_responses.temperature", 1.0)
    responses = workspace.path / "data/responses/test.jsonl"

    list_jsonl(workspace.path / "data/instructions/test.jsonl", ENTRIES)
    main()
    expected = read_jsonl(responses)

    long = {"instruction": "Is 1 a number?" + 8 * "!", "input": "", "output": "Yes, it is."}
    list_jsonl(workspace.path / "data/instructions/test.jsonl", [ENTRIES[0], long, *ENTRIES[2:]])
    main()
    expected[1] = {"id": 1, **long, "response": "", "tokens": 0, "stopped": False}
    assert read_jsonl(responses) == expected
    assert read_json(workspace.path / "metrics/generate_responses.json")["unanswered"] == 1


def test_a_test_set_of_prompts_without_room_is_all_unanswered(workspace: Workspace):
    save_tiny_model(workspace.path / "data/models/instruct", tiny_gpt(context_length=8))
    list_jsonl(workspace.path / "data/instructions/test.jsonl", ENTRIES)
    main()
    assert {row["response"] for row in read_jsonl(workspace.path / "data/responses/test.jsonl")} == {""}
    metrics = read_json(workspace.path / "metrics/generate_responses.json")
    assert {"responses": 5, "unanswered": 5, "mean_tokens": 0}.items() <= metrics.items()
