"""Instruction tuning teaches answers, and keeps samples of them."""

from pathlib import Path

import pytest
import torch
from torch.nn import functional as F

from scratchlm.datasets.instructions import read_instructions
from scratchlm.datasets.prompts import alpaca, format_prompt
from scratchlm.datasets.sources import INSTRUCTIONS
from scratchlm.datasets.tokenizers import load_tokenizer
from scratchlm.errors import UserError
from scratchlm.models.lora import LoRAConfig
from scratchlm.training.batches import IGNORED, ExampleBatches
from scratchlm.training.evaluation import evaluate_examples
from scratchlm.training.instruction_tuning import (
    InstructionConfig,
    InstructionTuning,
    fit_to_length,
    instruction_example,
)
from scratchlm.training.loop import accumulate_gradients
from scratchlm.training.losses import language_model_loss
from tests.tiny_model import greedy
from tests.training.conftest import ByteTokenizer, byte_model, tiny_config

TOKENIZER = ByteTokenizer()
ENTRIES = [{"instruction": "Say it.", "input": word, "output": "ok"} for word in ("a", "b", "c", "d")]


def config(**changes: object) -> InstructionConfig:
    values = tiny_config(eval_every_steps=10, save_every_steps=10, learning_rate=3e-2).model_dump() | {
        "base": "pretrained",
        "prompt": "alpaca",
        "train": "all",
        "lora": LoRAConfig(r=2, alpha=4.0),
        "dropout": 0.0,
        "epochs": 60,
        "batch_size": 4,
        "max_tokens": 255,
        "too_long": "leave_out",
        "loss_on": "response",
        "sample": greedy(4),
    }
    return InstructionConfig.model_validate(values | changes)


def tune(folder: Path, val_entry: dict[str, str] = ENTRIES[0], **changes: object):
    folder.mkdir(exist_ok=True)
    model = byte_model()
    before = {name: tensor.clone() for name, tensor in model.state_dict().items()}
    splits = {"train": ENTRIES, "val": [val_entry]}
    progress, _ = InstructionTuning(config(**changes), model, alpaca(), TOKENIZER, splits).fit(folder)
    return model, progress, before


def test_it_learns_the_answer_and_the_end(tmp_path: Path):
    _, progress, _ = tune(tmp_path)
    assert progress.rows[-1]["val_loss"] < 0.1 < progress.rows[0]["val_loss"]
    assert progress.samples[-1] == {"step": 60, "prompt": format_prompt(ENTRIES[0]), "text": "ok"}


@pytest.mark.parametrize(
    ("part", "moved"),
    [("last_block", ("h.1.", "ln_f.")), ("last_two_blocks", ("h.", "ln_f.")), ("lora", (".lora_",))],
)
def test_what_is_frozen_keeps_every_bit(tmp_path: Path, part: str, moved: tuple[str, ...]):
    """With weight decay, and with the best of several evaluations restored."""
    model, progress, before = tune(tmp_path, train=part, epochs=6, eval_every_steps=2, weight_decay=0.5, keep="best")
    assert len(progress.rows) == 3
    for name, tensor in model.state_dict().items():
        trains = any(prefix in name for prefix in moved)
        assert trains != (name in before and torch.equal(tensor, before[name])), name


def test_the_weights_of_the_best_evaluation_are_kept(tmp_path: Path):
    """What is learnt of the training entries is wrong for this one: its loss falls at first, then rises."""
    other = ENTRIES[0] | {"output": "ko"}
    best, progress, _ = tune(tmp_path / "best", other, epochs=20, eval_every_steps=2, keep="best")
    last, _, _ = tune(tmp_path / "last", other, epochs=20, eval_every_steps=2, keep="last")
    losses = [row["val_loss"] for row in progress.rows]
    assert 2 < progress.best_step == 2 * (1 + losses.index(min(losses))) < 20
    examples = [instruction_example(other, alpaca(), TOKENIZER, "response")]
    kept, ended = (evaluate_examples(model.eval(), examples, 4, 256)["val_loss"] for model in (best, last))
    assert (kept, ended) == (min(losses), losses[-1])


def test_it_stops_when_so_many_evaluations_brought_no_better_loss(tmp_path: Path):
    other = ENTRIES[0] | {"output": "ko"}
    settings = {"epochs": 20, "eval_every_steps": 2, "keep": "best"}
    model, progress, _ = tune(tmp_path / "early", other, patience_evals=2, **settings)
    assert (progress.stopped_early, progress.step) == (True, progress.best_step + 4)
    whole, to_the_end, _ = tune(tmp_path / "whole", other, **settings)
    assert (to_the_end.stopped_early, to_the_end.step, to_the_end.best_step) == (False, 20, progress.best_step)
    assert all(torch.equal(tensor, model.state_dict()[name]) for name, tensor in whole.state_dict().items())


def test_the_loss_on_all_teaches_the_prompt_too(tmp_path: Path):
    prompt_losses = []
    for loss_on in ("response", "all"):
        model, _, _ = tune(tmp_path / loss_on, loss_on=loss_on)
        tokens = torch.tensor([TOKENIZER.encode(format_prompt(ENTRIES[0]))])
        prompt_losses.append(F.cross_entropy(model(tokens[:, :-1])[0], tokens[0, 1:]).item())
    assert prompt_losses[1] < 0.5 * prompt_losses[0]


def test_the_response_and_the_end_of_text_are_the_targets():
    example = instruction_example(ENTRIES[0], alpaca(), TOKENIZER, "response")
    prompt = format_prompt(ENTRIES[0])
    assert TOKENIZER.decode(example.tokens) == prompt + "ok"
    assert list(example.target) == [IGNORED] * (len(prompt) - 1) + [*b"ok", 256]
    assert example.target_count == 3


def test_the_loss_on_all_predicts_every_next_token():
    example = instruction_example(ENTRIES[0], alpaca(), TOKENIZER, "all")
    assert list(example.target) == [*example.tokens[1:], 256]


def test_the_loss_of_a_step_is_the_mean_over_its_response_tokens():
    """Computed by hand, each entry alone: however the micro-batches cut and pad them."""
    entries = [entry | {"output": "o" * length} for entry, length in zip(ENTRIES, (1, 30, 3, 12), strict=True)]
    settings = config(micro_batch_size=3)
    tuning = InstructionTuning(settings, byte_model(), alpaca(), TOKENIZER, {"train": entries, "val": entries})
    losses, tokens = accumulate_gradients(tuning.model, tuning.batches, language_model_loss, settings, 0)
    ours, responses = tuning.model.wte.weight.grad, (1 + 30 + 3 + 12) + 4  # each with its end of text
    assert tokens > sum(len(example.tokens) for example in tuning.examples["train"])

    alone = byte_model()
    by_hand = torch.tensor(0.0)
    for entry in entries:
        prompt = TOKENIZER.encode(format_prompt(entry))
        text = torch.tensor([*prompt, *TOKENIZER.encode(entry["output"]), TOKENIZER.eot_id])
        log_probabilities = alone(text[None, :-1])[0].log_softmax(dim=-1)
        by_hand -= log_probabilities[torch.arange(len(prompt) - 1, len(text) - 1), text[len(prompt) :]].sum()
    (by_hand / responses).backward()
    assert float(sum(losses)) == pytest.approx(by_hand.item() / responses, rel=1e-6)
    torch.testing.assert_close(ours, alone.wte.weight.grad)


def test_less_than_two_percent_of_what_the_books_entries_cost_is_padding(mirror: Path, gpt2_directory: Path):
    book = mirror / INSTRUCTIONS["book"].urls[0].removeprefix("https://")
    entries = read_instructions(book)[:935]  # as the book splits them
    template, tokenizer = alpaca(), load_tokenizer(gpt2_directory)
    examples = [instruction_example(entry, template, tokenizer, "response") for entry in entries]
    for seed in range(3):
        assert ExampleBatches(examples, 8, 8, seed, tokenizer.eot_id).padding_rate(epochs=2) < 0.016


PROMPT = len(format_prompt(ENTRIES[0]))
LONG = ENTRIES[0] | {"output": "0123456789"}  # of PROMPT + 10 tokens
NO_ROOM = ENTRIES[0] | {"input": "x" * 100}


def fitted(too_long: str, max_tokens: int, entries: list[dict[str, str]], loss_on: str = "response"):
    return fit_to_length(
        "train", entries, alpaca(), TOKENIZER, config(too_long=too_long, max_tokens=max_tokens, loss_on=loss_on)
    )


def test_entries_that_do_not_fit_are_left_out_and_counted():
    splits = {"train": [*ENTRIES, LONG, NO_ROOM], "val": [NO_ROOM, ENTRIES[0]]}
    tuning = InstructionTuning(config(max_tokens=PROMPT + 9), byte_model(), alpaca(), TOKENIZER, splits)
    counts = {"train_too_long": 2, "train_left_out": 2, "val_too_long": 1, "val_left_out": 1}
    assert tuning.counts == counts | {"padding_rate": 0}
    assert [len(tuning.examples[name]) for name in ("train", "val")] == [4, 1]
    assert tuning.sampled == [ENTRIES[0]]


def test_an_entry_of_exactly_max_tokens_stays_whole():
    for too_long in ("leave_out", "truncate", "error"):
        pairs, counts = fitted(too_long, PROMPT + 10, [LONG])
        assert pairs == [(LONG, instruction_example(LONG, alpaca(), TOKENIZER, "response"))]
        assert counts == {"train_too_long": 0, "train_left_out": 0}


@pytest.mark.parametrize("loss_on", ["response", "all"])
def test_truncation_keeps_the_prompt_whole_and_claims_no_end_of_text(loss_on: str):
    pairs, counts = fitted("truncate", PROMPT + 4, [ENTRIES[0], LONG, NO_ROOM], loss_on)
    assert counts == {"train_too_long": 2, "train_left_out": 1}
    assert [entry for entry, _ in pairs] == [ENTRIES[0], LONG]
    whole, cut = (example for _, example in pairs)
    assert TOKENIZER.decode(cut.tokens) == format_prompt(LONG) + "0123"
    assert list(cut.target[-5:]) == [*b"01234"]
    assert whole.target[-1] == TOKENIZER.eot_id
    assert cut.target_count == (5 if loss_on == "response" else PROMPT + 4)


def test_a_prompt_needs_room_for_a_token_of_the_response():
    assert fitted("truncate", PROMPT + 1, [LONG])[1] == {"train_too_long": 1, "train_left_out": 0}
    with pytest.raises(UserError, match="no entry of train fits"):
        fitted("truncate", PROMPT, [LONG])


def test_too_long_entries_are_an_error_that_names_the_longest():
    message = rf"2 of the 6 entries of train have more than {PROMPT + 9} tokens, entry 6 has {PROMPT + 101}; raise "
    with pytest.raises(UserError, match=message):
        fitted("error", PROMPT + 9, [*ENTRIES, LONG, NO_ROOM])


@pytest.mark.parametrize("split", ["train", "val"])
def test_a_split_that_is_all_too_long_is_one_line(split: str):
    splits = {"train": ENTRIES, "val": ENTRIES} | {split: [NO_ROOM]}
    with pytest.raises(UserError, match=f"no entry of {split} fits into 200 tokens"):
        InstructionTuning(config(max_tokens=200), byte_model(), alpaca(), TOKENIZER, splits)


def test_a_truncated_split_trains_and_is_sampled_up_to_the_end_of_the_context(tmp_path: Path):
    entries = [entry | {"output": "0123456789"} for entry in ENTRIES]
    tuning = InstructionTuning(
        config(max_tokens=PROMPT + 1, too_long="truncate", epochs=10),
        byte_model(context_length=PROMPT + 1),
        alpaca(),
        TOKENIZER,
        {"train": entries, "val": entries},
    )
    progress, _ = tuning.fit(tmp_path)
    assert progress.rows[-1]["val_loss"] < progress.rows[0]["train_loss"]
    assert {len(sample["text"]) for sample in progress.samples} <= {0, 1}
