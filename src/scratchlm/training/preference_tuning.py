"""Preference tuning of a model that answers: DPO (Rafailov et al. 2023); its reference is where it starts."""

from collections.abc import Mapping, Sequence
from dataclasses import replace
from functools import partial
from pathlib import Path
from typing import Any, Literal

import numpy as np
import torch
from pydantic import Field, ValidationInfo, field_validator
from tqdm import tqdm

from scratchlm.artifacts import read_json, write_json
from scratchlm.datasets.chat_templates import ChatTemplate
from scratchlm.datasets.prompts import encode_prompt, format_prompt
from scratchlm.datasets.tokenizers import Tokenizer
from scratchlm.errors import UserError
from scratchlm.models.gpt import GPT
from scratchlm.models.lora import add_lora
from scratchlm.models.sampling import SamplingConfig
from scratchlm.models.trainable import GPTPart, set_trainable
from scratchlm.statistics import bootstrap_interval, wilson_interval
from scratchlm.training.checkpoint import Progress
from scratchlm.training.device import pick_device
from scratchlm.training.evaluation import sorted_batches
from scratchlm.training.finetuning import FinetuningConfig, check_length, name_one_new_folder
from scratchlm.training.instruction_tuning import response_example
from scratchlm.training.loop import TrainingConfig, train
from scratchlm.training.losses import preference_loss, response_log_probabilities
from scratchlm.training.memory import check_memory
from scratchlm.training.preference_batches import Pair, PairBatches, collate_pairs
from scratchlm.training.samples import continue_prompts

REFERENCE = "reference.json"  # in the work folder: log-probabilities of the pairs of each split
SAMPLES = 3  # validation entries answered at each evaluation

Entry = Mapping[str, str]


class PreferenceConfig(FinetuningConfig, TrainingConfig):
    """How strongly DPO holds a model to its reference, and what becomes of pairs of more than `max_tokens`.

    `names` is empty or holds the folder of data/models to make; `lora` counts where LoRA trains.
    """

    base: str
    names: list[str]
    train: GPTPart
    beta: float = Field(gt=0, allow_inf_nan=False)
    too_long: Literal["leave_out", "error"]
    sample: SamplingConfig

    @field_validator("names")
    @classmethod
    def _name_one_new_folder(cls, names: list[str], info: ValidationInfo) -> list[str]:
        return name_one_new_folder(names, info.data.get("base"))


class PreferenceTuning:
    """A model that answers, with the pairs that fit `max_tokens`; its chat template asks for both responses of a pair.

    `counts` says how many of each split did not fit, and which share of the tokens that it computes is padding.
    """

    def __init__(
        self,
        config: PreferenceConfig,
        base: GPT,
        template: ChatTemplate,
        tokenizer: Tokenizer,
        splits: Mapping[str, Sequence[Entry]],
    ) -> None:
        check_length(config.max_tokens, "finetune_dpo.max_tokens", base, config.base)
        self.config, self.model, self.template, self.tokenizer = config, base, template, tokenizer
        if config.train == "lora":
            add_lora(base, config.lora, config.seed)  # which begins as the reference
        set_trainable(base, config.train)
        base.to(pick_device())
        fitting = {name: self._fit(name, part) for name, part in splits.items()}
        self.pairs = {name: [pair for _, pair in part] for name, part in fitting.items()}
        self.sampled = [entry for entry, _ in fitting["val"][:SAMPLES]]
        left_out = {f"{name}_left_out": len(part) - len(self.pairs[name]) for name, part in splits.items()}
        self.counts: dict[str, float] = {**left_out, "padding_rate": self._batches().padding_rate(config.epochs)}

    def _fit(self, split: str, entries: Sequence[Entry]) -> list[tuple[Entry, Pair]]:
        """The entries of which both responses fit into `max_tokens`, with their pairs."""
        config = self.config
        pairs = [(entry, self._pair(entry)) for entry in entries]
        fitting = [(entry, pair) for entry, pair in pairs if len(pair.longer.tokens) <= config.max_tokens]
        if not fitting or (len(fitting) < len(pairs) and config.too_long == "error"):
            longest = max(len(pair.longer.tokens) for _, pair in pairs)
            raise UserError(
                f"{len(pairs) - len(fitting)} of the {len(pairs)} pairs of {split} have more than {config.max_tokens} "
                f"tokens, one has {longest}; raise finetune_dpo.max_tokens, shorten them, or, where others are left, "
                "set finetune_dpo.too_long: leave_out."
            )
        return fitting

    def _pair(self, entry: Entry) -> Pair:
        prompt = encode_prompt(entry, self.template, self.tokenizer)
        chosen, rejected = (response_example(prompt, entry[name], self.tokenizer) for name in ("chosen", "rejected"))
        return Pair(chosen, rejected)

    def _batches(self) -> PairBatches:
        config = self.config
        sizes = config.batch_size, config.micro_batch_size
        return PairBatches(self.pairs["train"], *sizes, config.seed, self.tokenizer.eot_id)

    def fit(self, folder: Path) -> tuple[Progress, dict[str, float]]:
        """Train, resuming from `folder`; return what was recorded and the run's speed."""
        config, stage = self.config, "finetune_dpo"
        rows, columns = config.micro_batch_size, config.max_tokens
        check_memory(stage, self.model, pick_device(), rows, columns, config.precision, texts=2)
        self.add_references(folder)
        batches = self._batches()

        def evaluate(model: GPT) -> dict[str, float]:
            return {f"val_{name}": value for name, value in self.evaluate("val").items()}

        def sample(model: GPT) -> list[dict[str, Any]]:
            prompts = [format_prompt(entry, self.template) for entry in self.sampled]
            encoded = [encode_prompt(entry, self.template, self.tokenizer) for entry in self.sampled]
            return continue_prompts(model, self.tokenizer, prompts, config.sample, encoded)

        steps = config.epochs * batches.steps_per_epoch
        loss_fn = partial(preference_loss, beta=config.beta)
        return train(self.model, batches, loss_fn, evaluate, config, steps, folder, sample)

    def add_references(self, folder: Path) -> None:
        """Give every pair its log-probabilities under the model as it is; computed once and kept in `folder`.

        Those of train have the precision of the training, the others that of an evaluation, float32.
        """
        path = folder / REFERENCE
        if not path.exists():
            precision = {"train": self.config.precision}
            write_json(path, {name: self.log_probabilities(name, precision.get(name)) for name in self.pairs})
        for name, reference in read_json(path).items():
            pairs = zip(self.pairs[name], reference, strict=True)
            self.pairs[name] = [replace(pair, reference=(chosen, rejected)) for pair, (chosen, rejected) in pairs]

    @torch.no_grad()
    def log_probabilities(self, split: str, precision: str | None = None) -> list[list[float]]:
        """Those of chosen and rejected response of each pair of a split, in its order, as the model now is."""
        model, pairs, device = self.model.eval(), self.pairs[split], next(self.model.parameters()).device
        found: list[list[float]] = [[] for _ in pairs]
        for members in tqdm(self._sorted(split), desc=f"reference, {split}", disable=None):
            batch = collate_pairs([pairs[index] for index in members], self.tokenizer.eot_id).to(device)
            with torch.autocast(device.type, torch.bfloat16, enabled=precision == "bfloat16"):
                columns = response_log_probabilities(model, batch).view(2, -1)  # (2, B)
            for index, values in zip(members, columns.T.tolist(), strict=True):
                found[index] = values
        return found

    def evaluate(self, split: str) -> dict[str, float]:
        """Means over the pairs of a split: DPO's loss, both rewards, their margin, and how often it is above 0."""
        rewards = self._rewards(split)
        margins = rewards[:, 0] - rewards[:, 1]
        return {
            "loss": float(np.logaddexp(0, -margins).mean()),
            "reward_accuracy": float((margins > 0).mean()),
            "reward_margin": float(margins.mean()),
            "chosen_reward": float(rewards[:, 0].mean()),
            "rejected_reward": float(rewards[:, 1].mean()),
        }

    def compare_with_reference(self, split: str) -> dict[str, float]:
        """`evaluate` with 95 % intervals, and of the model and its reference how often the chosen response is likelier.

        Before the training both rewards of every pair are 0, and so are their margin and `reward_accuracy`.
        """
        rewards, before = self._rewards(split), np.array([pair.reference for pair in self.pairs[split]])
        margins, after = rewards[:, 0] - rewards[:, 1], before + rewards / self.config.beta
        accuracy = wilson_interval(int((margins > 0).sum()), len(margins))
        return {
            **self.evaluate(split),
            **dict(zip(("reward_accuracy_low", "reward_accuracy_high"), accuracy, strict=True)),
            **dict(zip(("reward_margin_low", "reward_margin_high"), bootstrap_interval(margins.tolist()), strict=True)),
            "chosen_likelier": float((after[:, 0] > after[:, 1]).mean()),
            "base_chosen_likelier": float((before[:, 0] > before[:, 1]).mean()),
            "pairs": len(margins),
        }

    def _rewards(self, split: str) -> np.ndarray:
        """The rewards (N, 2) of chosen and rejected response of each pair, in its order."""
        reference = np.array([pair.reference for pair in self.pairs[split]])
        return self.config.beta * (np.array(self.log_probabilities(split)) - reference)

    def _sorted(self, split: str) -> list[list[int]]:
        return sorted_batches([pair.longer for pair in self.pairs[split]], self.config.micro_batch_size)
