"""A recipe is the sample plus an overlay; recipes never stack."""

from pathlib import Path

import pytest

from scratchlm.artifacts import write_text
from scratchlm.errors import UserError
from scratchlm.params import read_yaml
from scratchlm.recipes import recipe_text, write_recipe

SAMPLE = """# The default.
pretrain:
  steps: 5 # short
  shape: {n_layer: 1, n_head: 1}
convert_gpt2:
  names: [roundtrip]
"""

PIPELINE = """stages:
  convert_gpt2:
    matrix:
      name: ${convert_gpt2.names}
  check_gpt2:
    matrix:
      name: ${convert_gpt2.names}
"""


@pytest.fixture(autouse=True)
def project(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    monkeypatch.setenv("DVC_ROOT", str(tmp_path))
    write_text(tmp_path / "dvc.yaml", PIPELINE)
    write_text(tmp_path / "recipes/sample.yaml", SAMPLE)
    write_text(tmp_path / "recipes/large.yaml", "pretrain:\n  shape: {n_layer: 9}\nconvert_gpt2:\n  names: [124M]\n")
    write_text(tmp_path / "recipes/long.yaml", "pretrain:\n  steps: 50\n")
    return tmp_path


def test_an_overlay_changes_only_what_it_names_and_keeps_comments(project: Path):
    write_recipe("large")
    params = read_yaml(project / "params.yaml")
    assert params == {
        "pretrain": {"steps": 5, "shape": {"n_layer": 9, "n_head": 1}},
        "convert_gpt2": {"names": ["124M"]},
    }
    assert "# short" in (project / "params.yaml").read_text()


def test_recipes_do_not_stack(project: Path):
    write_recipe("large")
    write_recipe("long")
    assert read_yaml(project / "params.yaml")["pretrain"] == {"steps": 50, "shape": {"n_layer": 1, "n_head": 1}}
    write_recipe("sample")
    assert (project / "params.yaml").read_text() == recipe_text("sample")


def test_stale_matrix_entries_leave_the_lock_and_the_rest_keeps_its_form(project: Path):
    kept = "schema: '2.0'\nstages:\n  pretrain:\n    deps:\n    - path: a\n    params:\n      top_k:\n"
    lock = f"{kept}  convert_gpt2@roundtrip:\n    cmd: b\n  check_gpt2@roundtrip:\n    cmd: c\n"
    write_text(project / "dvc.lock", lock)
    write_recipe("sample")
    assert (project / "dvc.lock").read_text() == lock
    write_recipe("large")
    assert (project / "dvc.lock").read_text() == kept


def test_an_unknown_recipe_lists_those_there_are():
    with pytest.raises(UserError, match="huge is no recipe; there are sample, large, long"):
        recipe_text("huge")


def test_an_overlay_with_a_key_of_no_schema_is_refused(project: Path):
    write_text(project / "recipes/typo.yaml", "pretrain:\n  stepz: 1\n")
    with pytest.raises(UserError, match=r"recipes/typo\.yaml sets pretrain\.stepz"):
        recipe_text("typo")


WRONG = {
    "empty": ("", r"typo\.yaml holds no sections"),
    "a list": ("- 1\n", r"typo\.yaml holds no sections"),
    "no YAML": ("pretrain: [\n", r"typo\.yaml is no valid YAML: .*line 2"),
    "a key twice": ("pretrain: {steps: 1}\npretrain: {steps: 2}\n", r"typo\.yaml is no valid YAML: .*line 2"),
    "a number for a section": ("pretrain: 3\n", r"typo\.yaml sets pretrain to 3; it should be a mapping"),
    "a number for a list": ("convert_gpt2: {names: 3}\n", r"sets convert_gpt2\.names to 3; it should be a list"),
}


@pytest.mark.parametrize(("text", "message"), WRONG.values(), ids=WRONG)
def test_an_overlay_of_another_form_is_named(project: Path, text: str, message: str):
    write_text(project / "recipes/typo.yaml", text)
    with pytest.raises(UserError, match=message):
        recipe_text("typo")


@pytest.mark.parametrize("text", ["", "<<<<<<< HEAD\nschema: '2.0'\n=======\n"], ids=["empty", "conflict"])
def test_a_lock_that_cannot_be_read_is_named_and_nothing_is_written(project: Path, text: str):
    write_recipe("sample")
    before = (project / "params.yaml").read_text()
    write_text(project / "dvc.lock", text)
    with pytest.raises(UserError, match=r"dvc\.lock (is no valid YAML|holds no sections).*from git again"):
        write_recipe("large")
    assert ((project / "params.yaml").read_text(), (project / "dvc.lock").read_text()) == (before, text)
