"""What a judge said about an item, kept in SQLite so that nothing is paid twice."""

import json
import sqlite3
import threading
from collections.abc import Mapping, Sequence
from contextlib import closing
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any, Self

from scratchlm.errors import UserError


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


def count_replies(replies: Sequence[Mapping[str, Any]]) -> dict[str, int]:
    """Items, re-asks, tokens, and prompts that a local judge could not read whole."""
    return {
        "items": len(replies),
        "re_asks": sum(len(row["replies"]) - 1 for row in replies),
        "prompt_tokens": sum(row["prompt_tokens"] for row in replies),
        "completion_tokens": sum(row["completion_tokens"] for row in replies),
        "cut_prompts": sum(row["unread_tokens"] > 0 for row in replies),
    }
