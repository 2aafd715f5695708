"""Verdicts in SQLite."""

import sqlite3
import subprocess
import sys
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import pytest

from scratchlm.errors import UserError
from scratchlm.judging.verdicts import Verdict, VerdictStore

VERDICT = Verdict("stub-7b", [{"content": "SCORE: 101"}, {"tool": "{}"}], "ok", 200, 12, honoured=["seed"])


def test_a_verdict_comes_back_as_it_was_stored_and_survives_a_new_connection(tmp_path: Path):
    with VerdictStore(tmp_path / "new" / "verdicts.sqlite") as store:
        assert store.get("key") is None
        store.put("key", VERDICT)
        assert store.get("key") == VERDICT
    with VerdictStore(tmp_path / "new" / "verdicts.sqlite") as store:
        assert store.get("key") == VERDICT


def test_threads_and_processes_share_a_store(tmp_path: Path):
    path = tmp_path / "verdicts.sqlite"
    with VerdictStore(path) as one, VerdictStore(path) as other, ThreadPoolExecutor(8) as pool:
        list(pool.map(lambda n: (one if n % 2 else other).put(f"{n}", VERDICT), range(40)))
        assert all(one.get(f"{n}") == VERDICT for n in range(40))


def test_a_verdict_is_kept_by_a_process_that_is_killed_right_after(tmp_path: Path):
    script = f"""
import os, signal
from pathlib import Path
from scratchlm.judging.verdicts import Verdict, VerdictStore
VerdictStore(Path({str(tmp_path / "verdicts.sqlite")!r})).put("key", Verdict("m", [{{}}], "ok", 1, 1))
os.kill(os.getpid(), signal.SIGKILL)
"""
    subprocess.run([sys.executable, "-c", script], check=False)
    with VerdictStore(tmp_path / "verdicts.sqlite") as store:
        assert store.get("key") == Verdict("m", [{}], "ok", 1, 1)


def test_the_store_writes_ahead(tmp_path: Path):
    with VerdictStore(tmp_path / "verdicts.sqlite"):
        connection = sqlite3.connect(tmp_path / "verdicts.sqlite")
        assert connection.execute("PRAGMA journal_mode").fetchone() == ("wal",)
        connection.close()


def test_a_damaged_store_is_one_line_that_names_it(tmp_path: Path):
    (tmp_path / "verdicts.sqlite").write_bytes(b"no database at all, but long enough to be one" * 40)
    with pytest.raises(UserError, match=r"verdicts\.sqlite cannot be used"):
        VerdictStore(tmp_path / "verdicts.sqlite")


def test_what_a_server_honours_is_kept_beside_the_verdicts(tmp_path: Path):
    with VerdictStore(tmp_path / "verdicts.sqlite") as store:
        assert store.get_probe("key") is None
        store.put_probe("key", {"seed": True})
        assert store.get_probe("key") == {"seed": True}
        assert store.get("key") is None
