"""Fixtures of all tests: the folder of real files, and a workspace in which a stage runs as DVC would run it."""

import os
import subprocess
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
from ruamel.yaml import YAML

from scratchlm.checksums import write_manifest
from scratchlm.datasets.tokenizer_building import fetch_gpt2
from scratchlm.datasets.tokenizers import write_byte_pair_tokenizer
from tests.closure import ROOT
from tests.file_server import FileServer
from tests.forks import PATHS, ForkedStage

SHARED = ROOT.parent / "shared"


def pytest_sessionfinish(session: pytest.Session, exitstatus: int) -> None:
    """Where the folder of real files is, a skipped test is a failure."""
    reporter = session.config.pluginmanager.get_plugin("terminalreporter")
    if exitstatus == 0 and SHARED.is_dir() and reporter.stats.get("skipped"):
        session.exitstatus = pytest.ExitCode.TESTS_FAILED


@pytest.fixture(scope="session")
def shared() -> Path:
    """The folder of real files beside the checkout; tests that need it are skipped where it is absent."""
    if not SHARED.is_dir():
        pytest.skip("no ../shared folder of real files")
    return SHARED


@pytest.fixture
def mirror(shared: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """The mirror of the sources' hosts, named by SCRATCHLM_MIRROR."""
    monkeypatch.setenv("SCRATCHLM_MIRROR", str(shared / "mirror"))
    return shared / "mirror"


@pytest.fixture(scope="session")
def gpt2_directory(shared: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The directory of GPT-2's tokenizer, from the files of the mirror."""
    directory = tmp_path_factory.mktemp("gpt2-tokenizer")
    with pytest.MonkeyPatch.context() as monkeypatch:
        monkeypatch.setenv("SCRATCHLM_MIRROR", str(shared / "mirror"))
        write_byte_pair_tokenizer(directory, *fetch_gpt2())
    write_manifest(directory)
    return directory


@pytest.fixture
def file_server() -> Iterator[FileServer]:
    """A server of files on 127.0.0.1 whose answers go wrong as the test's script says."""
    with FileServer() as server:
        yield server


class Workspace:
    """A project folder of a test: params.yaml and the sample data, and stages run as `python -m pipeline.STAGE`."""

    def __init__(self, path: Path) -> None:
        self.path = path
        self.yaml = YAML()
        self.params = self.yaml.load((ROOT / "recipes/sample.yaml").read_text())
        (path / "data").mkdir()
        (path / "data/sample").symlink_to(ROOT / "data/sample")
        (path / "rubrics").symlink_to(ROOT / "rubrics")
        self._write()

    def set(self, key: str, value: Any) -> None:
        """Set one parameter, as `dvc exp run -S key=value` does."""
        *parents, last = key.split(".")
        section = self.params
        for name in parents:
            section = section[name]
        section[last] = value
        self._write()

    def start(self, stage: str, *arguments: str, **environment: str) -> ForkedStage:
        """Start one stage in a process of its own, with DVC's environment."""
        return ForkedStage(self.path, stage, arguments, self.environment() | environment)

    def run(self, stage: str, *arguments: str, **environment: str) -> subprocess.CompletedProcess[str]:
        """Run one stage to its end."""
        return self.start(stage, *arguments, **environment).wait()

    def environment(self) -> dict[str, str]:
        """The environment that DVC gives to a stage."""
        return {**os.environ, "DVC_ROOT": str(self.path), "PYTHONPATH": PATHS}

    def _write(self) -> None:
        with (self.path / "params.yaml").open("w") as file:
            self.yaml.dump(self.params, file)


@pytest.fixture
def workspace(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Workspace:
    """A fresh project folder, which is also the working folder and $DVC_ROOT of the test itself."""
    path = tmp_path / "project"
    path.mkdir()
    monkeypatch.chdir(path)
    monkeypatch.setenv("DVC_ROOT", str(path))
    return Workspace(path)
