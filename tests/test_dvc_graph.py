"""The whole graph under DVC, with models that take seconds: what runs again, and what comes from the cache."""

import json
import os
import re
import shutil
import subprocess
import sys
from pathlib import Path

import pytest
from ruamel.yaml import YAML

from scratchlm.checksums import sha256_file
from tests.conftest import ROOT

pytestmark = [pytest.mark.slow, pytest.mark.timeout(900)]

COPIED = (
    "dvc.yaml",
    "params.yaml",
    ".dvcignore",
    ".gitignore",
    ".dvc/config",
    ".dvc/plots",
    "recipes",
    "pipeline",
    "src",
    "data/sample",
    "rubrics",
)
TINY = {"n_layer": 1, "n_head": 2, "n_embd": 16, "steps": 20, "eval_every_steps": 10, "save_every_steps": 10}
RATE = "finetune_classifier.learning_rate"


class Project:
    """A checkout of its own, in which `dvc` runs."""

    def __init__(self, path: Path) -> None:
        self.path = path
        for name in COPIED:
            copy = shutil.copytree if (ROOT / name).is_dir() else shutil.copyfile
            (path / name).parent.mkdir(parents=True, exist_ok=True)
            copy(ROOT / name, path / name)
        self._write_params()
        self.run("git", "init", "-q")
        self.run("git", "config", "user.email", "test@example.com")
        self.run("git", "config", "user.name", "test")

    def run(self, *command: str) -> str:
        """What a command prints; it has to succeed."""
        environment = {name: value for name, value in os.environ.items() if not name.startswith(("DVC", "SCRATCHLM"))}
        environment["PATH"] = f"{Path(sys.executable).parent}{os.pathsep}{environment['PATH']}"
        done = subprocess.run(command, cwd=self.path, env=environment, capture_output=True, text=True)
        assert done.returncode == 0, done.stdout + done.stderr
        return done.stdout

    def commit(self) -> None:
        """Commit everything that git sees."""
        self.run("git", "add", "-A")
        self.run("git", "commit", "-qm", "state")

    def _write_params(self) -> None:
        yaml = YAML()
        params = yaml.load(self.path / "params.yaml")
        corpus = self.path / "text.txt"
        corpus.write_text("\n\n".join((ROOT / "README.md").read_text() for _ in range(10)))
        params["fetch_corpus"]["sources"] = [{"url": "text.txt", "sha256": sha256_file(corpus)}]
        params["build_tokenizer"]["vocab_size"] = 400
        params["shard_corpus"] |= {"split": "tail", "val_fraction": 0.1}
        params["pretrain"] |= TINY
        params["continue_pretraining"] |= {"steps": 10, "eval_every_steps": 10, "learning_rate": 1e-3}
        for stage in ("finetune_classifier", "finetune_instruct"):
            params[stage]["epochs"] = 1
        yaml.dump(params, self.path / "params.yaml")


def stages_run(output: str) -> list[str]:
    """The stages that DVC executed."""
    return re.findall(r"^Running stage '([^']+)'", output, flags=re.MULTILINE)


@pytest.fixture(scope="module")
def project(tmp_path_factory: pytest.TempPathFactory) -> Project:
    """A project after its first run, committed."""
    project = Project(tmp_path_factory.mktemp("project"))
    project.run("dvc", "repro")
    project.commit()
    return project


def test_a_second_repro_runs_nothing_and_leaves_no_untracked_file(project: Project):
    assert stages_run(project.run("dvc", "repro")) == []
    assert project.run("git", "status", "--porcelain") == ""


def test_an_experiment_runs_what_depends_on_its_parameter_and_the_way_back_runs_nothing(project: Project):
    output = project.run("dvc", "exp", "run", "-S", f"{RATE}=5e-4", "--name", "slower")
    assert stages_run(output) == ["finetune_classifier", "compare_classifiers", "report"]
    changed = json.loads(project.run("dvc", "metrics", "diff", "--json"))
    # The comparison runs too, but a tiny classifier may be right on as many messages as before.
    assert set(changed) - {"metrics/compare_classifiers.json"} == {"metrics/finetune_classifier.json"}
    assert "slower" in project.run("dvc", "exp", "show", "--csv", "--only-changed")
    project.run("dvc", "plots", "diff")
    assert "finetune_classifier_loss" in (project.path / "dvc_plots/index.html").read_text()
    output = project.run("dvc", "exp", "run", "-S", f"{RATE}=1e-3", "--name", "back")
    assert stages_run(output) == []
    assert json.loads(project.run("dvc", "metrics", "diff", "--json")) == {}


def test_an_experiment_in_another_folder_runs_its_own_code_and_leaves_this_one_alone(project: Project):
    code = project.path / "src/scratchlm/training/instruction_tuning.py"
    code.write_text(code.read_text().replace("SAMPLES = 3", "SAMPLES = 1"))
    before = project.run("git", "status", "--porcelain")
    output = project.run("dvc", "exp", "run", "--temp", "-S", "finetune_instruct.epochs=2", "--name", "longer")
    assert stages_run(output)[0] == "finetune_instruct"
    assert "generate_responses" in stages_run(output)
    assert "finetune_classifier" not in stages_run(output)
    assert project.run("git", "status", "--porcelain") == before
    saved = project.run("dvc", "exp", "show", "--json")
    assert "longer" in saved


def test_splits_are_repeated_with_uncommitted_params_and_share_what_does_not_depend_on_them(project: Project):
    params = project.path / "params.yaml"
    committed = params.read_text()
    params.write_text(committed.replace("position: last #", "position: mean #"))
    before = project.run("git", "status", "--porcelain")
    command = ["env", "PYTHONPATH=src", "python", "-c", "from scratchlm.cli import app; app()", "repeat"]
    table = json.loads(project.run(*command, "--splits", "2", "--output", "json"))
    assert [row["seed"] for row in table["rows"]] == [0, 1]
    assert all(0 <= row[key] <= 1 for row in table["rows"] for key in ("accuracy", "tfidf_accuracy"))
    assert project.run("git", "status", "--porcelain") == before
    again = project.run(*command, "--splits", "2", "--output", "csv")
    assert again.splitlines()[0] == "seed,accuracy,tfidf_accuracy,difference"
    params.write_text(committed)


def test_pretraining_is_continued_on_demand_and_fine_tuned_from(project: Project):
    changes = ["-S", "continue_pretraining.names=[domain]", "-S", "finetune_classifier.base=domain"]
    ran = stages_run(project.run("dvc", "exp", "run", *changes, "--name", "domain"))
    assert ran.index("continue_pretraining@domain") < ran.index("finetune_classifier")
    assert {"pretrain", "convert_gpt2@roundtrip"}.isdisjoint(ran)
    measured = json.loads(project.run("dvc", "metrics", "show", "--json"))[""]["data"]
    assert measured["metrics/continue_pretraining_domain.json"]["data"]["steps"] == 10
    assert "data/models/domain" in (project.path / "data/models/classifier/README.md").read_text()


def test_preferences_are_fetched_and_tuned_on_on_demand_and_the_tuned_model_answers(project: Project):
    changes = ["-S", "finetune_dpo.names=[dpo]", "-S", "generate_responses.model=dpo"]
    ran = stages_run(project.run("dvc", "exp", "run", *changes, "--name", "dpo"))
    stages = ["fetch_preferences@dpo", "prepare_preferences@dpo", "finetune_dpo@dpo", "generate_responses"]
    assert [stage for stage in ran if stage in stages] == stages
    assert {"finetune_instruct", "finetune_classifier"}.isdisjoint(ran)
    measured = json.loads(project.run("dvc", "metrics", "show", "--json"))[""]["data"]
    assert measured["metrics/finetune_dpo_dpo.json"]["data"]["test_pairs"] > 0
