"""What a user, a file or a machine does to a project: each function makes a change for the table of wrong inputs."""

import os
import shutil
from collections.abc import Callable
from typing import Any

from scratchlm.checksums import sha256_file
from tests.conftest import Workspace
from tests.corpora import write_corpus_manifest
from tests.records import edit_sealed, record_jsonl, renew_record

Change = Callable[[Workspace], None]


def put(key: str, value: Any) -> Change:
    """Set a parameter."""
    return lambda project: project.set(key, value)


def own_file(key: str, name: str, content: bytes, sha256: str | None = None) -> Change:
    """Name a file of one's own as the source, with its sha256 or a wrong one."""

    def change(project: Workspace) -> None:
        (project.path / name).write_bytes(content)
        choice = {"url": name, "sha256": sha256 or sha256_file(project.path / name)}
        project.set(key, [choice] if key == "fetch_corpus.sources" else choice)

    return change


def write(name: str, content: bytes) -> Change:
    """Give a file another content, as if the stage that made it had."""

    def change(project: Workspace) -> None:
        (project.path / name).write_bytes(content)
        renew_record(project.path / name)

    return change


def remove(name: str) -> Change:
    """Remove a file or a folder."""

    def change(project: Workspace) -> None:
        path = project.path / name
        shutil.rmtree(path) if path.is_dir() else path.unlink()

    return change


def truncate(name: str) -> Change:
    """Take the last byte of a file away."""

    def change(project: Workspace) -> None:
        os.truncate(project.path / name, (project.path / name).stat().st_size - 1)

    return change


def flip(name: str) -> Change:
    """Change one bit in the middle of a file."""

    def change(project: Workspace) -> None:
        content = bytearray((project.path / name).read_bytes())
        content[len(content) // 2] ^= 1
        (project.path / name).write_bytes(content)

    return change


def corpus(files: dict[str, bytes]) -> Change:
    """Put other files into the corpus, with their manifest."""

    def change(project: Workspace) -> None:
        folder = project.path / "data/raw/corpus"
        shutil.rmtree(folder)
        folder.mkdir()
        for name, content in files.items():
            (folder / name).write_bytes(content)
        write_corpus_manifest(folder)

    return change


def edit_json(name: str, **values: Any) -> Change:
    """Give entries of a sealed JSON object other values."""
    return lambda project: edit_sealed(project.path / name, **values)


def write_other_tokenizer(project: Workspace) -> None:
    """Give the tokenizer's file other bytes."""
    path = project.path / "data/tokenizer/tokenizer.json"
    path.write_text(path.read_text().replace("\n", " \n", 1))
    renew_record(path)


def write_answers(project: Workspace) -> None:
    """Write an answer to judge."""
    row = {"id": 0, "instruction": "Say hi.", "input": "", "output": "Hi.", "response": "Hi."}
    record_jsonl(project.path / "data/responses/test.jsonl", [row])


def all_of(*changes: Change) -> Change:
    """Several changes in turn."""
    return lambda project: nothing([change(project) for change in changes])


def nothing(_: object) -> None:
    """Change nothing: what is wrong is elsewhere."""
