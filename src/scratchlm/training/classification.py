"""Fine-tuning a GPT into a classifier of messages."""

from collections.abc import Sequence
from functools import partial
from pathlib import Path
from typing import Literal

import numpy as np
import pandas as pd
import torch
from pydantic import Field, ValidationInfo, field_validator

from scratchlm.datasets.tokenizers import Tokenizer
from scratchlm.models.classifier import GPTClassifier, Position, Readout
from scratchlm.models.gpt import GPT
from scratchlm.models.lora import add_lora
from scratchlm.models.trainable import Part, count_frozen_blocks, set_trainable
from scratchlm.params import Seed
from scratchlm.training.batches import Example, ExampleBatches
from scratchlm.training.checkpoint import Progress
from scratchlm.training.device import pick_device
from scratchlm.training.evaluation import evaluate_classes, predict_classes
from scratchlm.training.finetuning import FinetuningConfig, check_length
from scratchlm.training.frozen_trunk import TopClassifier, add_features
from scratchlm.training.loop import LoopConfig, TrainingConfig, train
from scratchlm.training.losses import balanced_class_weights, classification_loss
from scratchlm.training.memory import check_memory


class ClassificationConfig(FinetuningConfig):
    """Of each message the first `max_tokens` are read; `seeds` are those of several trainings on one split.

    `padding` is how many columns a batch has: as many as its longest message, as the longest of the training split (to
    which all messages are then cut), or as the context of the base; `none` batches messages of equal length only.
    """

    weights: Literal["pretrained", "random"]
    train: Part
    position: Position
    padding: Literal["longest", "longest_train", "context", "none"]
    causal: bool
    class_weights: Literal["none", "balanced"]
    seeds: list[Seed] = Field(min_length=1)

    @field_validator("padding")
    @classmethod
    def _say_where_the_last_column_is(cls, padding: str, info: ValidationInfo) -> str:
        if info.data.get("position") == "last_padded" and padding not in {"longest_train", "context"}:
            raise ValueError("must be longest_train or context, where the last column is the same for every message")
        return padding

    @field_validator("seeds")
    @classmethod
    def _differ(cls, seeds: list[int]) -> list[int]:
        if len(set(seeds)) < len(seeds):
            raise ValueError("must not name a seed twice")
        return seeds

    def with_seed(self, seed: int) -> TrainingConfig:
        """What the loop needs for one of the trainings."""
        return TrainingConfig(seed=seed, **{name: getattr(self, name) for name in LoopConfig.model_fields})


class MessageClassifier:
    """A classifier with what turns texts into its input: the classes in order, the tokenizer, the cut."""

    def __init__(
        self,
        trunk: GPT,
        tokenizer: Tokenizer,
        classes: Sequence[str],
        config: ClassificationConfig,
        seed: int,
        train_split: pd.DataFrame,
    ) -> None:
        check_length(config.max_tokens, "finetune_classifier.max_tokens", trunk, config.base)
        self.tokenizer, self.classes, self.config, self.seed = tokenizer, classes, config, seed
        self.train_split = train_split
        self.padded_length = self._padded_length(trunk)
        self.max_tokens = min(config.max_tokens, self.padded_length or config.max_tokens)
        padded_length = self.padded_length if config.position == "last_padded" else None
        readout = Readout(position=config.position, causal=config.causal, padded_length=padded_length)
        if config.weights == "random":
            trunk.init_weights(seed)
        self.model = GPTClassifier(trunk, len(classes), readout)
        self.model.init_head(seed)
        if config.train == "lora":
            add_lora(self.model, config.lora, seed)
        set_trainable(self.model, config.train)
        self.model.to(pick_device())

    def _padded_length(self, trunk: GPT) -> int | None:
        """How many columns every batch has; None if that depends on its messages."""
        if self.config.padding == "context":
            return trunk.config.context_length
        if self.config.padding == "longest_train":
            longest = max([1, *(len(self.tokenizer.encode(text)) for text in self.train_split["text"])])
            return min(longest, self.config.max_tokens)
        return None

    def examples(self, frame: pd.DataFrame) -> list[Example]:
        """The messages of a split, in its order."""
        return message_examples(frame["text"].tolist(), self._targets(frame), self.tokenizer, self.max_tokens)

    def _targets(self, frame: pd.DataFrame) -> list[int]:
        return [self.classes.index(label) for label in frame["label"]]

    def fit(self, val_split: pd.DataFrame, folder: Path) -> tuple[Progress, dict[str, float]]:
        """Train, resuming from `folder`; return what was recorded and the run's speed."""
        config, pad_id = self.config, self.tokenizer.eot_id
        both = [self.examples(split) for split in (self.train_split, val_split)]
        model, (examples, validation) = self.split_off_frozen(*both)
        batches = ExampleBatches(
            examples,
            config.batch_size,
            config.micro_batch_size,
            self.seed,
            pad_id,
            padded_length=self.padded_length,
            mixed_lengths=config.padding != "none",
        )
        loss_fn = partial(classification_loss, class_weights=self._class_weights(self.train_split))

        def evaluate(model: GPTClassifier) -> dict[str, float]:
            return evaluate_classes(model, validation, config.micro_batch_size, pad_id)

        steps = config.epochs * batches.steps_per_epoch
        return train(model, batches, loss_fn, evaluate, config.with_seed(self.seed), steps, folder)

    def split_off_frozen(self, *examples: list[Example]) -> tuple[GPTClassifier, tuple[list[Example], ...]]:
        """What trains, and lists of examples for it: in place of frozen blocks, the examples have features."""
        config, stage = self.config, "finetune_classifier"
        rows, columns = config.micro_batch_size, self.padded_length or self.max_tokens
        if not count_frozen_blocks(self.model.trunk):
            check_memory(stage, self.model, pick_device(), rows, columns, config.precision)
            return self.model, examples
        top = TopClassifier(self.model)
        features = sum(map(top.feature_bytes, examples))
        check_memory(stage, top, pick_device(), rows, columns, config.precision, features=features)
        return top, tuple(add_features(top, part, rows, self.tokenizer.eot_id, config.precision) for part in examples)

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
