"""A project of the sample's parameters with some of them changed."""

from collections.abc import Mapping
from pathlib import Path
from typing import Any

import yaml

from scratchlm.params import read_yaml
from tests.conftest import ROOT


def write_params(folder: Path, changes: Mapping[str, Mapping[str, Any]]) -> None:
    """Write params.yaml: the sample's, but for these keys of these sections."""
    params = read_yaml(ROOT / "recipes/sample.yaml")
    for section, values in changes.items():
        params[section] |= values
    (folder / "params.yaml").write_text(yaml.safe_dump(params, sort_keys=False))
