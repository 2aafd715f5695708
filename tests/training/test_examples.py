"""Fine-tuning examples hold the prompt of generation, and targets where the loss counts."""

from scratchlm.datasets.instructions import format_prompt
from scratchlm.training.batches import IGNORED
from scratchlm.training.examples import instruction_examples, message_examples
from tests.training.conftest import ByteTokenizer

ENTRY = {"instruction": "Add.", "input": "1 + 1", "output": "2"}
TOKENIZER = ByteTokenizer()


def test_messages_are_cut_and_an_empty_one_is_one_token():
    long, empty = message_examples(["abcdef", ""], [1, 0], TOKENIZER, max_tokens=4)
    assert (list(long.tokens), long.target) == ([97, 98, 99, 100], 1)
    assert (list(empty.tokens), empty.target) == ([256], 0)


def test_the_response_and_the_end_of_text_are_the_targets():
    (example,) = instruction_examples([ENTRY], TOKENIZER, 1_000, "response")
    prompt = format_prompt(ENTRY)
    assert TOKENIZER.decode(example.tokens) == prompt + "2"
    assert list(example.target) == [IGNORED] * (len(prompt) - 1) + [ord("2"), 256]
    assert example.target_count == 2


def test_the_loss_on_all_predicts_every_next_token():
    (example,) = instruction_examples([ENTRY], TOKENIZER, 1_000, "all")
    assert list(example.target) == [*example.tokens[1:], 256]


def test_an_entry_that_does_not_fit_is_left_out():
    length = len(format_prompt(ENTRY)) + 1
    assert len(instruction_examples([ENTRY], TOKENIZER, length, "response")) == 1
    assert instruction_examples([ENTRY], TOKENIZER, length - 1, "response") == []
