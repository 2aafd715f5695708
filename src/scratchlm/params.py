"""params.yaml, read as DVC reads it (YAML 1.2 numbers) into strict, frozen schemas."""

import difflib
import os
import re
import reprlib
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Annotated, Any, TypeVar

import yaml
from pydantic import BaseModel, ConfigDict, Field, ValidationError
from yaml.composer import ComposerError

from scratchlm.errors import UserError

PARAMS = Path("params.yaml")
MAX_DEPTH, MAX_KEYS, MAX_DIGITS = 32, 10_000, 100
CHECKOUT = Path(__file__).resolve().parents[2]

Seed = Annotated[int, Field(ge=0, lt=2**63)]  # torch takes 64 bits


class Schema(BaseModel):
    """The base of every parameter schema: no unknown key, no silent conversion, no change after reading."""

    model_config = ConfigDict(extra="forbid", frozen=True, strict=True)


_BRIEF = reprlib.Repr()  # a few aliases of YAML make a value of terabytes
_BRIEF.maxstring = _BRIEF.maxother = 200

SchemaT = TypeVar("SchemaT", bound=Schema)


class _Loader(yaml.SafeLoader):
    """PyYAML with the number and boolean rules of YAML 1.2: `6e-4` is a number, `on` and `010` are not special.

    A key that stands twice is refused, as DVC refuses it. Every error of a file is a YAMLError, and what takes PyYAML
    hours or all memory is one: deep brackets, which it scans in quadratic time, and merges (`<<`) of merges.
    """

    depth = 0

    def compose_node(self, parent: Any, index: Any) -> Any:
        self.depth += 1
        if self.depth > MAX_DEPTH:
            mark = self.peek_event().start_mark
            raise ComposerError(None, None, f"more than {MAX_DEPTH} levels stand in each other", mark)
        node = super().compose_node(parent, index)
        self.depth -= 1
        return node

    def compose_mapping_node(self, anchor: Any) -> Any:
        node = super().compose_mapping_node(anchor)
        names = set()
        for key, _ in node.value:
            name = (key.tag, key.value if isinstance(key, yaml.ScalarNode) else id(key))
            if name in names:
                raise ComposerError(None, None, f"the key {key.value} stands there twice", key.start_mark)
            names.add(name)
        return node

    def flatten_mapping(self, node: Any) -> None:
        super().flatten_mapping(node)
        if len(node.value) > MAX_KEYS:
            problem = f"a mapping has more than {MAX_KEYS:,} keys"
            raise yaml.constructor.ConstructorError(None, None, problem, node.start_mark)

    def construct_object(self, node: Any, deep: bool = False) -> Any:
        try:
            return super().construct_object(node, deep)
        except (ValueError, LookupError, AttributeError) as error:  # of a date, a number, or a text that a tag names so
            raise yaml.constructor.ConstructorError(None, None, str(error), node.start_mark) from None


_Loader.yaml_implicit_resolvers = {
    first: [(tag, pattern) for tag, pattern in resolvers if tag.rsplit(":", 1)[1] not in {"bool", "int", "float"}]
    for first, resolvers in yaml.SafeLoader.yaml_implicit_resolvers.items()
}
_Loader.add_implicit_resolver(
    "tag:yaml.org,2002:bool", re.compile(r"^(?:true|True|TRUE|false|False|FALSE)$"), list("tTfF")
)
_Loader.add_implicit_resolver(
    "tag:yaml.org,2002:int", re.compile(r"^(?:[-+]?[0-9][0-9_]*|0x[0-9a-fA-F]+)$"), list("-+0123456789")
)
_Loader.add_implicit_resolver(
    "tag:yaml.org,2002:float",
    re.compile(
        r"^(?:[-+]?(?:\.[0-9]+|[0-9]+(?:\.[0-9]*)?)(?:[eE][-+]?[0-9]+)?|[-+]?\.(?:inf|Inf|INF)|\.(?:nan|NaN|NAN))$"
    ),
    list("-+.0123456789"),
)


def _construct_int(loader: yaml.SafeLoader, node: Any) -> int:
    text = str(loader.construct_scalar(node))
    if len(text) > MAX_DIGITS:
        raise ValueError(f"a number has {len(text):,} digits")
    return int(text.replace("_", ""), 16 if text.startswith("0x") else 10)


_Loader.add_constructor("tag:yaml.org,2002:int", _construct_int)


def read_yaml(path: Path) -> dict[str, Any]:
    """Read a YAML mapping with YAML 1.2's numbers; UserError names the file and the line."""
    try:
        value = yaml.load(path.read_text(encoding="utf-8"), Loader=_Loader)
    except FileNotFoundError:
        raise UserError(f"{path} is missing; `scratchlm recipe sample` writes it.") from None
    except (yaml.YAMLError, UnicodeDecodeError) as error:
        raise UserError(f"{path} is no valid YAML: {error}") from None
    if not isinstance(value, dict):
        raise UserError(f"{path} holds no sections; `scratchlm recipe sample` writes it anew.")
    return value


def read_params(stage: str, schema: type[SchemaT], path: Path = PARAMS) -> SchemaT:
    """Read the section of one stage; UserError names file, key, value and limit of the first thing that is wrong."""
    sections = read_yaml(path)
    if stage not in sections:
        raise UserError(f"{path} has no section `{stage}`; copy it from recipes/sample.yaml.")
    try:
        return schema.model_validate(sections[stage])
    except ValidationError as error:
        raise UserError(f"{path}: {_explain(stage, schema, sections[stage], error)}") from None


def _explain(stage: str, schema: type[Schema], section: Any, error: ValidationError) -> str:
    first = error.errors(include_url=False)[0]
    key = ".".join([stage, *_written_keys(section, first)])
    if first["type"] == "extra_forbidden":
        fields = sorted(schema.model_fields) if len(first["loc"]) == 1 else []
        near = difflib.get_close_matches(str(first["loc"][-1]), fields, n=1)
        return f"{key} is no parameter" + (f"; did you mean {near[0]}?" if near else "; see recipes/sample.yaml.")
    if first["type"] == "missing":
        return f"{key} is missing; see recipes/sample.yaml."
    message = re.sub("^(Value error,|Input|String|List) ", "", first["msg"])
    message = re.sub("dictionary or instance of .*", "mapping", message)
    return f"{key} is {_BRIEF.repr(first['input'])}, but it {message}."


def _written_keys(section: Any, error: Mapping[str, Any]) -> Iterator[str]:
    """The keys on the way to an error, without the names of schemas that pydantic puts between them."""
    *_, last = error["loc"] or [None]
    for part in error["loc"]:
        if isinstance(part, int) or (isinstance(section, dict) and part in section):
            section = section[part]
            yield str(part)
        elif error["type"] == "missing" and part is last:
            yield str(part)


def project_root() -> Path:
    """The folder of a user's relative paths: $DVC_ROOT (DVC sets it, in `--temp` runs too), else the project around.

    That is the nearest folder with a dvc.yaml, from the working folder upwards, or else this checkout.
    """
    if root := os.environ.get("DVC_ROOT"):
        return Path(root)
    here = Path.cwd()
    return next((folder for folder in (here, *here.parents) if (folder / "dvc.yaml").exists()), CHECKOUT)


def resolve_path(text: str) -> Path:
    """A path that a user wrote (parameter or environment variable), resolved against the project root."""
    return project_root() / Path(text).expanduser()
