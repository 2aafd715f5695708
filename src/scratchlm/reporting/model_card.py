"""The README.md of a model directory: what it is, from which data and parameters it came, and what was measured."""

from collections.abc import Mapping
from typing import Any

from jinja2 import Environment, PackageLoader, StrictUndefined

from scratchlm.params import Schema


def model_card(
    title: str, stage: str, config: Schema, metrics: Mapping[str, Any], lineage: Mapping[str, str], task: str
) -> str:
    """Markdown with the metadata block of a Hugging Face model card; `lineage` names each input and its sha256."""
    environment = Environment(
        loader=PackageLoader("scratchlm.reporting"),
        undefined=StrictUndefined,
        keep_trailing_newline=True,
        autoescape=False,
    )
    return environment.get_template("model_card.md.j2").render(
        title=title, stage=stage, params=config.model_dump(), metrics=metrics, lineage=lineage, task=task
    )
