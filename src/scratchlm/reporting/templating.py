"""The Jinja templates of this package."""

from collections.abc import Callable
from typing import Any

from jinja2 import Environment, PackageLoader, StrictUndefined, Template


def load_template(name: str, autoescape: bool, **filters: Callable[[Any], str]) -> Template:
    """A template of `templates/` in which a missing value is an error; `autoescape` is for HTML."""
    environment = Environment(
        loader=PackageLoader("scratchlm.reporting"),
        undefined=StrictUndefined,
        keep_trailing_newline=True,
        trim_blocks=True,
        lstrip_blocks=True,
        autoescape=autoescape,
    )
    environment.filters.update(filters)
    return environment.get_template(name)
