"""What the campaign disturbs: a tiny project for each stage, and the stage in a process forked from a warm one.

Most kills of a new process would fall into its imports.
"""

import importlib
import multiprocessing
import os
import sys
import time
from collections.abc import Callable
from dataclasses import dataclass, field
from multiprocessing.connection import Connection
from multiprocessing.process import BaseProcess
from pathlib import Path
from typing import Any

from scratchlm.artifacts import write_jsonl
from scratchlm.checksums import write_manifest
from scratchlm.models.gpt2_checkpoint import copy_vocabulary, write_gpt2
from scratchlm.stages import run_stage
from tests.corpora import write_byte_tokenizer, write_corpus, write_shards
from tests.faults.project import write_params
from tests.forks import warm_context
from tests.records import sha256_directory
from tests.tiny_model import save_tiny_model, tiny_gpt

STEPS = 12
PRETRAIN = {
    "n_layer": 1,
    "n_head": 2,
    "n_embd": 64,
    "context_length": 32,
    "dropout": 0.1,
    "steps": STEPS,
    "batch_tokens": 128,
    "micro_batch_size": 2,
    "eval_every_steps": 5,
    "eval_tokens": 256,
    "save_every_steps": 1,
    "sample_prompts": ["a"],
    "sample": {
        "max_new_tokens": 4,
        "temperature": 1.0,
        "top_k": None,
        "top_p": 1.0,
        "repetition_penalty": 1.0,
        "seed": 0,
    },
}
DATA, TOKENIZER = "data/gpt2/roundtrip", "data/tokenizer"
WRITING = os.O_WRONLY | os.O_RDWR
LOG = "log.txt"
STARTED, WRITE, CHECKPOINT = b"started", b"write", b"checkpoint"


@dataclass(frozen=True)
class Writer:
    """A stage, with one item of a matrix stage as its argument, and what fills the project that it runs in."""

    what: str
    stage: str
    prepare: Callable[[Path], None]
    arguments: tuple[str, ...] = ()
    params: dict[str, Any] = field(default_factory=dict)

    def make_project(self, folder: Path) -> Path:
        """A folder in which the stage can run."""
        folder.mkdir(parents=True)
        write_params(folder, {self.stage: self.params})
        self.prepare(folder)
        return folder


def prepare_shards(folder: Path) -> None:
    tokenizer = write_byte_tokenizer(folder / TOKENIZER)
    texts = [f"the cat number {n} sat on the mat. " * 5 for n in range(20)]
    write_shards(folder / "data/tokens", tokenizer, {"train": texts, "val": texts[:2]}, shard_tokens=2_000)
    for part in ("train", "val"):
        for file in [*(folder / f"data/tokens-{part}").iterdir()]:
            file.unlink()
        (folder / f"data/tokens-{part}").rmdir()


def prepare_corpus(folder: Path) -> None:
    write_byte_tokenizer(folder / TOKENIZER)
    texts = [f"text {n} of this file. " * 20 for n in range(40)]
    write_corpus(folder / "data/raw/corpus", {f"{name}.jsonl": texts for name in "abc"})


def prepare_checkpoint(folder: Path) -> None:
    model = tiny_gpt()
    pretrained = save_tiny_model(folder / "data/models/pretrained", model)
    (folder / DATA).mkdir(parents=True)
    copy_vocabulary(pretrained, folder / DATA)
    write_gpt2(model.config, ((name, tensor.numpy()) for name, tensor in model.state_dict().items()), folder / DATA)
    write_manifest(folder / DATA)


def prepare_instruct(folder: Path) -> None:
    save_tiny_model(folder / "data/models/instruct", tiny_gpt(context_length=320))
    entries = [{"instruction": f"Say {n}.", "input": "", "output": f"{n}"} for n in range(16)]
    write_jsonl(folder / "data/instructions/test.jsonl", entries)
    write_manifest(folder / "data/instructions")


TRAINING = Writer("checkpoints while a model trains, and the model", "pretrain", prepare_shards, params=PRETRAIN)
SHARDS = Writer("token shards", "shard_corpus", prepare_corpus, params={"val_fraction": 0.3, "shard_tokens": 5_000})
CONVERSION = Writer("converted model", "convert_gpt2", prepare_checkpoint, ("roundtrip",))
RESPONSES = Writer(
    "responses",
    "generate_responses",
    prepare_instruct,
    params={"max_new_tokens": 4, "batch_size": 4, "temperature": 1.0},
)


class Running:
    """A stage at work in a process forked from one that has imported all that it needs.

    It tells when it begins to make or rename a file or a folder, and which of these is a checkpoint. At the write with
    the number `waits_at` it waits to be killed. `change` is called in it first.
    """

    def __init__(
        self, writer: Writer, folder: Path, waits_at: int | None = None, change: Callable[[], None] | None = None
    ) -> None:
        self.heard, told = multiprocessing.Pipe(duplex=False)
        arguments = (writer.stage, writer.arguments, folder, told, waits_at, change)
        self.process: BaseProcess = warm_context().Process(target=_run, args=arguments)
        self.process.start()
        told.close()
        self.writes = self.checkpoints = 0
        self._hear(lambda said: said == STARTED)

    def wait_for_write(self, number: int) -> None:
        """Return when the write with this number begins, or the process has ended."""
        self._hear(lambda said: self.writes == number)

    def kill(self) -> None:
        """What `kill -9` does."""
        self.process.kill()
        self.wait()

    def wait(self) -> int:
        """The exit code."""
        self._hear(lambda said: False)
        self.heard.close()
        self.process.join()
        code = self.process.exitcode
        self.process.close()
        assert code is not None
        return code

    def _hear(self, is_last: Callable[[bytes], bool]) -> None:
        try:
            while True:
                said = self.heard.recv_bytes()
                self.writes += said in {WRITE, CHECKPOINT}
                self.checkpoints += said == CHECKPOINT
                if is_last(said):
                    return
        except (EOFError, OSError):  # it has ended
            pass


def results(folder: Path) -> dict[str, str]:
    """The sha256 of all that a stage wrote into a project, but for its state and its timings."""
    files = sha256_directory(folder)
    return {name: sha256 for name, sha256 in files.items() if not name.startswith((".work/", "metrics/runs/", LOG))}


def _run(
    stage: str,
    arguments: tuple[str, ...],
    folder: Path,
    told: Connection,
    waits_at: int | None,
    change: Callable[[], None] | None,
) -> None:
    os.chdir(folder)
    os.environ["DVC_ROOT"] = str(folder)
    sys.argv = [stage, *arguments]
    with (folder / LOG).open("a") as log:
        os.dup2(log.fileno(), 1)
        os.dup2(log.fileno(), 2)
    if change:
        change()
    told.send_bytes(STARTED)
    _tell_writes(told, waits_at)
    run_stage(stage, importlib.import_module(f"pipeline.{stage}").main, *arguments)


def _tell_writes(told: Connection, waits_at: int | None) -> None:
    writes = 0

    def hook(event: str, arguments: tuple[Any, ...]) -> None:
        nonlocal writes
        if event in {"os.mkdir", "os.rename"} or (event == "open" and (arguments[2] or 0) & WRITING):
            writes += 1
            is_checkpoint = event == "os.rename" and Path(os.fsdecode(arguments[1])).name.startswith("step-")
            told.send_bytes(CHECKPOINT if is_checkpoint else WRITE)
            while writes == waits_at:
                time.sleep(1)

    sys.addaudithook(hook)
