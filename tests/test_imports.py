"""Imports point one way, and what is heavy is imported where it is used."""

import ast
import subprocess
import sys
from collections.abc import Sequence
from pathlib import Path

import pytest

from tests.closure import ROOT, SOURCES, imported_modules

LAYERS = [
    {"cli", "commands"},
    {"chat", "comparison", "corpus_entries", "verification"},
    {"training", "baselines", "judging", "reporting"},
    {"models", "datasets"},
    {"recipes", "stages", "workspace", "ablation", "experiments", "repeat"},
    {"artifacts", "checksums", "disk", "errors", "params", "processes", "retry_after", "statistics"},
]
FILES = sorted(SOURCES["scratchlm"].rglob("*.py"))
# The one file that may name a heavy package at its top; tensorflow and datasets stay inside functions.
HEAVY = {
    "matplotlib": "figures.py",
    "openai": "openai_client.py",
    "anthropic": "anthropic_client.py",
    "tensorflow": None,
    "datasets": None,
}


def layer(name: str) -> int:
    """The number of the layer of a part of scratchlm, 0 at the top."""
    return next(number for number, parts in enumerate(LAYERS) if name in parts)


def own_part(path: Path) -> str:
    """The part of scratchlm that a file belongs to: a package, or a module at the top."""
    return path.relative_to(SOURCES["scratchlm"]).parts[0].removesuffix(".py")


@pytest.mark.parametrize("path", [path for path in FILES if path.stem != "__init__"], ids=lambda path: path.stem)
def test_imports_point_down(path: Path):
    part = own_part(path)
    for name in imported_modules(path):
        package, *rest = name.split(".")
        if package != "scratchlm" or not rest:
            continue
        assert layer(part) <= layer(rest[0]), f"{part} imports {name}"
        assert {part, rest[0]} != {"models", "datasets"}, f"{part} imports {name}"
    assert "pipeline" not in {name.split(".")[0] for name in imported_modules(path)}


@pytest.mark.parametrize("path", sorted(SOURCES["pipeline"].glob("*.py")), ids=lambda path: path.stem)
def test_nobody_imports_a_stage(path: Path):
    assert "pipeline" not in {name.split(".")[0] for name in imported_modules(path)}


@pytest.mark.parametrize("path", [path for path in FILES if path.stem == "__init__"], ids=lambda path: path.parent.name)
def test_packages_hold_only_a_docstring(path: Path):
    body = ast.parse(path.read_text()).body
    assert len(body) == 1
    assert isinstance(body[0], ast.Expr)


@pytest.mark.parametrize("path", FILES, ids=lambda path: path.stem)
def test_heavy_packages_are_imported_where_they_are_used(path: Path):
    for node in ast.parse(path.read_text()).body:
        names = [node.module or ""] if isinstance(node, ast.ImportFrom) else []
        names += [alias.name for alias in node.names] if isinstance(node, ast.Import) else []
        for package in {name.split(".")[0] for name in names} & HEAVY.keys():
            assert HEAVY[package] == path.name, f"{path} imports {package} at its top"


def test_datasets_has_no_torch():
    for path in SOURCES["scratchlm"].glob("datasets/*.py"):
        assert "torch" not in {name.split(".")[0] for name in imported_modules(path)}, path


@pytest.mark.parametrize("stage", ["pretrain", "finetune_classifier", "finetune_instruct"])
def test_a_training_stage_imports_where_dvc_tensorflow_and_datasets_are_absent(stage: str):
    """One fresh interpreter in which these packages cannot be imported."""
    import_without(("dvc", "tensorflow", "datasets"), stage)


@pytest.mark.parametrize("stage", ["fetch_gpt2", "convert_gpt2"])
def test_a_checkpoint_is_converted_without_torch_and_tensorflow(stage: str):
    """Their imports would take longer than the conversion."""
    import_without(("dvc", "tensorflow", "datasets", "torch", "transformers"), stage)


def import_without(packages: Sequence[str], stage: str) -> None:
    blocked = "; ".join(f"sys.modules[{name!r}] = None" for name in packages)
    command = f"import sys; {blocked}; import pipeline.{stage}"
    environment = {"PYTHONPATH": f"{ROOT}:{ROOT / 'src'}"}
    done = subprocess.run([sys.executable, "-c", command], env=environment, capture_output=True, text=True, cwd=ROOT)
    assert done.returncode == 0, done.stderr
