"""Where a run came from: what differs from the sample's parameters, the files that were read, the models' lineage."""

import json
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

from scratchlm.datasets.sources import INSTRUCTIONS, SMS_SPAM, FileSource, Source, find_source
from scratchlm.reporting.model_card import flatten

EXPORTED = "data/gpt2/roundtrip"


@dataclass(frozen=True)
class Change:
    """A parameter that the sample has otherwise, or not at all: its value here and there, as JSON."""

    name: str
    value: str
    sample: str


@dataclass(frozen=True)
class SourceFile:
    """A file that was read from outside: what it is, its address, what its bytes hash to, and whose it is."""

    kind: str
    url: str
    sha256: str
    licence: str


@dataclass(frozen=True)
class Step:
    """A step of the lineage: what it made, by which stage, from which inputs; and what was made from that."""

    title: str
    stage: str
    read: Mapping[str, str]
    later: list["Step"] = field(default_factory=list)


def changed_params(params: Mapping[str, Any], sample: Mapping[str, Any]) -> list[Change]:
    """The parameters that differ from the sample's, under dotted names."""
    ours, theirs = flatten(params), flatten(sample)
    texts = {name: tuple(json.dumps(each.get(name), ensure_ascii=False) for each in (ours, theirs)) for name in ours}
    return [Change(name, value, sample) for name, (value, sample) in texts.items() if value != sample]


def source_files(
    params: Mapping[str, Any], metrics: Mapping[str, Mapping[str, Any]], corpus: Sequence[Mapping[str, Any]]
) -> list[SourceFile]:
    """The files behind all data; `corpus` are the entries of its manifest."""
    tables = {"SMS messages": ("fetch_sms_spam", SMS_SPAM), "Instructions": ("fetch_instructions", INSTRUCTIONS)}
    files = []
    for kind, (stage, table) in tables.items():
        source = _find(table, params[stage]["source"])
        files.append(SourceFile(kind, source.urls[0], metrics[stage]["source_sha256"], source.licence))
    return files + [SourceFile("Corpus", file["url"], file["sha256"], file["licence"]) for file in corpus]


def lineage_tree(cards: Mapping[str, Sequence[Mapping[str, Any]]]) -> list[Step]:
    """The models as trees, each made from the one above it; `cards` hold each model's steps, the last one first.

    `pretrained` is among the cards: what was exported from it is continued from there.
    """
    roots: list[Step] = []
    for steps in cards.values():
        chain = list(reversed(steps))
        if chain and EXPORTED in chain[0]["read"]:
            export = {"title": "The same in OpenAI's layout", "stage": "export_gpt2", "read": {}}
            chain = [*reversed(cards["pretrained"]), export, *chain]
        siblings = roots
        for step in chain:
            made = Step(step["title"], step["stage"], step["read"])
            known = [
                each for each in siblings if (each.title, each.stage, each.read) == (made.title, made.stage, made.read)
            ]
            if not known:
                siblings.append(made)
            siblings = (known or [made])[0].later
    return roots


def recorded_trainings(cards: Mapping[str, Sequence[Mapping[str, Any]]]) -> dict[str, Mapping[str, Any]]:
    """The records that steps of the lineage carry of their training, by the step's title: pretraining continued."""
    return {step["title"]: step["training"] for steps in cards.values() for step in steps if "training" in step}


def versions(cards: Mapping[str, Sequence[Mapping[str, Any]]]) -> dict[str, list[str]]:
    """The packages that computed the models, each with every version that did."""
    found: dict[str, set[str]] = {}
    for step in (step for steps in cards.values() for step in steps):
        for package, version in step["made_with"].items():
            found.setdefault(package, set()).add(version)
    return {package: sorted(each) for package, each in found.items()}


def _find(table: Mapping[str, Source], choice: Any) -> Source:
    return find_source(table, FileSource.model_validate(choice) if isinstance(choice, Mapping) else choice)
