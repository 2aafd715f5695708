"""`transformers serve` as judge, with a model of ours."""

from scratchlm.judging.capabilities import Capabilities
from scratchlm.judging.judge import judge_items
from scratchlm.judging.reading import read_score
from scratchlm.judging.server_judge import make_server_judge
from scratchlm.judging.verdicts import VerdictStore
from tests.judging.conftest import ITEMS
from tests.judging.servers.conftest import RealServer, config, rubric


def test_a_model_of_ours_judges(transformers_serve: RealServer, store: VerdictStore):
    judge = make_server_judge(config(transformers_serve), rubric("points-100"), store)
    rows = judge_items(judge, ITEMS[:12], store)
    assert [(row["status"], row["replies"], read_score(row)) for row in rows] == 12 * [
        ("ok", [{"content": "SCORE: 70"}], 70)
    ]
    assert {row["model"] for row in rows} == {f"{transformers_serve.model}@main"}
    assert all(row["completion_tokens"] in (9, 10) and row["prompt_tokens"] > 500 for row in rows)


def test_its_probe_finds_that_it_ignores_schemas_tools_and_logprobs(
    transformers_serve: RealServer, store: VerdictStore
):
    before = transformers_serve.asked()
    judge = make_server_judge(config(transformers_serve), rubric("points-100"), store)
    found = judge.capabilities
    # This model has no two replies, whatever the seed.
    assert found == Capabilities(False, False, False, False, found.prompt_tokens, found.completion_tokens)
    probes = transformers_serve.asked() - before
    assert probes == 6
    make_server_judge(config(transformers_serve), rubric("points-100"), store)
    assert transformers_serve.asked() - before == probes
