"""What a user, a file or a machine can get wrong, through the stages' own commands: one line, exit code 1, and no file
of the project changed."""

import shutil
import signal
import time
from pathlib import Path

import pytest

from scratchlm.models.classifier import GPTClassifier
from tests.conftest import Workspace
from tests.corpora import write_byte_tokenizer, write_corpus
from tests.faults.wrong_input.case import Case
from tests.faults.wrong_input.corpus import CORPUS
from tests.faults.wrong_input.edited_files import EDITED
from tests.faults.wrong_input.finetuning import FINETUNING
from tests.faults.wrong_input.judging import JUDGING
from tests.faults.wrong_input.models import MODELS
from tests.faults.wrong_input.parameters import PARAMETERS
from tests.faults.wrong_input.pretraining import PRETRAINING
from tests.faults.wrong_input.raw_data import RAW_DATA
from tests.faults.wrong_input.sources import SOURCES
from tests.records import sha256_directory
from tests.tiny_model import save_tiny_model, tiny_gpt

CASES = [*PARAMETERS, *SOURCES, *RAW_DATA, *CORPUS, *PRETRAINING, *FINETUNING, *MODELS, *JUDGING, *EDITED]
SETTINGS = {
    "shard_corpus.val_fraction": 0.3,
    "pretrain.n_layer": 1,
    "pretrain.n_head": 2,
    "pretrain.n_embd": 16,
    "pretrain.context_length": 32,
    "pretrain.steps": 20,
    "pretrain.batch_tokens": 64,
    "pretrain.micro_batch_size": 2,
    "pretrain.sample_prompts": [],
    "finetune_classifier.max_tokens": 64,
    "finetune_instruct.max_tokens": 256,
    "judge_responses.openai.max_attempts": 1,
}


@pytest.fixture(scope="module")
def prepared(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The data folder of a project in which every stage could run."""
    workspace = Workspace(tmp_path_factory.mktemp("prepared"))
    data = workspace.path / "data"
    for key, value in SETTINGS.items():
        workspace.set(key, value)
    write_corpus(
        data / "raw/corpus", {f"{name}.jsonl": [f"{name}, text {n}. " * 9 for n in range(20)] for name in "ab"}
    )
    write_byte_tokenizer(data / "tokenizer")
    for name in ("pretrained", "gpt2-roundtrip", "instruct"):
        save_tiny_model(data / "models" / name, tiny_gpt(context_length=320))
    classifier = GPTClassifier(tiny_gpt(context_length=320), n_classes=2)
    save_tiny_model(data / "models/classifier", classifier, class_names=["ham", "spam"], max_tokens=64)
    for sample in ("sms_spam", "instructions"):
        for stage in (f"fetch_{sample}", f"prepare_{sample}"):
            assert workspace.run(stage).returncode == 0
    assert workspace.run("shard_corpus").returncode == 0
    (data / "sample").unlink()
    return data


@pytest.fixture
def project(workspace: Workspace, prepared: Path) -> Workspace:
    """A copy of it."""
    shutil.copytree(prepared, workspace.path / "data", dirs_exist_ok=True)
    for key, value in SETTINGS.items():
        workspace.set(key, value)
    return workspace


def files_of(folder: Path) -> dict[str, str]:
    """The sha256 of each file of a project, but for what a rerun goes on from."""
    return {name: sha256 for name, sha256 in sha256_directory(folder).items() if not name.startswith(".work/")}


@pytest.mark.parametrize("case", CASES, ids=lambda case: case.wrong)
def test_what_is_wrong_is_one_line_and_changes_nothing(project: Workspace, case: Case):
    case.change(project)
    before = files_of(project.path)
    done = project.run(case.stage, *case.arguments, **case.environment)
    assert done.returncode == 1, done.stderr
    assert done.stdout == ""
    (line,) = done.stderr.splitlines()
    assert line.startswith(f"{case.stage}: ")
    for part in case.parts:
        assert part in line
    assert files_of(project.path) == before


def test_a_second_run_at_the_same_time_and_an_interrupt_are_one_line_each(project: Workspace):
    project.set("pretrain.steps", 100_000)
    project.set("pretrain.save_every_steps", 1)
    before = files_of(project.path)
    first = project.start("pretrain")
    while not list((project.path / ".work/pretrain").glob("*/step-*")):
        assert first.is_running(), first.wait().stderr
        time.sleep(0.01)
    second = project.run("pretrain")
    assert second.returncode == 1
    assert second.stderr.startswith("pretrain: another pretrain in this folder is running (")
    assert len(second.stderr.splitlines()) == 1
    first.send_signal(signal.SIGINT)
    done = first.wait(timeout_seconds=60)
    assert done.returncode == 130
    assert done.stderr.splitlines()[-1] == "pretrain: interrupted; the next run goes on from here."
    assert "Traceback" not in done.stderr
    assert files_of(project.path) == before
