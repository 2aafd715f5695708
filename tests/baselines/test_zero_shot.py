"""The untuned model asked in words, against the plain computation."""

from pathlib import Path

import pytest
import torch
from torch.nn import functional as F

from scratchlm.baselines.zero_shot import ANSWER, ask, continuation_log_probs, predict_zero_shot
from scratchlm.errors import UserError
from scratchlm.models.gpt import GPT
from tests.corpora import write_byte_tokenizer
from tests.tiny_model import teach, tiny_gpt

LABELS = ["ham", "spam"]
QUESTION, _ = ask(LABELS)


@pytest.fixture
def tokenizer(tmp_path: Path):
    return write_byte_tokenizer(tmp_path / "tokenizer")


def plain_log_prob(model: GPT, prompt: list[int], continuation: list[int]) -> float:
    """The log-probability of a continuation, one token and one pass at a time."""
    total, tokens = 0.0, list(prompt)
    for token in continuation:
        logits = model(torch.tensor([tokens]))[0, -1].double()
        total += F.log_softmax(logits, dim=-1)[token].item()
        tokens.append(token)
    return total


@torch.no_grad()
def test_log_probabilities_are_those_of_one_token_at_a_time():
    model, prompt = tiny_gpt(context_length=32), [1, 2, 3, 4]
    continuations = [[5], [6], [5, 7], [5, 8], [9, 10, 11]]
    expected = [plain_log_prob(model, prompt, continuation) for continuation in continuations]
    assert continuation_log_probs(model, prompt, continuations) == pytest.approx(expected, abs=1e-5)


@torch.no_grad()
def test_the_probability_compares_yes_with_no(tokenizer):
    model, text = tiny_gpt(), "Free prize!"
    prompt = tokenizer.encode(f"{QUESTION}{text}{ANSWER}")
    no, yes = (plain_log_prob(model, prompt, tokenizer.encode(answer)) for answer in (" no", " yes"))
    expected = torch.tensor(yes - no).sigmoid().item()
    assert predict_zero_shot(model, tokenizer, [text], LABELS)[0] == pytest.approx([1 - expected, expected], abs=1e-5)


@torch.no_grad()
def test_of_more_classes_the_names_are_the_answers(tokenizer):
    classes, model, text = ["good", "good enough", "bad"], tiny_gpt(), "Fine."
    question = "Which of 'good', 'good enough', 'bad' is the following text? Answer with one of them: '"
    prompt = tokenizer.encode(f"{question}{text}{ANSWER}")
    answers = [plain_log_prob(model, prompt, tokenizer.encode(f" {label}\n")) for label in classes]
    expected = torch.tensor(answers).softmax(dim=0).tolist()
    assert predict_zero_shot(model, tokenizer, [text], classes)[0] == pytest.approx(expected, abs=1e-5)


@pytest.mark.parametrize(("answer", "low", "high"), [(" yes", 0.9, 1.0), (" no", 0.0, 0.1)])
def test_a_model_that_answers_is_heard(tokenizer, answer: str, low: float, high: float):
    model = teach(tiny_gpt(), tokenizer.encode(f":{answer}"))
    probabilities = predict_zero_shot(model, tokenizer, ["a", "bc"], LABELS)[:, 1]
    assert all(low <= probability <= high for probability in probabilities)


def test_a_long_message_is_read_at_its_beginning_and_a_short_context_is_an_error(tokenizer):
    fixed = len(f"{QUESTION}{ANSWER} yes")
    model = tiny_gpt(context_length=fixed + 5)
    long, cut = predict_zero_shot(model, tokenizer, ["Winner of it all", "Winne"], LABELS)
    assert long.tolist() == cut.tolist()
    with pytest.raises(UserError, match=f"needs {fixed} tokens and a message, .* context_length is {fixed}"):
        predict_zero_shot(tiny_gpt(context_length=fixed), tokenizer, ["x"], LABELS)
