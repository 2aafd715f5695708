"""Responses, rubrics and judges with which nothing can be judged."""

from tests.faults.changes import all_of, nothing, put, write_answers
from tests.faults.wrong_input.case import Case

JUDGING = [
    Case("no responses", "score_references", nothing, ("data/responses/test.jsonl is missing",)),
    Case(
        "judge that is not there",
        "judge_responses",
        all_of(put("judge_responses.model", "gpt2-124M"), write_answers),
        ("data/models/gpt2-124M", "is missing"),
    ),
    Case(
        "rubric that is not there",
        "judge_responses",
        all_of(put("judge_responses.rubric", "rubrics/mine.yaml"), write_answers),
        ("rubrics/mine.yaml is missing", "judge_responses.rubric"),
    ),
    Case(
        "rubric whose grades have two digits for a local judge",
        "judge_responses",
        all_of(put("judge_responses.rubric", "rubrics/book-100.yaml"), write_answers),
        ("book-100-v1 goes to 100", "rubrics/scale-4.yaml"),
    ),
    Case(
        "samples that are all alike",
        "judge_responses",
        put("judge_responses.openai.samples", 3),
        ("samples above 1 at temperature 0",),
    ),
    Case(
        "model without a known price",
        "judge_responses",
        all_of(
            put("judge_responses.backend", "openai"),
            put("judge_responses.openai.base_url", "https://api.example.com/v1"),
            put("judge_responses.openai.max_cost", 1.0),
            write_answers,
        ),
        ("the price of llama3.2", "judge_responses.openai.prices"),
    ),
    Case(
        "server that does not answer",
        "judge_responses",
        all_of(
            put("judge_responses.backend", "openai"),
            put("judge_responses.openai.base_url", "http://127.0.0.1:9/v1"),
            write_answers,
        ),
        ("http://127.0.0.1:9/v1",),
    ),
    Case(
        "server that wants a key",
        "judge_responses",
        all_of(
            put("judge_responses.backend", "openai"),
            put("judge_responses.openai.base_url", "https://api.example.com/v1"),
            write_answers,
        ),
        ("https://api.example.com/v1 needs an API key", "SCRATCHLM_JUDGE_API_KEY"),
    ),
]
