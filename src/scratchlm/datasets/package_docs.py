"""The embedded corpus: docstrings of pinned packages, read with `ast` from the installed files, nothing imported."""

import ast
import importlib.metadata
import warnings
from collections.abc import Iterator
from pathlib import Path

from scratchlm.artifacts import write_jsonl
from scratchlm.checksums import sha256_file
from scratchlm.datasets.sources import Package
from scratchlm.errors import UserError

# numpy installs its distutils on Python 3.11 only: without it, the text is the same under every Python.
SKIPPED_FOLDERS = {"tests", "distutils"}
MIN_CHARACTERS = 200
DOCUMENTED = (ast.Module, ast.ClassDef, ast.FunctionDef, ast.AsyncFunctionDef)
BLOCKS = (ast.stmt, ast.excepthandler, ast.match_case)


def write_package_docs(package: Package, target: Path) -> str:
    """Write an installed package's documents as JSONL; returns the sha256, UserError if it is not the pinned one."""
    files = _installed_files(package)
    write_jsonl(target, ({"text": text} for text in extract_documents(files)))
    if (found := sha256_file(target)) != package.sha256:
        raise UserError(
            f"the docstrings of {package.name} {package.version} have sha256 {found}, not {package.sha256}: its files "
            f"were changed; run `pip install --force-reinstall --no-deps {package.name}=={package.version}`."
        )
    return found


def extract_documents(files: list[Path]) -> Iterator[str]:
    """One document a module: its docstrings in source order, blank lines between them, each where it is met first."""
    seen: set[str] = set()
    for file in files:
        new = [text for text in dict.fromkeys(_docstrings(_parse(file))) if text not in seen]
        seen.update(new)
        document = "\n\n".join(new)
        if len(document) >= MIN_CHARACTERS:
            yield document


def _installed_files(package: Package) -> list[Path]:
    """The package's Python files, in the order of their names."""
    try:
        distribution = importlib.metadata.distribution(package.name)
    except importlib.metadata.PackageNotFoundError:
        distribution = None
    if distribution is None or distribution.version != package.version or not distribution.files:
        raise UserError(
            f"the corpus `package_docs` needs {package.name} {package.version} as pip installs it, found "
            f"{distribution.version if distribution else 'none'}; run `pip install -c constraints.txt {package.name}`."
        )
    names = (name for name in distribution.files if name.suffix == ".py")
    kept = sorted(name for name in names if not SKIPPED_FOLDERS.intersection(name.parts))
    return [Path(str(distribution.locate_file(name))) for name in kept]


def _parse(file: Path) -> ast.Module:
    try:
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")  # invalid escapes in other people's strings
            return ast.parse(file.read_bytes(), filename=str(file))
    except (SyntaxError, ValueError) as error:
        raise UserError(f"{file} is no valid Python: {error}; install its package again.") from None


def _docstrings(node: ast.AST) -> Iterator[str]:
    """The docstrings of a module, its classes and functions in source order, indentation removed."""
    if isinstance(node, DOCUMENTED) and (text := ast.get_docstring(node)):
        yield text
    for child in ast.iter_child_nodes(node):
        if isinstance(child, BLOCKS):
            yield from _docstrings(child)
