"""Shards and models go to an S3 and come back as the same bytes, and an interrupted push goes on."""

import os
import re
import shutil
import signal
import subprocess
import sys
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import httpx
import pytest

from scratchlm.datasets.tokenizers import load_tokenizer
from tests.conftest import ROOT
from tests.corpora import write_byte_tokenizer, write_shards
from tests.records import sha256_directory
from tests.tiny_model import save_tiny_model

BUCKET = "scratchlm"
DVC = (sys.executable, "-m", "dvc")
SECRET = "no-secret-of-anybody"


class Project:
    """A DVC repository of token shards and a model, whose remote is a bucket."""

    def __init__(self, path: Path) -> None:
        self.path = path
        tokenizer = write_byte_tokenizer(path / "tokenizer")
        texts = [f"document {number} " * 20 for number in range(20)]
        write_shards(path / "data/tokens", tokenizer, {"train": texts[:16], "val": texts[16:]}, shard_tokens=700)
        assert load_tokenizer(path / "tokenizer").sha256 == tokenizer.sha256
        save_tiny_model(path / "data/models/pretrained")
        self.dvc("init", "-q", "--no-scm")
        self.dvc("add", "-q", "data/tokens", "data/models/pretrained")

    def use(self, url: str) -> None:
        """As docs/scale.md says for a server that is not Amazon's."""
        self.dvc("remote", "add", "-q", "-f", "-d", "storage", f"s3://{BUCKET}/dvc")
        self.dvc("remote", "modify", "storage", "endpointurl", url)

    def environment(self) -> dict[str, str]:
        """Credentials come from the environment alone."""
        own = {name: value for name, value in os.environ.items() if not name.startswith(("DVC", "AWS"))}
        secrets = {"AWS_ACCESS_KEY_ID": "test", "AWS_SECRET_ACCESS_KEY": SECRET, "AWS_DEFAULT_REGION": "us-east-1"}
        return {**own, **secrets, "DVC_NO_ANALYTICS": "1", "NO_PROXY": "127.0.0.1"}

    def dvc(self, *arguments: str) -> str:
        done = subprocess.run([*DVC, *arguments], cwd=self.path, env=self.environment(), capture_output=True, text=True)
        assert done.returncode == 0, done.stdout + done.stderr
        return done.stdout

    def forget(self) -> None:
        """What another machine has: no data, no cache."""
        shutil.rmtree(self.path / ".dvc/cache")
        shutil.rmtree(self.path / "data/tokens")
        shutil.rmtree(self.path / "data/models/pretrained")


@pytest.fixture
def project(tmp_path: Path) -> Project:
    return Project(tmp_path)


@contextmanager
def s3_server(*limit: str) -> Iterator[tuple[str, subprocess.Popen[str]]]:
    """The URL and the process of `tests.s3_server`."""
    command = [sys.executable, "-m", "tests.s3_server", BUCKET, *limit]
    pipes = {"stdin": subprocess.PIPE, "stdout": subprocess.PIPE, "stderr": subprocess.DEVNULL}
    with subprocess.Popen(command, cwd=ROOT, text=True, **pipes) as server:
        assert server.stdout is not None
        try:
            yield server.stdout.readline().strip(), server
        finally:
            server.kill()


def stored(url: str) -> set[str]:
    """The names of the objects in the bucket."""
    listing = httpx.get(f"{url}/{BUCKET}", params={"list-type": "2"}, trust_env=False)
    return set(re.findall(r"<Key>(.*?)</Key>", listing.text))


def test_a_pull_gives_the_bytes_that_were_pushed(project: Project):
    hashes = sha256_directory(project.path / "data")
    with s3_server() as (url, _):
        project.use(url)
        project.dvc("push", "-q")
        project.forget()
        project.dvc("pull", "-q")
        assert sha256_directory(project.path / "data") == hashes
        assert "in sync" in project.dvc("status", "--cloud")
    settings = [path.read_text(errors="replace") for path in (project.path / ".dvc").glob("config*")]
    assert settings
    assert not any(SECRET in text for text in settings)


@pytest.mark.slow  # some fifteen seconds of DVC
def test_an_interrupted_push_goes_on(project: Project):
    hashes = sha256_directory(project.path / "data")
    with s3_server("5") as (url, server):
        project.use(url)
        push = subprocess.Popen([*DVC, "push", "-q", "--jobs", "2"], cwd=project.path, env=project.environment())
        while len(arrived := stored(url)) < 5:
            assert push.poll() is None
            time.sleep(0.05)
        push.send_signal(signal.SIGKILL)
        push.wait()
        assert server.stdin is not None
        server.stdin.write("\n")
        server.stdin.flush()
        missing = int(re.findall(r"(\d+) files? pushed", project.dvc("push"))[0])
        assert arrived < stored(url)
        assert missing == len(stored(url)) - len(arrived)
        project.forget()
        project.dvc("pull", "-q")
    assert sha256_directory(project.path / "data") == hashes
