"""Figures that others published, and whether a run measured the same thing on the same data."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

BOOK = "https://github.com/rasbt/LLMs-from-scratch"
NANOGPT = "https://github.com/karpathy/nanoGPT"


@dataclass(frozen=True)
class Published:
    """A published figure: of which system, and as it was printed."""

    system: str
    figure: str


@dataclass(frozen=True)
class Comparison:
    """Published figures of one measurement, where they stand, and the parameters by which a run has the same data."""

    measured: str
    source: str
    stage: str  # whose metric `key` is ours, with an interval from `interval`_low to `interval`_high if it has one
    key: str
    interval: str
    form: str
    same_data: Mapping[str, Any]
    figures: Sequence[Published]

    def ours(self, metrics: Mapping[str, Mapping[str, float]]) -> str:
        """Our figure with its interval, in the form of the published ones."""
        scores = metrics[self.stage]
        text = format(scores[self.key], self.form)
        if f"{self.interval}_low" not in scores:
            return text
        return f"{text} ({scores[f'{self.interval}_low']:{self.form}} to {scores[f'{self.interval}_high']:{self.form}})"


COMPARISONS = (
    Comparison(
        "Spam, accuracy on the book's 300 test messages (37 of them stand in its training split)",
        f"{BOOK}/blob/main/ch06/02_bonus_additional-experiments/README.md",
        "finetune_classifier",
        "accuracy",
        "accuracy",
        ".1%",
        {
            "fetch_sms_spam.source": "uci",
            "prepare_sms_spam.labels": ["ham", "spam"],
            "prepare_sms_spam.quoting": "csv",
            "prepare_sms_spam.seed": 123,
            "prepare_sms_spam.group_by": "none",
            "prepare_sms_spam.balance": "undersample",
            "prepare_sms_spam.split": "book",
            "prepare_sms_spam.train_fraction": 0.7,
            "prepare_sms_spam.val_fraction": 0.1,
        },
        (
            Published("GPT-2 124M, last block, last position (row 1)", "95.0%"),
            Published("GPT-2 124M, last block, last real token (row 16)", "98.3%"),
            Published("GPT-2 124M, all layers (row 5)", "96.7%"),
            Published("GPT-2 124M's shape, random weights, all layers (row 10)", "93.7%"),
            Published("GPT-2 355M, last block (row 6)", "84.7%"),
            Published("GPT-2 1558M, all layers (row 9)", "98.7%"),
        ),
    ),
    Comparison(
        "Answers to the book's 110 test instructions, by a Llama 3 8B judge with the book's prompt",
        f"{BOOK}/tree/main/ch07",
        "score_judgements",
        "score",
        "score_ci",
        ".1f",
        {
            "fetch_instructions.source": "book",
            "prepare_instructions.duplicates": "keep",
            "prepare_instructions.near_duplicates": "keep",
            "prepare_instructions.order": "file",
            "prepare_instructions.train_fraction": 0.85,
            "prepare_instructions.val_fraction": 0.05,
            "judge_responses.backend": "openai",
            "judge_responses.openai.model": "llama3",
            "judge_responses.rubric": "rubrics/book-100.yaml",
        },
        (Published("GPT-2 355M, fine-tuned on the same entries", "50.3"),),
    ),
    Comparison(
        "tinyshakespeare by characters, loss on its last tenth",
        NANOGPT,
        "pretrain",
        "val_loss",
        "val_loss",
        ".3f",
        {
            "fetch_corpus.sources": ["tinyshakespeare"],
            "build_tokenizer.kind": "char",
            "shard_corpus.split": "tail",
            "shard_corpus.val_fraction": 0.1,
        },
        (
            Published("nanoGPT, its README's setting for a CPU, measured here over the whole tenth", "1.898"),
            Published("the same on nanoGPT's own 20 random batches", "1.886"),
        ),
    ),
)


def comparable(params: Mapping[str, Any]) -> list[Comparison]:
    """The comparisons whose data this run has; `params` are flat, under dotted names."""
    return [
        comparison
        for comparison in COMPARISONS
        if all(params.get(name) == value for name, value in comparison.same_data.items())
    ]
