"""Shards written under datatrove's local executor are those of the stage, and are looked at again on every run."""

import shutil
from collections.abc import Callable
from pathlib import Path

import pytest
from datatrove.executor import LocalPipelineExecutor

from scratchlm.datasets.datatrove_sharding import ShardFiles
from scratchlm.datasets.sharding import shard_corpus
from scratchlm.errors import UserError
from scratchlm.workspace import joined_work_folder, work_folder
from tests.corpora import DOCUMENT, file_hashes, write_corpus
from tests.records import sha256_directory

FILES = {f"{letter}.jsonl": [f"{letter}{number} " * 20 for number in range(20)] for letter in "abcdefg"}
TASKS = 3

Run = Callable[[ShardFiles, bool], None]

pytestmark = pytest.mark.usefixtures("one_worker")


@pytest.fixture
def corpus(project: Path) -> Path:
    return write_corpus(project / "corpus", FILES)


@pytest.fixture
def step(corpus: Path, tokenizer: Path) -> ShardFiles:
    return ShardFiles(corpus, tokenizer, DOCUMENT)


@pytest.fixture
def run(project: Path) -> Run:
    def run(step: ShardFiles, skip_completed: bool) -> None:
        logs = str(project / "logs")
        LocalPipelineExecutor([step], TASKS, workers=1, logging_dir=logs, skip_completed=skip_completed).run()

    return run


def test_the_bytes_are_those_of_one_machine_and_no_file_is_sharded_twice(
    step: ShardFiles, run: Run, corpus: Path, tokenizer: Path, project: Path
):
    run(step, False)
    written = {path: path.stat().st_mtime_ns for path in sorted(step.work.rglob("*.bin"))}
    shard_corpus(corpus, tokenizer, DOCUMENT, project / "tokens")
    assert {path: path.stat().st_mtime_ns for path in sorted(step.work.rglob("*.bin"))} == written
    assert {path.parent.name for path in written} == FILES.keys()
    shutil.rmtree(project / ".work")
    shard_corpus(corpus, tokenizer, DOCUMENT, project / "alone")
    assert file_hashes(project / "tokens") == file_hashes(project / "alone")


def test_what_was_deleted_or_altered_since_is_written_again_where_datatrove_alone_would_skip_it(
    step: ShardFiles, run: Run
):
    run(step, False)
    whole = sha256_directory(step.work / "files")
    (step.work / "files/a.jsonl/train-00000.bin").unlink()
    shutil.rmtree(step.work / "files/b.jsonl")
    altered = step.work / "files/c.jsonl/val-00000.bin"
    altered.write_bytes(altered.read_bytes()[::-1])
    truncated = step.work / "files/d.jsonl/train-00001.bin"
    truncated.write_bytes(truncated.read_bytes()[:-2])
    damaged = sha256_directory(step.work / "files")
    run(step, True)
    assert sha256_directory(step.work / "files") == damaged  # datatrove has marked these tasks as done
    run(step, False)
    assert sha256_directory(step.work / "files") == whole


def test_while_tasks_are_at_work_the_stage_stops_with_one_line(
    step: ShardFiles, corpus: Path, tokenizer: Path, project: Path
):
    with joined_work_folder(step.work), joined_work_folder(step.work):
        with pytest.raises(UserError, match="another shard_corpus with the same parameters is running"):
            shard_corpus(corpus, tokenizer, DOCUMENT, project / "tokens")
        with pytest.raises(UserError, match="another shard_corpus with the same parameters is running"):
            ShardFiles(corpus, tokenizer, DOCUMENT)


def test_a_task_stops_where_the_stage_is_at_work_or_the_code_has_changed(step: ShardFiles, project: Path):
    with work_folder("shard_corpus", {}) as alone, pytest.raises(UserError, match="is running"):
        joined_work_folder(alone).__enter__()
    code = step.work / "code.json"
    code.write_text(code.read_text().replace(': "', ': "0', 1))
    with pytest.raises(UserError, match=r"\.py changed since .* was made; start again"):
        step.run()


def test_near_duplicates_are_no_job_for_many_machines(corpus: Path, tokenizer: Path):
    with pytest.raises(UserError, match=r"set shard_corpus\.near_duplicates"):
        ShardFiles(corpus, tokenizer, DOCUMENT.model_copy(update={"near_duplicates": "drop"}))
