"""A classifier learns what it is shown, moves only what trains, and resumes with the same bits."""

from pathlib import Path

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


def classifier(part: str, **changes: object) -> MessageClassifier:
    values = tiny_config(keep="best", eval_every_steps=4).model_dump() | {
        "base": "pretrained",
        "train": part,
        "class_weights": "none",
        "lora": LoRAConfig(r=2, alpha=4.0),
        "dropout": 0.0,
        "epochs": 3,
        "batch_size": 4,
        "max_tokens": 16,
    }
    config = ClassificationConfig.model_validate(values | changes)
    return MessageClassifier(byte_model(), ByteTokenizer(), LABELS, config)


def fit(made: MessageClassifier, folder: Path):
    folder.mkdir(exist_ok=True)
    return made.fit(FRAME, FRAME, folder)


def test_it_learns_two_kinds_of_messages(tmp_path: Path):
    made = classifier("all", epochs=10)
    fit(made, tmp_path)
    probabilities = made.predict(FRAME)
    assert [LABELS[index] for index in probabilities.argmax(axis=1)] == list(FRAME["label"])
    assert probabilities.sum(axis=1) == pytest.approx(1)


def test_class_weights_change_what_is_learnt_only_where_classes_differ_in_size(tmp_path: Path):
    def head(weights: str, frame: pd.DataFrame) -> torch.Tensor:
        made = classifier("head", class_weights=weights)
        folder = tmp_path / f"{weights}-{len(frame)}"
        folder.mkdir()
        made.fit(frame, FRAME, folder)
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


def test_a_stopped_fine_tuning_ends_with_the_same_bits(tmp_path: Path, monkeypatch: pytest.MonkeyPatch):
    whole = classifier("all", dropout=0.0)
    fit(whole, tmp_path / "whole")
    stopped = classifier("all")
    calls = 0

    def predict(*arguments: object) -> dict[str, float]:
        nonlocal calls
        calls += 1
        raise KeyboardInterrupt

    with monkeypatch.context() as patch:
        patch.setattr("scratchlm.training.classification.evaluate_classes", predict)
        with pytest.raises(KeyboardInterrupt):
            fit(stopped, tmp_path / "stopped")
    resumed = classifier("all")
    fit(resumed, tmp_path / "stopped")
    assert calls == 1
    for name, tensor in whole.model.state_dict().items():
        assert torch.equal(tensor, resumed.model.state_dict()[name]), name


def test_messages_are_cut_and_an_empty_one_is_one_token():
    long, empty = message_examples(["abcdef", ""], [1, 0], ByteTokenizer(), max_tokens=4)
    assert (list(long.tokens), long.target) == ([97, 98, 99, 100], 1)
    assert (list(empty.tokens), empty.target) == ([256], 0)


def test_more_tokens_than_the_base_can_read_are_refused():
    with pytest.raises(UserError, match=r"max_tokens 1000 exceeds the 256 positions of data/models/pretrained"):
        classifier("all", max_tokens=1000)
