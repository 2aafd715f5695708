"""A model directory beside `transformers`: the same tokens and the same logits of the same texts, or what differs."""

import importlib.util
from collections.abc import Iterator, Sequence
from contextlib import suppress
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import torch

from scratchlm.datasets.tokenizers import Tokenizer, load_tokenizer
from scratchlm.errors import UserError
from scratchlm.models.classifier import GPTClassifier, Readout
from scratchlm.models.gpt import GPT
from scratchlm.models.storage import read_max_tokens

TEXTS = (
    "Every effort moves you a little further.",
    "I'll say it's 3,141 of 10000, won't I?\n\n\tdef f(x):\n        return  x**2   # twice",
    "na\u00efve caf\u00e9 \u2014 \u65e5\u672c\u8a9e \U0001f642 \u0440\u0443\u0441",
    " ",
)
RANDOM_TEXTS = 4  # of ids drawn at random, for vocabularies that cannot write the above
MAX_TOKENS = 64  # of a text
FLOAT64_TOLERANCE = 1e-9  # relative to the largest logit
FLOAT32_FACTOR = 2  # how much further from the float64 logits than transformers' own float32 ones


Batch = tuple[torch.Tensor, torch.Tensor]  # tokens (B, T), padded on the right, and how many of each row are real (B,)


@dataclass(frozen=True)
class Check:
    """What was compared, whether it is the same, and by how much it is not."""

    name: str
    passed: bool
    detail: str


def has_class_in_transformers(model: GPT | GPTClassifier) -> bool:
    """Whether transformers has a class that computes what the model does."""
    return isinstance(model, GPT) or model.readout == Readout()


def verify(directory: Path, model: GPT | GPTClassifier) -> Iterator[Check]:
    """Compare what transformers makes of a directory with its `model`, as loaded here, which is left in float64.

    Logits are held to 1e-9 of the largest in float64; in float32 they may be twice as far from transformers' float64
    logits as its own are. UserError if transformers is not installed.
    """
    if importlib.util.find_spec("transformers") is None:
        raise UserError("transformers is not installed; `pip install transformers`, or scratchlm with its extra `dev`.")
    from transformers.utils import logging

    logging.set_verbosity_error()
    logging.disable_progress_bar()
    tokenizer = load_tokenizer(directory)
    texts = list(make_texts(tokenizer))
    rows = [tokenizer.encode(text) for text in texts]
    yield compare_tokens(directory, texts, rows)
    limit = min(MAX_TOKENS, read_max_tokens(directory))
    cut = [row[:limit] for row in rows]
    batches = [pad([row], tokenizer.eot_id) for row in cut] if isinstance(model, GPT) else [pad(cut, tokenizer.eot_id)]
    yield from compare_logits(directory, model, batches)


def make_texts(tokenizer: Tokenizer) -> Iterator[str]:
    """Texts that a tokenizer can write: those of TEXTS, and some of its own entries in a row."""
    for text in TEXTS:
        with suppress(UserError):  # a character outside of its alphabet
            tokenizer.encode(text)
            yield text
    for row in np.random.default_rng(0).integers(tokenizer.eot_id, size=(RANDOM_TEXTS, MAX_TOKENS)):
        yield tokenizer.decode(row.tolist())


def compare_tokens(directory: Path, texts: Sequence[str], rows: Sequence[list[int]]) -> Check:
    """Whether transformers' tokenizer gives the same ids."""
    from transformers import AutoTokenizer

    tokenizer = AutoTokenizer.from_pretrained(directory)
    differing = [text for text, row in zip(texts, rows, strict=True) if tokenizer(text).input_ids != row]
    if differing:
        return Check("tokens", False, f"those of {len(differing)} of {len(texts)} texts, such as {differing[0][:60]!a}")
    return Check("tokens", True, f"{sum(map(len, rows)):,} of {len(texts)} texts")


@torch.no_grad()
def compare_logits(directory: Path, ours: GPT | GPTClassifier, batches: Sequence[Batch]) -> Iterator[Check]:
    """Whether transformers finds the parameters that it looks for, and computes the same logits."""
    from transformers import AutoModelForCausalLM, AutoModelForSequenceClassification

    kind = AutoModelForCausalLM if isinstance(ours, GPT) else AutoModelForSequenceClassification
    loaded: Any = kind.from_pretrained(directory, dtype=torch.float32, output_loading_info=True)
    theirs, report = loaded
    unmatched = sorted(str(name) for names in report.values() for name in names)
    yield Check("parameters", not unmatched, ", ".join(unmatched[:3]) or f"{len(list(ours.parameters()))} tensors")

    our_rough, their_rough = our_logits(ours, batches), their_logits(theirs, batches)
    our_exact, exact = our_logits(ours.double(), batches), their_logits(theirs.double(), batches)
    difference = float((our_exact - exact).abs().max() / exact.abs().max())
    detail = f"{difference:.1e} of the largest apart, {FLOAT64_TOLERANCE:.0e} is allowed"
    yield Check("logits in float64", difference <= FLOAT64_TOLERANCE, detail)
    our_error, their_error = (float((rough - exact).abs().max()) for rough in (our_rough, their_rough))
    detail = f"{our_error:.1e} from float64, transformers' own {their_error:.1e} away, twice that is allowed"
    yield Check("logits in float32", our_error <= FLOAT32_FACTOR * their_error, detail)


def our_logits(model: GPT | GPTClassifier, batches: Sequence[Batch]) -> torch.Tensor:
    """All logits of some batches in a row, as float64."""
    logits = [model(tokens) if isinstance(model, GPT) else model(tokens, lengths) for tokens, lengths in batches]
    return torch.cat([each.double().flatten() for each in logits])


def their_logits(model: Any, batches: Sequence[Batch]) -> torch.Tensor:
    """The same of a model of transformers."""
    masks = [torch.arange(tokens.shape[1]) < lengths[:, None] for tokens, lengths in batches]
    logits = [model(tokens, attention_mask=mask).logits for (tokens, _), mask in zip(batches, masks, strict=True)]
    return torch.cat([each.double().flatten() for each in logits])


def pad(rows: Sequence[list[int]], pad_id: int) -> Batch:
    """Rows of different lengths as one batch."""
    length = max(map(len, rows))
    tokens = torch.tensor([row + [pad_id] * (length - len(row)) for row in rows])
    return tokens, torch.tensor(list(map(len, rows)))
