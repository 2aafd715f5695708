"""What a judge said about an item, kept in SQLite so that nothing is paid twice."""

import json
import sqlite3
import threading
from contextlib import closing
from dataclasses import asdict, dataclass, field
from pathlib import Path
from typing import Any, Self

from scratchlm.errors import UserError


@dataclass(frozen=True)
class Verdict:
    """The raw replies of a judge about one prompt: the answer and, if it could not be read, those to the re-asks.

    `model` is the name that the server returned, `honoured` what its probe found of the fields that it accepts;
    `unread_tokens` of the prompt did not fit a local judge's context.
    """

    model: str
    replies: list[dict[str, Any]]
    status: str
    prompt_tokens: int
    completion_tokens: int
    unread_tokens: int = 0
    honoured: list[str] = field(default_factory=list)


class VerdictStore:
    """Verdicts, and what servers honour, in an SQLite file, by the sha256 of everything that determines them.

    Threads may share it.
    """

    def __init__(self, path: Path) -> None:
        path.parent.mkdir(parents=True, exist_ok=True)
        self._lock = threading.Lock()
        self._connection = sqlite3.connect(path, timeout=60, check_same_thread=False)
        try:
            self._connection.execute("PRAGMA journal_mode = WAL")
            with self._connection as connection:
                connection.execute("CREATE TABLE IF NOT EXISTS verdicts (key TEXT PRIMARY KEY, verdict TEXT NOT NULL)")
                connection.execute("CREATE TABLE IF NOT EXISTS probes (key TEXT PRIMARY KEY, found TEXT NOT NULL)")
        except sqlite3.DatabaseError as error:
            self._connection.close()
            raise UserError(f"{path} cannot be used ({error}); move it away to judge anew.") from None

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *error: object) -> None:
        self._connection.close()

    def get(self, key: str) -> Verdict | None:
        """The verdict stored under a key."""
        text = self._read("SELECT verdict FROM verdicts WHERE key = ?", key)
        return Verdict(**json.loads(text)) if text else None

    def put(self, key: str, verdict: Verdict) -> None:
        """Store a verdict; it is on the disk when this returns."""
        self._write("INSERT OR REPLACE INTO verdicts VALUES (?, ?)", key, json.dumps(asdict(verdict)))

    def get_probe(self, key: str) -> dict[str, Any] | None:
        """What was found of a server."""
        text = self._read("SELECT found FROM probes WHERE key = ?", key)
        return json.loads(text) if text else None

    def put_probe(self, key: str, found: dict[str, Any]) -> None:
        """Store what was found of a server."""
        self._write("INSERT OR REPLACE INTO probes VALUES (?, ?)", key, json.dumps(found))

    def _read(self, query: str, key: str) -> str | None:
        with self._lock, closing(self._connection.cursor()) as cursor:
            row = cursor.execute(query, (key,)).fetchone()
        return row[0] if row else None

    def _write(self, query: str, key: str, text: str) -> None:
        with self._lock, self._connection as connection:
            connection.execute(query, (key, text))
