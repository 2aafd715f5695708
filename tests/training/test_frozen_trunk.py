"""With features of what is frozen a training is the one without, and none of the frozen blocks runs in a step."""

from itertools import product
from pathlib import Path

import pytest
import torch

from scratchlm.models.classifier import GPTClassifier
from scratchlm.training import classification
from scratchlm.training.batches import Batch
from scratchlm.training.classification import MessageClassifier
from scratchlm.training.frozen_trunk import TopClassifier, add_features
from scratchlm.training.losses import classification_loss
from tests.training.conftest import ByteTokenizer, byte_model
from tests.training.test_classification import FRAME, LABELS, classifier, make_config

PADDINGS = {"last": "longest", "first": "none", "mean": "context", "last_padded": "longest_train"}


def plain_forward(self: GPTClassifier, tokens: torch.Tensor, lengths: torch.Tensor) -> torch.Tensor:
    """Every block at every column, and then the readout."""
    columns = torch.arange(tokens.shape[1])
    real = columns < lengths[:, None]
    hidden = self.trunk.hidden(tokens, mask=None if self.readout.causal else real[:, None, None])
    position = self.readout.position
    if position == "mean":
        read = torch.stack([row[mask].mean(dim=0) for row, mask in zip(hidden, real, strict=True)])
    else:
        column = {"last": lengths - 1, "first": 0 * lengths, "last_padded": 0 * lengths + tokens.shape[1] - 1}[position]
        read = hidden[torch.arange(len(hidden)), column]
    return self.score(read)


def train_and_record(
    folder: Path, monkeypatch: pytest.MonkeyPatch, plain: bool, **changes: object
) -> tuple[list[float], list[type], MessageClassifier]:
    """The losses of all micro-batches, training and validation, what the loop trained, and the classifier."""
    losses, trained = [], []

    def recorded_loss(model: GPTClassifier, batch: Batch, class_weights: torch.Tensor | None) -> torch.Tensor:
        loss = classification_loss(model, batch, class_weights)
        losses.append(loss.item())
        trained.append(type(model))
        return loss

    with monkeypatch.context() as patch:
        patch.setattr(classification, "classification_loss", recorded_loss)
        if plain:
            patch.setattr(classification, "count_frozen_blocks", lambda trunk: 0)
            patch.setattr(GPTClassifier, "forward", plain_forward)
        config = make_config(micro_batch_size=2, epochs=1, eval_every_steps=2, **changes)
        made = MessageClassifier(byte_model(n_layer=3), ByteTokenizer(), LABELS, config, 3, FRAME)
        progress, _ = made.fit(FRAME, folder)
        losses += [row["val_loss"] for row in progress.rows] + made.predict(FRAME)[:, 0].tolist()
    return losses, trained, made


@pytest.mark.parametrize(
    ("part", "position", "causal"),
    list(product(["head", "last_block", "last_two_blocks", "lora", "all"], PADDINGS, [True, False])),
)
def test_a_training_has_the_losses_of_the_plain_computation(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, part: str, position: str, causal: bool
):
    changes = {"train": part, "position": position, "causal": causal, "padding": PADDINGS[position]}
    losses, trained, _ = train_and_record(tmp_path / "ours", monkeypatch, plain=False, **changes)
    plain, _, _ = train_and_record(tmp_path / "plain", monkeypatch, plain=True, **changes)
    assert {GPTClassifier if part in {"lora", "all"} else TopClassifier} == set(trained)
    assert len(losses) >= 8 + 2 + len(FRAME)
    assert losses == pytest.approx(plain, rel=2e-5)


def test_bfloat16_costs_what_its_rounding_costs(tmp_path: Path, monkeypatch: pytest.MonkeyPatch):
    losses, features = {}, {}
    for precision in ("float32", "bfloat16"):
        changes = {"train": "last_block", "precision": precision}
        losses[precision], _, made = train_and_record(tmp_path / precision, monkeypatch, plain=False, **changes)
        top = TopClassifier(made.model)
        features[precision] = add_features(top, made.examples(FRAME), 4, 256, precision)[0].features
    assert losses["bfloat16"] != losses["float32"]
    assert losses["bfloat16"] == pytest.approx(losses["float32"], rel=0.02)
    assert features["bfloat16"].dtype == torch.float32
    assert not torch.equal(features["bfloat16"], features["float32"])


@pytest.mark.parametrize(("part", "times"), [("head", 1), ("last_block", 3)])
def test_frozen_blocks_run_once_a_message_and_the_last_at_one_column(tmp_path: Path, part: str, times: int):
    made = classifier(part, epochs=3)
    columns = {0: 0, 1: 0}
    for index in columns:

        def count(_module: torch.nn.Module, inputs: tuple[torch.Tensor, ...], index: int = index) -> None:
            columns[index] += inputs[0][..., 0].numel()

        made.model.trunk.h[index].get_submodule("mlp").register_forward_pre_hook(count)
    made.fit(FRAME, tmp_path)
    once = 2 * sum(len(example.tokens) for example in made.examples(FRAME))  # for training and for validation
    assert once <= columns[0] < 1.2 * once  # with padding
    assert columns[1] == times * 2 * len(FRAME)


@pytest.mark.parametrize("causal", [True, False])
@pytest.mark.parametrize("position", PADDINGS)
def test_the_features_of_a_message_do_not_depend_on_its_neighbours(position: str, causal: bool):
    made = classifier("last_block", position=position, causal=causal, padding=PADDINGS[position])
    top, examples = TopClassifier(made.model.double()), made.examples(FRAME)
    together = add_features(top, examples, len(examples), 256, "float32")
    for index, example in enumerate(examples):
        (alone,) = add_features(top, [example], 1, 256, "float32")
        assert alone.features is not None
        torch.testing.assert_close(together[index].features, alone.features, rtol=1e-6, atol=1e-6)
        assert alone.features.shape == (made.model.readout.padded_length or len(example.tokens), 16)
        assert alone.features.numel() * 4 == top.feature_bytes([example])


def test_converted_matrices_give_the_bits_of_autocast():
    made = classifier("last_block")
    top, examples = TopClassifier(made.model), made.examples(FRAME)[:1]
    (example,) = add_features(top, examples, 1, 256, "bfloat16")
    with torch.autocast("cpu", torch.bfloat16), torch.no_grad():
        expected = top.trunk.h[0](top.trunk.embed(torch.tensor([examples[0].tokens])))[0]
    assert torch.equal(example.features, expected)
    assert top.trunk.h[0].get_submodule("mlp.c_fc").weight.dtype == torch.float32
