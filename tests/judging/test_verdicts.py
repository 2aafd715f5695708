"""Verdicts in SQLite, and the figures made of them."""

import json
import sqlite3
import subprocess
import sys
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import pytest
from scipy import stats

from scratchlm.errors import UserError
from scratchlm.judging.verdicts import (
    Verdict,
    VerdictStore,
    count_replies,
    histogram,
    rank_agreement,
    read_score,
    summarize_scores,
)

VERDICT = Verdict("points-1", "stub-7b", ["SCORE: 101", "SCORE: 85"], "ok", 200, 12)


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
VerdictStore(Path({str(tmp_path / "verdicts.sqlite")!r})).put("key", Verdict("points-1", "m", ["SCORE: 1"], "ok", 1, 1))
os.kill(os.getpid(), signal.SIGKILL)
"""
    subprocess.run([sys.executable, "-c", script], check=False)
    with VerdictStore(tmp_path / "verdicts.sqlite") as store:
        assert store.get("key") == Verdict("points-1", "m", ["SCORE: 1"], "ok", 1, 1)


def test_the_store_writes_ahead(tmp_path: Path):
    with VerdictStore(tmp_path / "verdicts.sqlite"):
        connection = sqlite3.connect(tmp_path / "verdicts.sqlite")
        assert connection.execute("PRAGMA journal_mode").fetchone() == ("wal",)
        connection.close()


def test_a_damaged_store_is_one_line_that_names_it(tmp_path: Path):
    (tmp_path / "verdicts.sqlite").write_bytes(b"no database at all, but long enough to be one" * 40)
    with pytest.raises(UserError, match=r"verdicts\.sqlite cannot be used"):
        VerdictStore(tmp_path / "verdicts.sqlite")


def test_a_row_is_read_by_its_rubric_from_the_first_readable_reply():
    assert read_score({"id": 1, "rubric": "points-1", "replies": ["SCORE: 101", "SCORE: 85", "SCORE: 3"]}) == 85
    assert read_score({"id": 1, "rubric": "points-1", "replies": ["", "no", "never"]}) is None
    digits = json.dumps({"digit_probabilities": [0.1] * 10})
    assert read_score({"id": 1, "rubric": "digit-1", "replies": [digits]}) == pytest.approx(50)
    with pytest.raises(UserError, match="item 1 was judged by the rubric 'points-0'"):
        read_score({"id": 1, "rubric": "points-0", "replies": []})


def test_unparsed_judgements_widen_the_bounds_and_leave_the_mean():
    metrics = summarize_scores([80.0, 60.0, None, 100.0], max_unparsed_rate=0.25)
    assert (metrics["items"], metrics["unparsed"]) == (4, 1)
    assert (metrics["score_low"], metrics["score"], metrics["score_high"]) == (60, 80, 85)
    assert 60 <= metrics["score_ci_low"] <= 80 <= metrics["score_ci_high"] <= 100


def test_too_many_unparsed_judgements_are_an_error():
    assert summarize_scores([50.0] * 98 + [None] * 2, max_unparsed_rate=0.02)["unparsed"] == 2
    with pytest.raises(UserError, match=r"3 of 100 judgements could not be read.*max_unparsed_rate 0\.02"):
        summarize_scores([50.0] * 97 + [None] * 3, max_unparsed_rate=0.02)
    with pytest.raises(UserError, match="2 of 2"):
        summarize_scores([None, None], max_unparsed_rate=1.0)


def test_rank_agreement_is_spearmans_of_what_was_parsed():
    scores, others = [10.0, 40.0, None, 30.0, 90.0], [1.0, 5.0, 0.0, 2.0, 3.0]
    expected = stats.spearmanr([10, 40, 30, 90], [1, 5, 2, 3]).statistic
    assert rank_agreement(scores, others) == pytest.approx(expected)
    assert rank_agreement([50.0, 50.0], [1.0, 2.0]) is None
    assert rank_agreement([None, 50.0], [1.0, 2.0]) is None


def test_the_histogram_counts_every_score_once():
    rows = histogram([0.0, 9.9, 10.0, 55.0, 99.0, 100.0, None])
    assert [row["count"] for row in rows] == [2, 1, 0, 0, 0, 1, 0, 0, 0, 2]
    assert (rows[-1]["score_from"], rows[-1]["score_to"]) == (90, 100)


def test_replies_are_counted_with_their_tokens():
    row = {"replies": ["a", "b"], "prompt_tokens": 10, "completion_tokens": 2, "unread_tokens": 0}
    assert count_replies([row, {**row, "replies": ["a"], "unread_tokens": 3}]) == {
        "items": 2,
        "re_asks": 1,
        "prompt_tokens": 20,
        "completion_tokens": 4,
        "cut_prompts": 1,
    }
