"""Fine-tuning a GPT into a classifier of messages."""

from collections.abc import Sequence
from functools import partial
from pathlib import Path
from typing import Literal

import numpy as np
import pandas as pd
import torch

from scratchlm.datasets.tokenizers import Tokenizer
from scratchlm.models.classifier import GPTClassifier
from scratchlm.models.gpt import GPT
from scratchlm.models.lora import add_lora
from scratchlm.models.trainable import set_trainable
from scratchlm.training.batches import Example, ExampleBatches
from scratchlm.training.checkpoint import Progress
from scratchlm.training.device import pick_device
from scratchlm.training.evaluation import evaluate_classes, predict_classes
from scratchlm.training.finetuning import FinetuningConfig, check_length
from scratchlm.training.loop import train
from scratchlm.training.losses import balanced_class_weights, classification_loss


class ClassificationConfig(FinetuningConfig):
    """Of each message the first `max_tokens` are read."""

    train: Literal["all", "last_block", "head", "lora"]
    class_weights: Literal["none", "balanced"]


class MessageClassifier:
    """A classifier with what turns texts into its input: the classes in order, the tokenizer, the cut."""

    def __init__(self, trunk: GPT, tokenizer: Tokenizer, classes: Sequence[str], config: ClassificationConfig) -> None:
        check_length(config, trunk, "finetune_classifier")
        self.tokenizer, self.classes, self.config = tokenizer, classes, config
        self.model = GPTClassifier(trunk, len(classes))
        self.model.init_head(config.seed)
        if config.train == "lora":
            add_lora(self.model, config.lora, config.seed)
        set_trainable(self.model, config.train)
        self.model.to(pick_device())

    def examples(self, frame: pd.DataFrame) -> list[Example]:
        """The messages of a split, in its order."""
        return message_examples(frame["text"].tolist(), self._targets(frame), self.tokenizer, self.config.max_tokens)

    def _targets(self, frame: pd.DataFrame) -> list[int]:
        return [self.classes.index(label) for label in frame["label"]]

    def fit(
        self, train_split: pd.DataFrame, val_split: pd.DataFrame, folder: Path
    ) -> tuple[Progress, dict[str, float]]:
        """Train, resuming from `folder`; return what was recorded and the run's speed."""
        config, pad_id = self.config, self.tokenizer.eot_id
        batches = ExampleBatches(
            self.examples(train_split), config.batch_size, config.micro_batch_size, config.seed, pad_id
        )
        loss_fn = partial(classification_loss, class_weights=self._class_weights(train_split))
        validation = self.examples(val_split)

        def evaluate(model: GPTClassifier) -> dict[str, float]:
            return evaluate_classes(model, validation, config.micro_batch_size, pad_id)

        steps = config.epochs * batches.steps_per_epoch
        return train(self.model, batches, loss_fn, evaluate, config, steps, folder)

    def _class_weights(self, frame: pd.DataFrame) -> torch.Tensor | None:
        if self.config.class_weights == "none":
            return None
        return balanced_class_weights(self._targets(frame), len(self.classes)).to(pick_device())

    def predict(self, frame: pd.DataFrame) -> np.ndarray:
        """The probability of each class (N, K) of the messages of a split, in its order."""
        return predict_classes(self.model, self.examples(frame), self.config.micro_batch_size, self.tokenizer.eot_id)


def message_examples(
    texts: Sequence[str], classes: Sequence[int], tokenizer: Tokenizer, max_tokens: int
) -> list[Example]:
    """One example a message, cut to its first `max_tokens` tokens; an empty message is one end-of-text token."""
    return [
        Example((tokenizer.encode(text) or [tokenizer.eot_id])[:max_tokens], target)
        for text, target in zip(texts, classes, strict=True)
    ]
