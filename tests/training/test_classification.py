"""A classifier learns what it is shown, moves only what trains, and resumes with the same bits."""

from pathlib import Path

import numpy as np
import pandas as pd
import pytest
import torch

from scratchlm.errors import UserError
from scratchlm.models.lora import LoRAConfig
from scratchlm.training.classification import (
    ClassificationConfig,
    MessageClassifier,
    message_examples,
)
from tests.training.conftest import ByteTokenizer, byte_model, tiny_config

LABELS = ("ham", "spam")
FRAME = pd.DataFrame(
    {"label": ["ham", "spam"] * 8, "text": [f"{word} {n}" for n in range(8) for word in ("see you", "WIN NOW")]}
)


def make_config(**changes: object) -> ClassificationConfig:
    values = tiny_config(keep="best", eval_every_steps=4).model_dump(exclude={"seed"}) | {
        "base": "pretrained",
        "weights": "pretrained",
        "train": "all",
        "position": "last",
        "padding": "longest",
        "causal": True,
        "class_weights": "none",
        "lora": LoRAConfig(r=2, alpha=4.0),
        "seeds": [3],
        "dropout": 0.0,
        "epochs": 3,
        "batch_size": 4,
        "max_tokens": 16,
    }
    return ClassificationConfig.model_validate(values | changes)


def classifier(train: str = "all", frame: pd.DataFrame = FRAME, **changes: object) -> MessageClassifier:
    config = make_config(train=train, **changes)
    return MessageClassifier(byte_model(), ByteTokenizer(), LABELS, config, config.seeds[0], frame)


def fit(made: MessageClassifier, folder: Path):
    return made.fit(FRAME, folder)


def test_it_learns_two_kinds_of_messages(tmp_path: Path):
    made = classifier("all", epochs=10)
    fit(made, tmp_path)
    probabilities = made.predict(FRAME)
    assert [LABELS[index] for index in probabilities.argmax(axis=1)] == list(FRAME["label"])
    assert probabilities.sum(axis=1) == pytest.approx(1)


def test_it_stops_when_so_many_evaluations_brought_no_better_loss(tmp_path: Path):
    """What is learnt is wrong for the other labels: their loss is least at the first evaluation."""
    other = FRAME.assign(label=FRAME["label"].map(dict(zip(LABELS, LABELS[::-1], strict=True))))
    steps = {}
    for patience in (2, None):
        made = classifier("all", epochs=10, patience_evals=patience)
        progress, _ = made.fit(other, tmp_path / str(patience))
        steps[patience] = (progress.best_step, progress.step, progress.stopped_early)
    assert steps == {2: (4, 12, True), None: (4, 40, False)}


def test_class_weights_change_what_is_learnt_only_where_classes_differ_in_size(tmp_path: Path):
    def head(weights: str, frame: pd.DataFrame) -> torch.Tensor:
        made = classifier("head", frame, class_weights=weights)
        fit(made, tmp_path / f"{weights}-{len(frame)}")
        return made.model.score.weight

    rare_spam = pd.concat([FRAME[FRAME["label"] == "ham"], FRAME[1:2]])
    assert torch.equal(head("balanced", FRAME), head("none", FRAME))
    assert not torch.equal(head("balanced", rare_spam), head("none", rare_spam))


def test_no_messages_have_no_predictions():
    assert classifier("all").predict(FRAME[:0]).shape == (0, 2)


@pytest.mark.parametrize(
    ("part", "moved"),
    [("head", ("score.",)), ("last_block", ("score.", "trunk.h.1.", "trunk.ln_f.")), ("lora", ("score.", "lora_"))],
)
def test_what_is_frozen_keeps_every_bit(tmp_path: Path, part: str, moved: tuple[str, ...]):
    made = classifier(part)
    before = {name: tensor.clone() for name, tensor in made.model.state_dict().items()}
    fit(made, tmp_path)
    for name, tensor in made.model.state_dict().items():
        assert torch.equal(tensor, before[name]) != any(prefix in name for prefix in moved), name


@pytest.mark.parametrize("part", ["all", "last_block", "head"])
def test_a_stopped_fine_tuning_ends_with_the_same_bits(tmp_path: Path, monkeypatch: pytest.MonkeyPatch, part: str):
    whole = classifier(part, dropout=0.0)
    fit(whole, tmp_path / "whole")
    stopped = classifier(part)
    calls = 0

    def predict(*arguments: object) -> dict[str, float]:
        nonlocal calls
        calls += 1
        raise KeyboardInterrupt

    with monkeypatch.context() as patch:
        patch.setattr("scratchlm.training.classification.evaluate_classes", predict)
        with pytest.raises(KeyboardInterrupt):
            fit(stopped, tmp_path / "stopped")
    resumed = classifier(part)
    fit(resumed, tmp_path / "stopped")
    assert calls == 1
    for name, tensor in whole.model.state_dict().items():
        assert torch.equal(tensor, resumed.model.state_dict()[name]), name


@pytest.mark.parametrize(
    "changes",
    [
        {"position": "first", "causal": False},
        {"position": "mean"},
        {"position": "mean", "causal": False, "padding": "context"},
        {"position": "last_padded", "padding": "context"},
        {"position": "last_padded", "padding": "longest_train"},
        {"padding": "none"},
        {"weights": "random"},
        {"train": "last_two_blocks"},
        {"train": "lora", "position": "mean", "causal": False},
    ],
    ids=str,
)
def test_every_variant_learns_two_kinds_of_messages(tmp_path: Path, changes: dict[str, object]):
    made = classifier(
        **({"epochs": 10, "learning_rate": 3e-2, "eval_every_steps": 20, "save_every_steps": 40} | changes)
    )
    fit(made, tmp_path)
    assert [LABELS[index] for index in made.predict(FRAME).argmax(axis=1)] == list(FRAME["label"])


def test_padding_changes_no_training_but_by_rounding(tmp_path: Path):
    weights = []
    for padding in ("longest", "longest_train", "context", "none"):
        made = classifier(padding=padding, eval_every_steps=12, save_every_steps=12, keep="last")
        fit(made, tmp_path / padding)
        weights.append(made.model.score.weight)
    for others in weights[1:]:
        torch.testing.assert_close(weights[0], others, rtol=1e-3, atol=1e-6)


def test_a_prediction_from_the_last_padded_column_does_not_depend_on_the_other_messages(tmp_path: Path):
    made = classifier(position="last_padded", padding="longest_train", micro_batch_size=4)
    fit(made, tmp_path)
    alone = [made.predict(FRAME[row : row + 1])[0] for row in range(len(FRAME))]
    assert made.predict(FRAME) == pytest.approx(np.stack(alone), rel=1e-5)


def test_the_longest_training_message_is_where_others_are_cut():
    made = classifier(padding="longest_train", max_tokens=12)
    assert (made.padded_length, made.max_tokens) == (9, 9)
    assert classifier(padding="longest_train", max_tokens=5).max_tokens == 5
    assert len(made.examples(pd.DataFrame({"label": ["ham"], "text": ["ten tokens"]}))[0].tokens) == 9


def test_random_weights_depend_on_the_seed_and_not_on_the_base():
    def first_weights(base_seed: int, seed: int) -> torch.Tensor:
        config = make_config(weights="random")
        made = MessageClassifier(byte_model(base_seed), ByteTokenizer(), LABELS, config, seed, FRAME)
        return made.model.trunk.wte.weight

    assert torch.equal(first_weights(1, 5), first_weights(2, 5))
    assert not torch.equal(first_weights(1, 5), first_weights(1, 6))


@pytest.mark.parametrize(
    ("changes", "message"),
    [
        ({"position": "last_padded"}, "must be longest_train or context"),
        ({"position": "last_padded", "padding": "none"}, "must be longest_train or context"),
        ({"seeds": []}, "at least 1 item"),
        ({"seeds": [0, 1, 0]}, "must not name a seed twice"),
        ({"seeds": [-1]}, "greater than or equal to 0"),
    ],
    ids=str,
)
def test_values_that_mean_nothing_are_refused(changes: dict[str, object], message: str):
    with pytest.raises(ValueError, match=message):
        make_config(**changes)


def test_messages_are_cut_and_an_empty_one_is_one_token():
    long, empty = message_examples(["abcdef", ""], [1, 0], ByteTokenizer(), max_tokens=4)
    assert (list(long.tokens), long.target) == ([97, 98, 99, 100], 1)
    assert (list(empty.tokens), empty.target) == ([256], 0)


def test_more_tokens_than_the_base_can_read_are_refused():
    with pytest.raises(UserError, match=r"max_tokens 1000 exceeds the 256 positions of data/models/pretrained"):
        classifier("all", max_tokens=1000)
