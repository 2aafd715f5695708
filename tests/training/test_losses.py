"""Losses equal torch's cross-entropy over all positions."""

import numpy as np
import torch
from sklearn.utils.class_weight import compute_class_weight
from torch.nn import functional as F

from scratchlm.models.classifier import GPTClassifier
from scratchlm.training.batches import IGNORED, Batch
from scratchlm.training.losses import balanced_class_weights, classification_loss, language_model_loss, next_token_loss
from tests.training.conftest import tiny_model


def test_logits_only_where_there_is_a_target_give_the_same_loss_and_gradients():
    model = tiny_model(dropout=0.0)
    tokens = torch.randint(17, (3, 8), generator=torch.Generator().manual_seed(0))
    targets = tokens.roll(-1, 1)
    targets[:, ::2] = IGNORED
    loss = language_model_loss(model, Batch(tokens, targets, torch.full((3,), 8)))
    loss.backward()
    ours = model.wte.weight.grad
    model.zero_grad()
    plain = F.cross_entropy(model(tokens).flatten(0, 1), targets.flatten(), ignore_index=IGNORED, reduction="sum")
    plain.backward()
    torch.testing.assert_close(loss, plain)
    torch.testing.assert_close(ours, model.wte.weight.grad)


def test_the_loss_of_a_batch_with_a_target_everywhere_is_that_of_all_its_positions():
    tokens = torch.randint(17, (3, 9), generator=torch.Generator().manual_seed(0))
    batch = Batch(tokens[:, :-1], tokens[:, 1:], torch.full((3,), 8))
    losses, gradients = [], []
    for loss_fn in (next_token_loss, language_model_loss):
        model = tiny_model(dropout=0.0)
        losses.append(loss_fn(model, batch))
        losses[-1].backward()
        gradients.append(model.wte.weight.grad)
    torch.testing.assert_close(*losses)
    torch.testing.assert_close(*gradients)


def test_the_class_loss_reads_the_last_real_token():
    model = GPTClassifier(tiny_model(dropout=0.0), 2)
    model.init_head(0)
    tokens, lengths, classes = torch.tensor([[1, 2, 3], [4, 0, 0]]), torch.tensor([3, 1]), torch.tensor([1, 0])
    logits = model.score(torch.stack([model.trunk.hidden(tokens)[0, 2], model.trunk.hidden(tokens)[1, 0]]))
    expected = F.cross_entropy(logits, classes, reduction="sum")
    torch.testing.assert_close(classification_loss(model, Batch(tokens, classes, lengths)), expected)


def test_balanced_weights_give_every_class_the_same_total_as_scikit_learn_does():
    targets = [0] * 30 + [1] * 10 + [2] * 5
    expected = compute_class_weight("balanced", classes=np.arange(3), y=targets)
    np.testing.assert_allclose(balanced_class_weights(targets, 3), expected, rtol=1e-6)
    assert balanced_class_weights([0, 1, 0, 1], 2).tolist() == [1.0, 1.0]


def test_a_class_weight_multiplies_the_losses_of_its_class():
    model = GPTClassifier(tiny_model(dropout=0.0), 2)
    model.init_head(0)
    tokens, lengths, classes = torch.tensor([[1, 2, 3], [4, 5, 6]]), torch.tensor([3, 3]), torch.tensor([1, 0])
    losses = F.cross_entropy(model(tokens, lengths), classes, reduction="none")
    weighted = classification_loss(model, Batch(tokens, classes, lengths), torch.tensor([0.5, 3.0]))
    torch.testing.assert_close(weighted, 3.0 * losses[0] + 0.5 * losses[1])
