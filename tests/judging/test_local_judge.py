"""A model directory as judge: the grade that it expects after the rubric's prompt."""

from pathlib import Path

import pytest
import torch

from scratchlm.datasets.tokenizers import load_tokenizer
from scratchlm.errors import UserError
from scratchlm.judging.judge import judge_items
from scratchlm.judging.local_judge import LocalJudge
from scratchlm.judging.reading import read_score
from scratchlm.judging.verdicts import VerdictStore
from scratchlm.models.classifier import GPTClassifier
from scratchlm.models.gpt import GPT
from scratchlm.models.storage import save_model
from tests.corpora import write_byte_tokenizer
from tests.judging.conftest import ITEMS, POINTS, SCALE
from tests.tiny_model import save_tiny_model, teach, tiny_gpt

CPU = torch.device("cpu")
TWELVE = ITEMS[:12]


def test_the_local_judge_expects_the_grade_that_the_model_learnt(tmp_path: Path, store: VerdictStore):
    directory = tmp_path / "judge"
    tokenizer = write_byte_tokenizer(tmp_path / "tokenizer")
    save_tiny_model(directory, teach(tiny_gpt(), [*tokenizer.encode(":3"), tokenizer.eot_id]))
    rows = judge_items(LocalJudge(directory, SCALE, CPU), TWELVE, store)
    assert [read_score(row) for row in rows] == pytest.approx([75] * 12, abs=2)
    assert {(row["model"], row["rubric"], row["status"], row["unread_tokens"]) for row in rows} == {
        ("judge", "scale-4-v1", "ok", 0)
    }


def test_the_local_judges_probabilities_are_those_of_the_whole_vocabulary(tmp_path: Path):
    from transformers import AutoModelForCausalLM

    directory = save_tiny_model(tmp_path / "judge")
    judge = LocalJudge(directory, SCALE, CPU)
    prompt = judge.prompt(ITEMS[0])
    verdict = judge.ask(prompt, 0)
    tokenizer = load_tokenizer(directory)
    reference = AutoModelForCausalLM.from_pretrained(directory)
    with torch.no_grad():
        logits = reference(torch.tensor([tokenizer.encode(prompt)])).logits[0, -1]
    expected = logits.double().softmax(dim=-1)[[tokenizer.encode(digit)[0] for digit in "01234"]]
    assert verdict.replies[0]["probabilities"] == pytest.approx(expected.tolist(), rel=1e-4)


def test_a_prompt_beyond_the_context_is_read_at_its_end_and_counted(tmp_path: Path):
    judge = LocalJudge(save_tiny_model(tmp_path / "judge", tiny_gpt(context_length=64)), SCALE, CPU)
    prompt = judge.prompt(ITEMS[0])
    verdict = judge.ask(prompt, 0)
    assert verdict.unread_tokens == verdict.prompt_tokens - 64 == len(prompt) - 64
    assert verdict.replies == judge.ask(prompt[-64:], 0).replies


def test_another_model_gives_new_verdicts(tmp_path: Path, store: VerdictStore):
    one = judge_items(LocalJudge(save_tiny_model(tmp_path / "a" / "judge"), SCALE, CPU), ITEMS[:2], store)
    model = tiny_gpt()
    model.init_weights(seed=1)
    other = judge_items(LocalJudge(save_tiny_model(tmp_path / "b" / "judge", model), SCALE, CPU), ITEMS[:2], store)
    assert one[0]["replies"] != other[0]["replies"]


def test_the_local_judge_is_asked_again_because_its_code_may_have_changed(
    tmp_path: Path, store: VerdictStore, monkeypatch: pytest.MonkeyPatch
):
    judge = LocalJudge(save_tiny_model(tmp_path / "judge"), SCALE, CPU)
    before = judge_items(judge, ITEMS[:2], store)
    monkeypatch.setattr(GPT, "logits", lambda self, hidden: -hidden @ self.wte.weight.T)
    assert judge_items(judge, ITEMS[:2], store)[0]["replies"] != before[0]["replies"]


def test_a_classifier_is_no_judge(tmp_path: Path):
    write_byte_tokenizer(tmp_path / "tokenizer")
    classifier = GPTClassifier(tiny_gpt(), 2)
    save_model(classifier, tmp_path / "judge", tokenizer=tmp_path / "tokenizer", card="", class_names=["ham", "spam"])
    with pytest.raises(UserError, match="judge holds a classifier"):
        LocalJudge(tmp_path / "judge", SCALE, CPU)


def test_grades_of_more_than_one_digit_are_one_line_that_names_the_rubric(tmp_path: Path):
    with pytest.raises(UserError, match=r"points-100-v1 goes to 100; set judge_responses\.rubric"):
        LocalJudge(save_tiny_model(tmp_path / "judge"), POINTS, CPU)
