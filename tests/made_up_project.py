"""A DVC project of two stages that take no time, and one that nobody asks for; `runs.txt` beside it says what ran."""

import os
import subprocess
import sys
from pathlib import Path

import pytest

# The accuracies are made up from the parameters, and each run leaves a line behind.
STAGE = """
import json, os, pathlib, sys, yaml
name = sys.argv[1]
params = yaml.safe_load(open("params.yaml"))
seed = params["prepare_sms_spam"]["seed"]
if seed == params["prepare_sms_spam"]["fails_at"] and not os.environ.get("REPAIRED"):
    sys.exit("broken")
with open(os.environ["RUNS"], "a") as runs:
    runs.write(f"{name} {seed}\\n")
pathlib.Path("metrics").mkdir(exist_ok=True)
ours = params["finetune_classifier"]["gain"] + params["finetune_classifier"]["seeds"][0] / 100
scores = {"accuracy": 0.8 + ours - seed / 10, "tfidf_accuracy": 0.8 - seed / 20}
if len(params["finetune_classifier"]["seeds"]) > 1:
    scores["ensemble_accuracy"] = 0.9 + sum(params["finetune_classifier"]["seeds"]) / 100
json.dump(scores, open(f"metrics/{name}.json", "w"))
"""
DVC_YAML = """
stages:
  finetune_classifier:
    cmd: python stage.py finetune_classifier
    params: [prepare_sms_spam, finetune_classifier]
    deps: [stage.py]
    metrics: [{metrics/finetune_classifier.json: {cache: false}}]
  score_sms_baselines:
    cmd: python stage.py score_sms_baselines
    params: [prepare_sms_spam]
    deps: [stage.py]
    metrics: [{metrics/score_sms_baselines.json: {cache: false}}]
  report:
    cmd: "false"
    metrics: [{metrics/report.json: {cache: false}}]
"""
PARAMS = """
prepare_sms_spam: {{seed: 9, fails_at: {fails_at}}}
finetune_classifier: {{base: pretrained, gain: {gain}, seeds: [0], lora: {{r: 8, alpha: 16}}}}
convert_gpt2: {{names: [124M]}}
"""


def make_project(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A committed git and DVC repository, which is the working folder from now on."""
    folder = tmp_path / "project"
    folder.mkdir()
    (folder / "dvc.yaml").write_text(DVC_YAML)
    (folder / "stage.py").write_text(STAGE)
    (folder / "params.yaml").write_text(PARAMS.format(fails_at="null", gain=0.1))
    for name in [name for name in os.environ if name.startswith(("DVC", "GIT_"))]:
        monkeypatch.delenv(name)
    monkeypatch.setenv("DVC_ROOT", str(folder))
    monkeypatch.setenv("RUNS", str(tmp_path / "runs.txt"))
    monkeypatch.setenv("PATH", f"{Path(sys.executable).parent}{os.pathsep}{os.environ['PATH']}")
    monkeypatch.chdir(folder)
    for command in (
        ["git", "init", "-q"],
        ["git", "config", "user.email", "test@example.com"],
        ["git", "config", "user.name", "test"],
        [sys.executable, "-m", "dvc", "init", "-q"],
        ["git", "add", "-A"],
        ["git", "commit", "-qm", "state"],
    ):
        subprocess.run(command, check=True, capture_output=True)
    return folder


def stages_run(project: Path) -> list[str]:
    """What ran so far, as `STAGE SEED`."""
    runs = project.parent / "runs.txt"
    return runs.read_text().splitlines() if runs.exists() else []
