"""Every split is one experiment, what has run does not run again, and the checkout stays as it is."""

import contextlib
import json
import os
import subprocess
import sys
import time
from collections.abc import Sequence
from pathlib import Path

import psutil
import pytest
from typer.testing import CliRunner

from scratchlm.cli import cli
from scratchlm.errors import UserError
from scratchlm.repeat import TARGETS, repeat, repeat_table, summarize
from tests.made_up_project import PARAMS, STAGE, make_project, stages_run

# A stage does not go on until one of another experiment has begun as well.
MEETING = """
import time
meeting = pathlib.Path(os.environ["RUNS"]).with_name("meeting")
meeting.mkdir(exist_ok=True)
(meeting / pathlib.Path.cwd().name).touch()
deadline = time.monotonic() + 120
while len(list(meeting.iterdir())) < 2:
    time.sleep(0.1)
    assert time.monotonic() < deadline, "nobody else came"
"""

# A stage tells that it has begun, and does not end.
STUCK = """
import time
pathlib.Path(os.environ["RUNS"]).with_name("begun").touch()
if not os.environ.get("REPAIRED"):
    time.sleep(600)
"""


@pytest.fixture
def project(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    return make_project(tmp_path, monkeypatch)


def test_uncommitted_params_count_and_what_has_run_does_not_run_again(project: Path):
    (project / "params.yaml").write_text(PARAMS.format(fails_at="null", gain=0.15))
    changed = subprocess.run(["git", "status", "--porcelain"], capture_output=True, text=True).stdout
    (row,) = repeat(1, ["prepare_sms_spam.seed"], jobs=1)
    assert (row["accuracy"], row["tfidf_accuracy"]) == pytest.approx((0.95, 0.8))
    assert len(stages_run(project)) == 2
    assert repeat(1, ["prepare_sms_spam.seed"], jobs=1) == [row]
    assert len(stages_run(project)) == 2
    assert subprocess.run(["git", "status", "--porcelain"], capture_output=True, text=True).stdout == changed


@pytest.mark.slow  # some thirty seconds of DVC
def test_of_a_stage_that_need_not_run_the_metrics_are_those_of_its_split_not_those_of_the_commit(project: Path):
    dvc = [sys.executable, "-m", "dvc"]
    for command in ([*dvc, "repro", "-q", *TARGETS], ["git", "add", "-A"], ["git", "commit", "-qm", "another seed"]):
        subprocess.run(command, check=True)
    (project / "params.yaml").write_text(PARAMS.format(fails_at="null", gain=0.1).replace("seed: 9", "seed: 0"))
    subprocess.run([*dvc, "repro", "-q", *TARGETS], check=True)
    before = len(stages_run(project))
    for gain in (0.1, 0.15):  # of the first, nothing runs on split 0, and of the second the baseline does not
        (project / "params.yaml").write_text(PARAMS.format(fails_at="null", gain=gain).replace("seed: 9", "seed: 0"))
        rows = repeat(2, ["prepare_sms_spam.seed"], jobs=1)
        assert [row["accuracy"] for row in rows] == pytest.approx([0.8 + gain, 0.7 + gain])
        assert [row["tfidf_accuracy"] for row in rows] == pytest.approx([0.8, 0.75])
    assert stages_run(project)[before:].count("score_sms_baselines 0") == 0


@pytest.mark.slow  # some thirty seconds of DVC
def test_of_more_splits_only_the_new_ones_are_run(project: Path):
    rows = repeat(2, ["prepare_sms_spam.seed"], jobs=1)
    assert [row["accuracy"] for row in rows] == pytest.approx([0.9, 0.8])
    assert [row["tfidf_accuracy"] for row in rows] == pytest.approx([0.8, 0.75])
    assert len(stages_run(project)) == 4
    done = CliRunner().invoke(cli, ["repeat", "--splits", "3", "--output", "json"], catch_exceptions=False)
    assert [row["seed"] for row in json.loads(done.stdout)["rows"]] == [0, 1, 2]
    assert sorted(stages_run(project)[4:]) == ["finetune_classifier 2", "score_sms_baselines 2"]


@pytest.mark.slow  # some twenty seconds of DVC
def test_a_failure_is_one_line_and_the_next_call_goes_on(project: Path, monkeypatch: pytest.MonkeyPatch):
    (project / "params.yaml").write_text(PARAMS.format(fails_at=1, gain=0.1))
    with pytest.raises(UserError, match=r"1 of 2 experiments failed, `dvc queue logs repeat-[0-9a-f]{8}-1` says why"):
        repeat(2, ["prepare_sms_spam.seed"], jobs=1)
    monkeypatch.setenv("REPAIRED", "1")
    assert len(repeat(2, ["prepare_sms_spam.seed"], jobs=1)) == 2
    assert sorted(stages_run(project)) == sorted(
        f"{stage} {seed}" for stage in ("finetune_classifier", "score_sms_baselines") for seed in (0, 1)
    )


@pytest.mark.slow  # some forty seconds of DVC each
@pytest.mark.parametrize("spared", [(), ("exec-run", "stage.py")], ids=["all", "all but the stage"])
def test_after_a_kill_of_its_processes_the_next_call_goes_on(
    spared: Sequence[str], project: Path, monkeypatch: pytest.MonkeyPatch
):
    (project / "stage.py").write_text(STAGE.replace("params =", STUCK + "params =", 1))
    command = [Path(sys.executable).with_name("scratchlm"), "repeat", "--splits", "2"]
    caller = subprocess.Popen(command, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL)
    deadline = time.monotonic() + 120
    while not (project.parent / "begun").exists():
        time.sleep(0.1)
        assert caller.poll() is None
        assert time.monotonic() < deadline, "no stage began"
    assert bool(kill_processes(project, spared)) == bool(spared)
    caller.wait()
    monkeypatch.setenv("REPAIRED", "1")
    assert [row["accuracy"] for row in repeat(2, ["prepare_sms_spam.seed"], jobs=1)] == pytest.approx([0.9, 0.8])
    assert len(stages_run(project)) == 4


def kill_processes(project: Path, spared: Sequence[str]) -> list[str]:
    """Kill what runs for a project: the call, DVC, its worker, which is nobody's child, and the stage.

    What has one of the `spared` words in its command goes on; the words that were found are returned.
    """
    found = []
    marked = f"DVC_ROOT={project}".encode()
    for process in psutil.process_iter():
        with contextlib.suppress(OSError, psutil.NoSuchProcess):
            is_ours = marked in Path(f"/proc/{process.pid}/environ").read_bytes().split(b"\0")
            if is_ours and process.pid != os.getpid():
                if words := set(spared) & set(process.cmdline()):
                    found += words
                else:
                    process.kill()
    return found


@pytest.mark.slow  # some twenty seconds of DVC
def test_several_parameters_take_the_seed_and_a_change_of_code_is_another_series(project: Path):
    both = ["prepare_sms_spam.seed", "finetune_classifier.seeds"]
    assert [row["accuracy"] for row in repeat(1, both, jobs=1)] == pytest.approx([0.9])
    (project / "stage.py").write_text(STAGE.replace("0.8 + ours", "0.7 + ours"))
    assert [row["accuracy"] for row in repeat(2, both, jobs=1)] == pytest.approx([0.8, 0.71])


@pytest.mark.slow  # some twenty seconds of DVC
def test_a_module_that_is_not_yet_in_git_is_part_of_the_series_and_of_its_experiments(project: Path):
    gain = 'json.dump(scores | {"accuracy": GAIN}, open(f"metrics/{name}.json", "w"))'
    (project / "stage.py").write_text(STAGE.replace("import json", "from src.gain import GAIN\nimport json", 1) + gain)
    dvc_yaml = project / "dvc.yaml"
    dvc_yaml.write_text(dvc_yaml.read_text().replace("[stage.py]", "[stage.py, src/gain.py]"))
    (project / "src").mkdir()
    (project / "src/gain.py").write_text("GAIN = 0.25\n")
    assert [row["accuracy"] for row in repeat(1, ["prepare_sms_spam.seed"], jobs=1)] == pytest.approx([0.25])
    (project / "src/gain.py").write_text("GAIN = 0.5\n")
    assert [row["accuracy"] for row in repeat(1, ["prepare_sms_spam.seed"], jobs=1)] == pytest.approx([0.5])
    assert not (project / "src/__pycache__").exists()


@pytest.mark.slow  # some twenty seconds of DVC
def test_two_workers_are_at_work_at_once_and_measure_what_one_does(project: Path):
    (project / "stage.py").write_text(STAGE.replace("params =", MEETING + "params =", 1))
    rows = repeat(2, ["prepare_sms_spam.seed"], jobs=2)
    assert [row["accuracy"] for row in rows] == pytest.approx([0.9, 0.8])
    assert [row["tfidf_accuracy"] for row in rows] == pytest.approx([0.8, 0.75])
    assert len(stages_run(project)) == 4


ROWS = [
    {"seed": seed, "accuracy": accuracy, "tfidf_accuracy": 0.9, "difference": accuracy - 0.9}
    for seed, accuracy in enumerate((0.92, 0.94, 0.96))
]


def test_the_summary_is_mean_spread_and_paired_difference():
    summary = summarize(ROWS)
    assert summary["accuracy_mean"] == pytest.approx(0.94)
    assert summary["accuracy_std"] == pytest.approx(0.02)
    assert (summary["tfidf_accuracy_std"], summary["splits"]) == (0, 3)
    assert summary["difference_mean"] == pytest.approx(0.04)
    assert 0.02 - 1e-9 <= summary["difference_low"] < 0.04 < summary["difference_high"] <= 0.06 + 1e-9


def test_an_ensemble_has_a_column_and_a_difference_of_its_own():
    rows = [row | {"ensemble_accuracy": row["accuracy"] + 0.01, "ensemble_difference": 0.0} for row in ROWS]
    assert summarize(rows)["ensemble_difference_mean"] == pytest.approx(0.05)
    lines = list(repeat_table(rows))
    assert lines[0].split() == ["seed", "accuracy", "ensemble", "TF-IDF", "difference"]
    assert lines[1].split() == ["0", "92.00%", "93.00%", "90.00%", "+2.00%"]
    assert lines[-1].startswith("paired difference of the ensemble to TF-IDF +5.00%, 95 % interval")


def test_the_table_has_a_line_a_split_and_the_summary():
    lines = list(repeat_table(ROWS))
    assert lines[1].split() == ["0", "92.00%", "90.00%", "+2.00%"]
    assert lines[4].split() == ["mean", "94.00%", "90.00%"]
    assert lines[-1].startswith("paired difference to TF-IDF +4.00%, 95 % interval")
