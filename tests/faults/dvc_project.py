"""A git and DVC repository with one stage, the tiny training of the campaign."""

import os
import subprocess
import sys
import time
from pathlib import Path

from tests.conftest import ROOT
from tests.faults.project import write_params
from tests.faults.writers import PRETRAIN, prepare_shards

DVC_YAML = """
stages:
  pretrain:
    cmd: python -m pipeline.pretrain
    params: [pretrain]
    deps: [data/tokens, data/tokenizer]
    outs: [data/models/pretrained, data/samples/pretrain.jsonl]
    metrics: [{metrics/pretrain.json: {cache: false}}]
"""
IGNORED = "/.work/\n/metrics/runs/\n"


class DvcProject:
    """The repository, in which `dvc` runs as a user runs it."""

    def __init__(self, path: Path, steps: int) -> None:
        self.path, self.steps = path, steps
        path.mkdir(parents=True)
        write_params(path, {"pretrain": PRETRAIN | {"steps": steps}})
        prepare_shards(path)
        (path / "dvc.yaml").write_text(DVC_YAML)
        (path / ".gitignore").write_text(IGNORED)
        for command in ("git init -q", "git config user.email a@b.c", "git config user.name test", "dvc init -q"):
            self.finish(self.start(*command.split()))
        for command in ("dvc config core.analytics false", "git add -A", "git commit -qm start"):
            self.finish(self.start(*command.split()))

    def start(self, *command: str) -> subprocess.Popen[str]:
        """Start a command in a process group of its own."""
        environment = {name: value for name, value in os.environ.items() if not name.startswith(("DVC", "SCRATCHLM"))}
        environment["PATH"] = f"{Path(sys.executable).parent}{os.pathsep}{environment['PATH']}"
        environment["PYTHONPATH"] = os.pathsep.join([str(ROOT), str(ROOT / "src")])
        environment["OMP_NUM_THREADS"] = "1"
        return subprocess.Popen(
            command,
            cwd=self.path,
            env=environment,
            stdout=subprocess.PIPE,
            stderr=subprocess.STDOUT,
            text=True,
            start_new_session=True,
        )

    def finish(self, process: subprocess.Popen[str]) -> str:
        """What a command prints; it has to succeed."""
        output, _ = process.communicate()
        assert process.returncode == 0, output
        return output

    def wait_for(self, pattern: str, process: subprocess.Popen[str]) -> None:
        """Return when a file of this pattern is there."""
        while not any(self.path.glob(pattern)):
            assert process.poll() is None, process.communicate()[0]
            time.sleep(0.005)
