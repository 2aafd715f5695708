"""The static import closure of a stage script: the files whose change may change its outputs.

`python -m tests.closure` writes the closures into the deps of dvc.yaml.
"""

import ast
import re
from functools import cache
from pathlib import Path

from ruamel.yaml import YAML

ROOT = Path(__file__).resolve().parents[1]
SOURCES = {"scratchlm": ROOT / "src/scratchlm", "pipeline": ROOT / "pipeline"}
TEMPLATES = ROOT / "src/scratchlm/reporting/templates"
INCLUDED = re.compile(r'{% (?:include|from|import) "([^"]+[.]j2)"')


def is_code(dep: str) -> bool:
    """Whether a dep of a stage is code rather than data."""
    return dep.startswith(("pipeline/", "src/"))


@cache
def imported_modules(path: Path) -> frozenset[str]:
    """Every module that a file names in an import, at the top or inside a function."""
    names: set[str] = set()
    for node in ast.walk(ast.parse(path.read_text(encoding="utf-8"))):
        if isinstance(node, ast.Import):
            names |= {alias.name for alias in node.names}
        elif isinstance(node, ast.ImportFrom) and node.module:
            names |= {node.module} | {f"{node.module}.{alias.name}" for alias in node.names}
    return frozenset(names)


@cache
def named_templates(path: Path) -> frozenset[Path]:
    """The templates whose file name stands as a string in a file, and those that they include."""
    constants = [node.value for node in ast.walk(ast.parse(path.read_text())) if isinstance(node, ast.Constant)]
    found = {TEMPLATES / text for text in constants if isinstance(text, str) and text.endswith(".j2")}
    return frozenset(found | {TEMPLATES / name for each in found for name in INCLUDED.findall(each.read_text())})


def module_file(name: str) -> Path | None:
    """The file of one of our modules; None for packages (their __init__.py hold a docstring only) and for others."""
    package, *parts = name.split(".")
    if package not in SOURCES or not parts:
        return None
    path = SOURCES[package].joinpath(*parts).with_suffix(".py")
    return path if path.is_file() else None


def import_closure(script: Path) -> list[str]:
    """The script, every file of ours that it imports, directly or not, and their templates; relative paths, sorted."""
    found: set[Path] = set()
    waiting = [script]
    while waiting:
        path = waiting.pop()
        if path not in found:
            found.add(path)
            found |= named_templates(path)
            waiting += [file for name in imported_modules(path) if (file := module_file(name))]
    return sorted(path.relative_to(ROOT).as_posix() for path in found)


def write_deps() -> None:
    """Replace the code among the deps of every stage in dvc.yaml by the closure of its script; data deps stay."""
    yaml = YAML()
    yaml.width = 200
    yaml.indent(mapping=2, sequence=4, offset=2)
    document = yaml.load((ROOT / "dvc.yaml").read_text(encoding="utf-8"))
    for name, stage in document["stages"].items():
        data = [dep for dep in stage.get("deps", []) if not is_code(str(dep))]
        stage["deps"] = data + import_closure(ROOT / f"pipeline/{name}.py")
    with (ROOT / "dvc.yaml").open("w", encoding="utf-8") as file:
        yaml.dump(document, file)


if __name__ == "__main__":
    write_deps()
