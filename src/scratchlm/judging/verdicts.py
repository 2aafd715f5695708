"""What a judge said about an item: kept in SQLite so that nothing is paid twice, and read as scores."""

import json
import math
import sqlite3
import threading
from collections.abc import Mapping, Sequence
from contextlib import closing
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any, Self

import numpy as np
from scipy import stats

from scratchlm.errors import UserError
from scratchlm.judging.rubric import RUBRICS, UnreadableReplyError
from scratchlm.statistics import bootstrap_interval


@dataclass(frozen=True)
class Verdict:
    """The raw replies of a judge about one item: the answer and, if it could not be read, those to the re-asks.

    `model` is the name that the server returned; `unread_tokens` of the prompt did not fit a local judge's context.
    """

    rubric: str
    model: str
    replies: list[str]
    status: str
    prompt_tokens: int
    completion_tokens: int
    unread_tokens: int = 0


class VerdictStore:
    """Verdicts in an SQLite file, by the sha256 of everything that determines them; threads may share it."""

    def __init__(self, path: Path) -> None:
        path.parent.mkdir(parents=True, exist_ok=True)
        self._lock = threading.Lock()
        self._connection = sqlite3.connect(path, timeout=60, check_same_thread=False)
        try:
            self._connection.execute("PRAGMA journal_mode = WAL")
            with self._connection as connection:
                connection.execute("CREATE TABLE IF NOT EXISTS verdicts (key TEXT PRIMARY KEY, verdict TEXT NOT NULL)")
        except sqlite3.DatabaseError as error:
            self._connection.close()
            raise UserError(f"{path} cannot be used ({error}); move it away to judge anew.") from None

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *error: object) -> None:
        self._connection.close()

    def get(self, key: str) -> Verdict | None:
        """The verdict stored under a key."""
        with self._lock, closing(self._connection.cursor()) as cursor:
            row = cursor.execute("SELECT verdict FROM verdicts WHERE key = ?", (key,)).fetchone()
        return Verdict(**json.loads(row[0])) if row else None

    def put(self, key: str, verdict: Verdict) -> None:
        """Store a verdict; it is on the disk when this returns."""
        with self._lock, self._connection as connection:
            connection.execute("INSERT OR REPLACE INTO verdicts VALUES (?, ?)", (key, json.dumps(asdict(verdict))))


def read_score(row: Mapping[str, Any]) -> float | None:
    """The score of a row of replies.jsonl, 0 to 100, as its rubric reads it now; None where no reply is readable."""
    if row["rubric"] not in RUBRICS:
        raise UserError(
            f"item {row['id']} was judged by the rubric {row['rubric']!r}, which is not known; judge again."
        )
    for reply in map(str, row["replies"]):
        try:
            return RUBRICS[row["rubric"]].read(reply)
        except UnreadableReplyError:
            continue
    return None


def count_replies(replies: Sequence[Mapping[str, Any]]) -> dict[str, int]:
    """Items, re-asks, tokens, and prompts that a local judge could not read whole."""
    return {
        "items": len(replies),
        "re_asks": sum(len(row["replies"]) - 1 for row in replies),
        "prompt_tokens": sum(row["prompt_tokens"] for row in replies),
        "completion_tokens": sum(row["completion_tokens"] for row in replies),
        "cut_prompts": sum(row["unread_tokens"] > 0 for row in replies),
    }


def summarize_scores(scores: Sequence[float | None], max_unparsed_rate: float) -> dict[str, float]:
    """The mean of the parsed scores with its bootstrap interval, and the mean with the unparsed as 0 and as 100.

    UserError if more than `max_unparsed_rate` of the items, or all of them, are unparsed.
    """
    parsed = [score for score in scores if score is not None]
    unparsed = len(scores) - len(parsed)
    if not parsed or unparsed > max_unparsed_rate * len(scores):
        raise UserError(
            f"{unparsed} of {len(scores)} judgements could not be read, more than score_judgements.max_unparsed_rate "
            f"{max_unparsed_rate}; see status `unparsed` in the replies, and take another judge or raise the limit."
        )
    ci_low, ci_high = bootstrap_interval(parsed)
    return {
        "items": len(scores),
        "unparsed": unparsed,
        "score": math.fsum(parsed) / len(parsed),
        "score_ci_low": ci_low,
        "score_ci_high": ci_high,
        "score_low": math.fsum(parsed) / len(scores),
        "score_high": (math.fsum(parsed) + 100 * unparsed) / len(scores),
    }


def rank_agreement(scores: Sequence[float | None], others: Sequence[float]) -> float | None:
    """Spearman's rank correlation of the parsed scores with another figure of the items; None if one is constant."""
    pairs = np.array([(score, other) for score, other in zip(scores, others, strict=True) if score is not None])
    if len(pairs) < 2 or not np.ptp(pairs, axis=0).all():
        return None
    correlation: Any = stats.spearmanr(pairs)
    return float(correlation.statistic)


def histogram(scores: Sequence[float | None]) -> list[dict[str, int]]:
    """How many scores lie in each tenth of the scale; the last one includes 100."""
    tenths = [min(int(score // 10), 9) for score in scores if score is not None]
    return [
        {"score_from": 10 * tenth, "score_to": 10 * tenth + 10, "count": tenths.count(tenth)} for tenth in range(10)
    ]
