"""Recipes: params.yaml is recipes/sample.yaml plus the differences of one overlay, comments kept."""

import io
import re
from collections.abc import Mapping, MutableMapping, MutableSequence, Sequence
from pathlib import Path
from typing import Any

from ruamel.yaml import YAML
from ruamel.yaml.error import YAMLError
from ruamel.yaml.representer import RoundTripRepresenter

from scratchlm.artifacts import write_text
from scratchlm.errors import UserError
from scratchlm.params import project_root, read_yaml

COMPLETE = "sample"
NO_RECIPE = "ablation"  # the rows of `scratchlm ablate`


def recipes_folder() -> Path:
    """Where the recipes stand."""
    return project_root() / "recipes"


def recipe_names() -> list[str]:
    """The recipes of this project, the complete one first."""
    names = sorted(path.stem for path in recipes_folder().glob("*.yaml"))
    return [COMPLETE, *(name for name in names if name not in {COMPLETE, NO_RECIPE})]


def recipe_text(name: str) -> str:
    """The text of params.yaml for a recipe."""
    if name not in recipe_names():
        raise UserError(f"{name} is no recipe; there are {', '.join(recipe_names())}.")
    yaml = params_yaml()
    params = _load(yaml, recipes_folder() / f"{COMPLETE}.yaml")
    if name != COMPLETE:
        _overlay(params, _load(yaml, recipes_folder() / f"{name}.yaml"), f"recipes/{name}.yaml", [])
    text = io.StringIO()
    yaml.dump(params, text)
    return text.getvalue()


def write_recipe(name: str) -> None:
    """Write params.yaml of a recipe, and drop from dvc.lock the matrix stages that it no longer has."""
    text = recipe_text(name)
    lock = project_root() / "dvc.lock"
    if lock.exists():  # first, so that one that cannot be read leaves params.yaml as it is
        prune_lock(lock, params_yaml().load(text), matrix_lists(project_root() / "dvc.yaml"))
    write_text(project_root() / "params.yaml", text)


def matrix_lists(pipeline: Path) -> dict[str, list[str]]:
    """The parameters, `section.key`, whose lists each matrix stage of a dvc.yaml takes its items from."""
    stages = read_yaml(pipeline)["stages"] if pipeline.exists() else {}
    return {
        name: re.findall(r"\$\{(\w+\.\w+)\}", " ".join(map(str, body["matrix"].values())))
        for name, body in stages.items()
        if "matrix" in body
    }


def prune_lock(lock: Path, params: Mapping[str, Any], lists: Mapping[str, Sequence[str]]) -> None:
    """Remove entries `stage@item` whose item stands in none of the stage's `lists`."""
    yaml = YAML()  # whose form is that of DVC
    yaml.width = 4096
    document = _load(yaml, lock)
    stale = [entry for entry in document.get("stages") or {} if not _is_listed(entry, params, lists)]
    for entry in stale:
        del document["stages"][entry]
    if stale:
        with io.StringIO() as text:
            yaml.dump(document, text)
            write_text(lock, text.getvalue())


def _is_listed(entry: str, params: Mapping[str, Any], lists: Mapping[str, Sequence[str]]) -> bool:
    stage, _, item = entry.partition("@")
    keys = [key.split(".") for key in lists.get(stage, [])]
    return not item or any(item in params[section][key] for section, key in keys)


def _overlay(params: MutableMapping[str, Any], changes: MutableMapping[str, Any], recipe: str, path: list[str]) -> None:
    for key, value in changes.items():
        if key not in params:
            raise UserError(f"{recipe} sets {'.'.join([*path, key])}, which recipes/{COMPLETE}.yaml does not have.")
        for kind, name in ((MutableMapping, "mapping"), (MutableSequence, "list")):
            if isinstance(params[key], kind) and not isinstance(value, kind):
                raise UserError(f"{recipe} sets {'.'.join([*path, key])} to {value!r}; it should be a {name}.")
        if isinstance(value, MutableMapping) and isinstance(params[key], MutableMapping):
            _overlay(params[key], value, recipe, [*path, key])
        else:
            params[key] = value


def _load(yaml: YAML, path: Path) -> MutableMapping[str, Any]:
    """Read a YAML mapping; UserError if a file is none, such as one in which git left a conflict."""
    try:
        value = yaml.load(path)
    except (YAMLError, UnicodeDecodeError) as error:
        raise UserError(f"{path} is no valid YAML: {error}; correct it, or take it from git again.") from None
    if not isinstance(value, MutableMapping):
        raise UserError(f"{path} holds no sections; correct it, or take it from git again.")
    return value


class _Representer(RoundTripRepresenter):
    """Writes nothing as `null`, which a reader sees."""


_Representer.add_representer(type(None), lambda dumper, _: dumper.represent_scalar("tag:yaml.org,2002:null", "null"))


def params_yaml() -> YAML:
    """A reader and writer of params.yaml that keeps comments, quotes and order."""
    yaml = YAML()
    yaml.width = 200
    yaml.preserve_quotes = True
    yaml.indent(mapping=2, sequence=4, offset=2)
    yaml.Representer = _Representer
    return yaml
