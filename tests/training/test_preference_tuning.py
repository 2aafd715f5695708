"""DPO: its loss by hand and as TRL has it, a reference computed once, a model that prefers."""

import math
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from datasets import Dataset
from transformers import GPT2LMHeadModel, PreTrainedTokenizerFast

from scratchlm.datasets.prompts import alpaca, encode_prompt
from scratchlm.errors import UserError
from scratchlm.models.lora import LoRAConfig
from scratchlm.training.batches import IGNORED, Batch
from scratchlm.training.loop import accumulate_gradients
from scratchlm.training.losses import language_model_loss, preference_loss, response_log_probabilities
from scratchlm.training.preference_batches import collate_pairs
from scratchlm.training.preference_tuning import PreferenceConfig, PreferenceTuning
from tests.tiny_model import greedy, save_tiny_model, tiny_gpt
from tests.training.conftest import ByteTokenizer, byte_model, tiny_config

TOKENIZER, BETA = ByteTokenizer(), 0.3
ENTRIES = [
    {"instruction": "Say it.", "input": word, "chosen": "ok", "rejected": "no way" + 2 * n * "!"}
    for n, word in enumerate("abcdef")
]
SPLITS = {"train": ENTRIES, "val": ENTRIES[:3], "test": ENTRIES[3:]}


def config(**changes: object) -> PreferenceConfig:
    values = tiny_config(eval_every_steps=4, save_every_steps=4, learning_rate=1e-2).model_dump() | {
        "base": "instruct",
        "names": ["dpo"],
        "train": "all",
        "lora": LoRAConfig(r=2, alpha=4.0),
        "beta": BETA,
        "dropout": 0.0,
        "epochs": 4,
        "batch_size": 4,
        "max_tokens": 255,
        "too_long": "leave_out",
        "sample": greedy(4),
    }
    return PreferenceConfig.model_validate(values | changes)


def make_tuning(splits: dict[str, list[dict[str, str]]] = SPLITS, **changes: object) -> PreferenceTuning:
    return PreferenceTuning(config(**changes), byte_model(), alpaca(), TOKENIZER, splits)


def log_probability(model: Any, prompt: list[int], response: list[int]) -> torch.Tensor:
    """Of a response and its end, from the whole logits, alone and unpadded."""
    text = torch.tensor([*prompt, *response, TOKENIZER.eot_id])
    logits = model(text[None, :-1])
    rows = (logits if isinstance(logits, torch.Tensor) else logits.logits)[0].log_softmax(dim=-1)
    return rows[torch.arange(len(prompt) - 1, len(text) - 1), text[len(prompt) :]].sum()


def test_the_loss_of_two_pairs_is_that_computed_by_hand():
    """The model gives every token of a vocabulary of four the same probability, so that all is a sum of logarithms."""

    class Uniform(torch.nn.Module):
        def hidden(self, tokens: torch.Tensor) -> torch.Tensor:
            return torch.zeros(*tokens.shape, 1)

        def logits(self, hidden: torch.Tensor) -> torch.Tensor:
            return torch.zeros(len(hidden), 4, requires_grad=True) * 1

    # Chosen: 2 and 1 tokens, so log(1/4) * 2 and * 1; rejected: 1 and 3. The reference says -1, -2 and -3, -4.
    targets = torch.full((4, 3), IGNORED)
    for row, count in enumerate((2, 1, 1, 3)):
        targets[row, 3 - count :] = row
    batch = Batch(
        torch.zeros(4, 3, dtype=torch.long), targets, torch.full((4,), 3), None, torch.tensor([-1.0, -2, -3, -4])
    )
    quarter = math.log(1 / 4)
    margins = [0.5 * ((2 * quarter + 1) - (quarter + 3)), 0.5 * ((quarter + 2) - (3 * quarter + 4))]
    expected = sum(math.log(1 + math.exp(-margin)) for margin in margins)
    assert preference_loss(Uniform(), batch, beta=0.5).item() == pytest.approx(expected, rel=1e-6)  # pyright: ignore


def test_loss_and_gradient_of_a_step_are_those_of_each_pair_alone(tmp_path: Path):
    tuning = make_tuning(batch_size=6, micro_batch_size=4)
    tuning.add_references(tmp_path)
    with torch.no_grad():
        tuning.model.wte.weight.mul_(1.1)  # no longer the reference
    losses, _ = accumulate_gradients(
        tuning.model, tuning._batches(), lambda model, batch: preference_loss(model, batch, BETA), tuning.config, 0
    )
    model, reference = byte_model(), byte_model()
    with torch.no_grad():
        model.wte.weight.mul_(1.1)
    by_hand = torch.tensor(0.0)
    for entry in ENTRIES:
        prompt = encode_prompt(entry, alpaca(), TOKENIZER)
        ratios = [
            log_probability(model, prompt, TOKENIZER.encode(entry[name]))
            - log_probability(reference, prompt, TOKENIZER.encode(entry[name])).detach()
            for name in ("chosen", "rejected")
        ]
        by_hand -= torch.nn.functional.logsigmoid(BETA * (ratios[0] - ratios[1])) / len(ENTRIES)
    by_hand.backward()
    assert float(sum(losses)) == pytest.approx(by_hand.item(), rel=1e-5)
    torch.testing.assert_close(tuning.model.wte.weight.grad, model.wte.weight.grad, rtol=1e-3, atol=1e-6)


@pytest.mark.filterwarnings("ignore::FutureWarning", "ignore::DeprecationWarning", "ignore::UserWarning")
def test_loss_rewards_and_gradient_are_trls(tmp_path: Path):
    from trl import DPOConfig, DPOTrainer

    base = save_tiny_model(tmp_path / "base", tiny_gpt(context_length=256))
    policy = tiny_gpt(context_length=256)
    generator = torch.Generator().manual_seed(1)
    with torch.no_grad():
        for parameter in policy.parameters():
            parameter.add_(0.05 * torch.randn(parameter.shape, generator=generator))
    tuned = save_tiny_model(tmp_path / "tuned", policy)
    tokenizer = PreTrainedTokenizerFast.from_pretrained(base)
    settings = DPOConfig(
        output_dir=str(tmp_path / "trl"), beta=BETA, report_to=[], use_cpu=True, disable_tqdm=True, bf16=False
    )
    rows = [{"prompt": "x", "chosen": "y", "rejected": "z"}]
    trainer = DPOTrainer(
        model=GPT2LMHeadModel.from_pretrained(tuned),
        ref_model=GPT2LMHeadModel.from_pretrained(base),
        args=settings,
        train_dataset=Dataset.from_list(rows),
        processing_class=tokenizer,
    )
    items = []
    for entry in ENTRIES:
        answers = {f"{name}_ids": [*TOKENIZER.encode(entry[name]), TOKENIZER.eot_id] for name in ("chosen", "rejected")}
        items.append({"prompt_ids": encode_prompt(entry, alpaca(), TOKENIZER), **answers})
    theirs = trainer.compute_loss(trainer.model, trainer.data_collator(items))
    theirs.backward()

    tuning = PreferenceTuning(config(), tiny_gpt(context_length=256), alpaca(), TOKENIZER, SPLITS)
    tuning.add_references(tmp_path)
    tuning.model.load_state_dict(policy.state_dict())
    pairs = tuning.pairs["train"]
    ours = preference_loss(tuning.model, collate_pairs(pairs, TOKENIZER.eot_id), BETA) / len(pairs)
    ours.backward()
    assert ours.item() == pytest.approx(theirs.item(), rel=1e-5)
    reference_gradient = trainer.model.transformer.wte.weight.grad
    torch.testing.assert_close(tuning.model.wte.weight.grad, reference_gradient, rtol=1e-3, atol=1e-6)

    measured, logged = tuning.evaluate("train"), trainer._metrics["eval"]
    names = {"chosen_reward": "chosen", "rejected_reward": "rejected", "reward_margin": "margins"}
    for name, key in (names | {"reward_accuracy": "accuracies"}).items():
        assert measured[name] == pytest.approx(logged[f"rewards/{key}"][-1], rel=1e-4, abs=1e-5), name
    assert measured["loss"] == pytest.approx(theirs.item(), rel=1e-5)


def test_log_probabilities_are_those_of_the_responses_alone_and_sum_to_the_loss():
    model, tuning = byte_model(), make_tuning()
    batch = collate_pairs(tuning.pairs["train"], TOKENIZER.eot_id)
    ours = response_log_probabilities(model, batch)
    for row, (name, entry) in enumerate((name, entry) for name in ("chosen", "rejected") for entry in ENTRIES):
        prompt = encode_prompt(entry, alpaca(), TOKENIZER)
        torch.testing.assert_close(ours[row], log_probability(model, prompt, TOKENIZER.encode(entry[name])))
    torch.testing.assert_close(-ours.sum(), language_model_loss(model, batch))


@pytest.mark.parametrize("part", ["all", "lora", "last_block"])
def test_it_learns_to_prefer_and_the_reference_stands_still(tmp_path: Path, part: str):
    tuning = make_tuning(train=part, epochs=10)
    progress, _ = tuning.fit(tmp_path)
    assert progress.rows[-1]["val_loss"] < 0.5 < math.log(2)
    after = tuning.compare_with_reference("test")
    assert (after["reward_accuracy"], after["pairs"]) == (1, 3)
    assert after["reward_margin_low"] <= after["reward_margin"] <= after["reward_margin_high"]
    assert after["reward_margin"] == pytest.approx(after["chosen_reward"] - after["rejected_reward"])
    reference = make_tuning()
    (tmp_path / "again").mkdir()
    reference.add_references(tmp_path / "again")
    np.testing.assert_array_equal(
        [pair.reference for pair in tuning.pairs["test"]], [pair.reference for pair in reference.pairs["test"]]
    )


def test_before_the_training_every_reward_is_0(tmp_path: Path):
    tuning = make_tuning(train="lora")
    tuning.add_references(tmp_path)
    zero = dict.fromkeys(("reward_accuracy", "reward_margin", "chosen_reward", "rejected_reward"), 0.0)
    assert tuning.evaluate("val") == zero | {"loss": pytest.approx(math.log(2))}
    assert tuning.compare_with_reference("test").items() >= {("chosen_likelier", 1), ("base_chosen_likelier", 1)}


def test_a_resumed_training_reads_the_reference_that_was_kept_and_ends_with_the_same_bits(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
):
    whole, resumed = make_tuning(), make_tuning()
    (tmp_path / "whole").mkdir()
    whole.fit(tmp_path / "whole")
    (tmp_path / "killed").mkdir()
    make_tuning().add_references(tmp_path / "killed")
    compute, asked = resumed.log_probabilities, []
    monkeypatch.setattr(resumed, "log_probabilities", lambda split, *rest: asked.append(split) or compute(split, *rest))
    resumed.fit(tmp_path / "killed")
    assert set(asked) == {"val"}, "evaluations, and no reference a second time"
    again = resumed.model.state_dict()
    assert all(torch.equal(tensor, again[name]) for name, tensor in whole.model.state_dict().items())


def test_pairs_that_do_not_fit_are_left_out_and_counted():
    longest = len(encode_prompt(ENTRIES[0], alpaca(), TOKENIZER)) + len(ENTRIES[3]["rejected"])
    tuning = make_tuning(max_tokens=longest)
    assert {"train_left_out": 2, "val_left_out": 0, "test_left_out": 2}.items() <= tuning.counts.items()
    assert [len(part) for part in tuning.pairs.values()] == [4, 3, 1]


def test_pairs_that_do_not_fit_are_one_line_where_they_are_an_error_or_none_is_left():
    shortest = len(encode_prompt(ENTRIES[0], alpaca(), TOKENIZER)) + len(ENTRIES[0]["rejected"])
    with pytest.raises(UserError, match=f"5 of the 6 pairs of train have more than {shortest} tokens, one has "):
        make_tuning(max_tokens=shortest, too_long="error")
    with pytest.raises(UserError, match="6 of the 6 pairs of train have more than 20 tokens"):
        make_tuning(max_tokens=20)
