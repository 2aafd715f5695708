"""llama.cpp's server as judge: it honours what `transformers serve` ignores, and the scores show it."""

import json
from pathlib import Path

import pytest
import torch

from scratchlm.datasets.tokenizers import load_tokenizer
from scratchlm.judging.capabilities import Capabilities
from scratchlm.judging.judge import judge_items
from scratchlm.judging.reading import read_score
from scratchlm.judging.server_judge import make_server_judge
from scratchlm.judging.verdicts import VerdictStore
from scratchlm.models.sampling import next_token_logits
from scratchlm.models.storage import load_gpt
from tests.judging.conftest import ITEMS, SCALE
from tests.judging.servers.conftest import GRADES, RealServer, config

pytestmark = [pytest.mark.slow, pytest.mark.timeout(3_600)]


def test_its_probe_finds_that_it_honours_schemas_logprobs_and_seeds(llama_server: RealServer, store: VerdictStore):
    found = make_server_judge(config(llama_server), SCALE, store).capabilities
    assert found == Capabilities(True, False, True, True, found.prompt_tokens, found.completion_tokens)


def test_the_schema_keeps_a_model_from_grades_that_the_rubric_does_not_have(
    llama_server: RealServer, store: VerdictStore
):
    rows = judge_items(make_server_judge(config(llama_server), SCALE, store), ITEMS[:12], store)
    assert {json.loads(row["replies"][0]["content"])["score"] for row in rows} == {3}  # by itself it says 70
    assert [(row["status"], len(row["replies"]), read_score(row)) for row in rows] == 12 * [("ok", 1, 75)]
    assert {row["model"] for row in rows} == {"judge"}
    assert all(row["honoured"] == ["json_schema", "logprobs", "seed"] for row in rows)


def test_an_expected_score_is_that_of_the_models_own_probabilities(
    llama_server: RealServer, llama_judge: Path, store: VerdictStore
):
    judge = make_server_judge(config(llama_server, logprobs=True), SCALE, store)
    rows = judge_items(judge, ITEMS[:12], store)
    tokenizer, model = load_tokenizer(llama_judge), load_gpt(llama_judge)
    logits = next_token_logits(model, [tokenizer.encode('":')])[0]
    own = logits.softmax(dim=-1)[[tokenizer.encode(f"{grade}")[0] for grade in range(5)]]
    assert own[3:].tolist() == pytest.approx([GRADES["3"], GRADES["4"]], abs=0.1)
    expected = 25 * (own * torch.arange(5)).sum() / own.sum()
    assert [read_score(row) for row in rows] == pytest.approx(12 * [expected.item()], abs=0.2)
    assert all(row["replies"][0]["probabilities"] == pytest.approx(own.tolist(), abs=0.01) for row in rows)


def test_samples_differ_and_a_seed_draws_the_same_again(llama_server: RealServer, tmp_path: Path):
    replies = []
    for name in ("first", "again"):
        with VerdictStore(tmp_path / f"{name}.sqlite") as store:
            judge = make_server_judge(config(llama_server, temperature=1.0, samples=8), SCALE, store)
            replies.append([row["replies"] for row in judge_items(judge, ITEMS[:1], store, judge.samples)])
    first, again = replies
    assert first == again
    assert len({json.dumps(reply) for reply in first}) > 1
