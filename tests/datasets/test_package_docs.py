"""The docstrings of the pinned packages: what is read, what is refused."""

import ast
import inspect
from pathlib import Path

import networkx
import pytest

from scratchlm.checksums import sha256_file
from scratchlm.datasets.package_docs import extract_documents, write_package_docs
from scratchlm.datasets.sources import PACKAGE_DOCS, Package
from scratchlm.errors import UserError
from tests.corpora import documents_of

NETWORKX = next(package for package in PACKAGE_DOCS if package.name == "networkx")
LONG = "A long explanation of what this is for." * 6


def extract(folder: Path, **sources: str) -> list[str]:
    """The documents of some modules."""
    files = []
    for name, source in sources.items():
        files.append(folder / f"{name}.py")
        files[-1].write_text(source)
    return list(extract_documents(files))


def test_the_installed_package_gives_the_pinned_bytes(tmp_path: Path):
    target = tmp_path / "networkx.jsonl"
    assert write_package_docs(NETWORKX, target) == NETWORKX.sha256 == sha256_file(target)
    documents = documents_of(target)
    assert len(documents) == len(set(documents)) == 268
    assert any(inspect.getdoc(networkx.shortest_path) in document for document in documents)


def test_the_pins_are_those_of_the_constraints():
    constraints = (Path(__file__).resolve().parents[2] / "constraints.txt").read_text().splitlines()
    assert {f"{package.name}=={package.version}" for package in PACKAGE_DOCS} <= set(constraints)


def test_a_module_is_one_document_of_its_docstrings_in_source_order(tmp_path: Path):
    source = f'''
"""Module. {LONG}"""
if True:
    class A:
        """Class A."""
        async def method(self):
            """Method.

                Indented
            less
            """
def function():
    "Function."
    def inner(): "Inner."
def function_without(): pass
value = """No docstring."""
'''
    (document,) = extract(tmp_path, module=source)
    assert document.split("\n\n") == [
        f"Module. {LONG}",
        "Class A.",
        "Method.",
        "    Indented\nless",
        "Function.",
        "Inner.",
    ]


def test_a_repeated_docstring_and_a_short_module_are_left_out(tmp_path: Path):
    first, second = (f'def f():\n    """{LONG}"""\ndef g():\n    """{LONG} {name}"""\n' for name in "ab")
    assert extract(tmp_path, a=first, b=second, c='"""Short."""') == [
        f"{LONG}\n\n{LONG} a",
        f"{LONG} b",
    ]


def test_a_file_that_does_not_parse_is_an_error(tmp_path: Path):
    with pytest.raises(UserError, match=r"broken\.py is no valid Python"):
        extract(tmp_path, broken="def f(:")


def test_invalid_escapes_of_other_people_do_not_warn(tmp_path: Path):
    source = f'"""{LONG} \\d"""'
    with pytest.warns((SyntaxWarning, DeprecationWarning)):
        ast.parse(source)
    assert extract(tmp_path, escapes=source) == [f"{LONG} \\d"]


@pytest.mark.parametrize(
    ("package", "message"),
    [
        (
            Package("networkx", "1.0", "", ""),
            r"needs networkx 1\.0 .* found 3.*; run `pip install -c constraints\.txt net",
        ),
        (Package("no-such-package", "1.0", "", ""), r"needs no-such-package 1\.0 .* found none; run"),
        (Package("networkx", NETWORKX.version, "0" * 64, ""), "its files were changed; run `pip install --force"),
    ],
)
def test_another_version_and_changed_files_are_refused(package: Package, message: str, tmp_path: Path):
    with pytest.raises(UserError, match=message):
        write_package_docs(package, tmp_path / "docs.jsonl")
