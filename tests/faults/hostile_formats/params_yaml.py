"""Parameters: YAML that grows when it is read, calls functions or has no end."""

import random
from pathlib import Path

from pipeline import finetune_classifier, prepare_sms_spam, pretrain
from scratchlm.params import read_params
from tests.conftest import ROOT
from tests.faults.hostile_formats.format import Format, Make, Read, named_file
from tests.faults.mutations import mutate

BOMB = b"a: &a [x,x,x,x,x,x,x,x,x]\n" + b"".join(
    f"{new}: &{new} [{','.join([f'*{old}'] * 9)}]\n".encode() for old, new in zip("abcdefgh", "bcdefghi", strict=True)
)
MERGES = b"a: &a {x1: 1, x2: 1, x3: 1}\n" + b"".join(
    f"{new}: &{new} {{<<: [{','.join([f'*{old}'] * 9)}]}}\n".encode()
    for old, new in zip("abcdefgh", "bcdefghi", strict=True)
)
SPECIAL_YAML = [
    BOMB + b"prepare_sms_spam: {seed: *i}\n",
    BOMB + b"prepare_sms_spam: *i\n",
    BOMB + b"prepare_sms_spam: {labels: *i}\n",
    b"prepare_sms_spam: !!python/object/apply:os.system [touch canary]\n",
    b"prepare_sms_spam: {seed: !!python/name:os.system }\n",
    b"prepare_sms_spam: &a {seed: *a}\n",
    MERGES + b"prepare_sms_spam: {<<: *i}\n",
    b"a: " + b"[" * 100_000,
    b"a: " + b"{a: " * 5_000,
    b"prepare_sms_spam: {seed: " + b"9" * 10_000 + b"}\n",
    b"prepare_sms_spam: {seed: 0x" + b"f" * 10_000 + b"}\n",
    b"? [a, b]\n: 1\n",
    b"? {a: b}\n: 1\n",
    b"prepare_sms_spam: {seed: 2001-99-99}\n",
    b"prepare_sms_spam: {seed: !!binary x}\n",
    b"prepare_sms_spam: {<<: 3}\n",
    b"prepare_sms_spam: {seed: !!int a}\n",
    b"prepare_sms_spam: {seed: !!float a}\n",
    b"prepare_sms_spam: {seed: !!timestamp a}\n",
    b"prepare_sms_spam: {seed: !!bool a}\n",
]


def _prepare_params(folder: Path) -> Make:
    good = (ROOT / "recipes/sample.yaml").read_bytes()
    stages = [
        ("prepare_sms_spam", prepare_sms_spam.Params),
        ("pretrain", pretrain.PretrainingConfig),
        ("finetune_classifier", finetune_classifier.ClassificationConfig),
    ]

    def make(place: Path, number: int, rng: random.Random) -> Read:
        stage, schema = stages[number % 3]
        if number < len(SPECIAL_YAML):
            stage, schema = stages[0]
        content = SPECIAL_YAML[number] if number < len(SPECIAL_YAML) else _mutate_section(good, stage, rng)
        return named_file(content, place / "params.yaml", lambda path: read_params(stage, schema, path))

    return make


def _mutate_section(content: bytes, stage: str, rng: random.Random) -> bytes:
    """Change the section of a stage: the file is long, and most of it is read by others."""
    start = content.index(f"\n{stage}:".encode()) + 1
    end = content.find(b"\n\n", start)
    return content[:start] + mutate(content[start:end], rng) + content[end:]


PARAMS_YAML = Format("params.yaml", _prepare_params)
