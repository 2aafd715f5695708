"""What makes experiments one series, and their records as text; what DVC runs is in test_repeat.py."""

import json
import subprocess
from pathlib import Path

import pytest

from scratchlm.errors import UserError
from scratchlm.experiments import code_changes, format_records, read_project_params, series_name, with_params

PARAMS = {"prepare_sms_spam": {"seed": 0}, "finetune_classifier": {"lora": {"r": 8}}}
SEED = "prepare_sms_spam.seed"
RECORDS = [{"row": "1", "splits": 0}, {"row": "2", "splits": 2, "accuracy": 0.5}]


@pytest.fixture
def project(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A git repository with one commit."""
    monkeypatch.setenv("DVC_ROOT", str(tmp_path))
    (tmp_path / "src").mkdir()
    for name in ("params.yaml", "dvc.lock", "metrics/a.json", "src/code.py", "data.txt"):
        (tmp_path / name).parent.mkdir(exist_ok=True)
        (tmp_path / name).write_text("{}")
    identity = ["-c", "user.name=test", "-c", "user.email=test@example.com"]
    for arguments in (["init", "-q"], ["add", "-A"], [*identity, "commit", "-qm", "state"]):
        subprocess.run(["git", *arguments], cwd=tmp_path, check=True)
    return tmp_path


def test_other_parameters_are_another_series():
    assert series_name("repeat", PARAMS, ("", {})) == series_name("repeat", dict(reversed(PARAMS.items())), ("", {}))
    assert series_name("repeat", PARAMS, ("", {})) != series_name("repeat", with_params(PARAMS, {SEED: 1}), ("", {}))


@pytest.mark.parametrize("name", ["src/code.py", "data.txt", "src/new.py"])
def test_other_code_is_another_series(project: Path, name: str):
    before = series_name("repeat", PARAMS, code_changes())
    (project / name).write_text("changed")
    assert series_name("repeat", PARAMS, code_changes()) != before


@pytest.mark.parametrize("name", ["params.yaml", "dvc.lock", "metrics/a.json", "notes.txt"])
def test_what_the_stages_write_and_parameters_are_no_code(project: Path, name: str):
    before = code_changes()
    (project / name).write_text("changed")
    assert code_changes() == before


def test_parameters_are_changed_in_a_copy():
    changed = with_params(PARAMS, {SEED: 3, "finetune_classifier.lora": {"r": 4}})
    assert changed == {"prepare_sms_spam": {"seed": 3}, "finetune_classifier": {"lora": {"r": 4}}}
    assert PARAMS["prepare_sms_spam"] == {"seed": 0}


@pytest.mark.parametrize("key", ["prepare_sms_spam.sed", "seed", "prepare_sms_spam.seed.more"])
def test_a_parameter_that_is_not_there_is_one_line(key: str):
    with pytest.raises(UserError, match=f"{key} is no parameter of params.yaml"):
        with_params(PARAMS, {key: 1})


def test_outside_of_a_git_repository_is_one_line(tmp_path: Path, monkeypatch: pytest.MonkeyPatch):
    monkeypatch.setenv("DVC_ROOT", str(tmp_path))
    with pytest.raises(UserError, match="experiments need a git commit"):
        code_changes()


def test_the_parameters_of_the_project_are_read_as_they_stand(project: Path):
    (project / "params.yaml").write_text("a: {learning_rate: 6e-4}\n")
    assert read_project_params() == {"a": {"learning_rate": 6e-4}}


def test_records_are_a_table_csv_or_json():
    assert format_records(RECORDS, "table", ["one", "two"]) == "one\ntwo"
    assert format_records(RECORDS, "csv", []) == "row,splits,accuracy\n1,0,\n2,2,0.5"
    assert json.loads(format_records(RECORDS, "json", [])) == {"rows": RECORDS}
    assert json.loads(format_records(RECORDS, "json", [], {"mean": 0.5})) == {"rows": RECORDS, "summary": {"mean": 0.5}}
