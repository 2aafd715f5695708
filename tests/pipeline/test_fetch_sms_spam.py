"""The stage fetch_sms_spam, as DVC runs it."""

from pathlib import Path

from scratchlm.artifacts import read_json
from scratchlm.checksums import sha256_file
from scratchlm.datasets.sources import SMS_SPAM
from tests.conftest import Workspace


def test_uci_comes_from_the_mirror_as_one_tab_separated_file(workspace: Workspace, mirror: Path):
    workspace.set("fetch_sms_spam.source", "uci")
    assert workspace.run("fetch_sms_spam").returncode == 0
    assert (workspace.path / "data/raw/sms_spam.tsv").read_bytes().count(b"\n") == 5574
    metrics = read_json(workspace.path / "metrics/fetch_sms_spam.json")
    assert metrics == {"source_sha256": SMS_SPAM["uci"].sha256, "bytes": 477907}


def test_ones_own_file_is_taken_and_an_unknown_name_is_one_line(workspace: Workspace):
    own = workspace.path / "own.tsv"
    own.write_text("ham\thello\n")
    workspace.set("fetch_sms_spam.source", {"url": "own.tsv", "sha256": sha256_file(own)})
    assert workspace.run("fetch_sms_spam").returncode == 0
    assert (workspace.path / "data/raw/sms_spam.tsv").read_text() == "ham\thello\n"
    workspace.set("fetch_sms_spam.source", "usi")
    result = workspace.run("fetch_sms_spam")
    assert result.returncode == 1
    assert result.stderr.startswith("fetch_sms_spam: source 'usi' is none of sample, uci")
    assert result.stderr.count("\n") == 1
