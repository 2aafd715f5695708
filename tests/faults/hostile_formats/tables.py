"""Tables: CSV, TSV and Parquet."""

import random
import struct
from collections.abc import Callable
from pathlib import Path
from typing import Any

from scratchlm.datasets.documents import read_documents
from scratchlm.datasets.sms_spam import read_split
from scratchlm.datasets.sms_spam_reading import ReadConfig, read_sms_spam
from tests.faults.hostile_formats.format import Format, Make, Read, named_file
from tests.faults.mutations import mutate
from tests.faults.sandbox import call_in_children


def _prepare_tables(folder: Path) -> Make:
    plain = ReadConfig(labels=["ham", "spam"], separator="tab", quoting="none", columns=None)
    quoted = plain.model_copy(update={"quoting": "csv"})
    text = b'ham\tsee "you"\nspam\tWIN\n' * 3
    good: dict[str, tuple[bytes, Callable[[Path], object]]] = {
        "plain.tsv": (text, lambda path: read_sms_spam(path, plain)),
        "quoted.tsv": (text, lambda path: read_sms_spam(path, quoted)),
        "split.csv": (b'"label","text"\n"ham","hi"\n', read_split),
        "corpus.tsv": (b'id\ttext\n1\ta "b"\n2\tc\n', lambda path: list(read_documents(path))),
        "corpus.csv": (b'id,text\n1,"a ""b"\n2,c\n', lambda path: list(read_documents(path))),
    }

    def make(place: Path, number: int, rng: random.Random) -> Read:
        name = rng.choice(list(good))
        content, read = good[name]
        return named_file(mutate(content, rng), place / name, read)

    return make


def _prepare_parquet(folder: Path) -> Make:
    def write() -> None:
        import pyarrow as pa
        import pyarrow.parquet as pq

        rows = pa.table({"text": [f"text {n} " * 9 for n in range(300)], "id": list(range(300))})
        settings: list[dict[str, Any]] = [{}, {"compression": "zstd"}, {"compression": "none", "use_dictionary": False}]
        for number, options in enumerate(settings):
            pq.write_table(rows, folder / f"{number}.parquet", **options)

    folder.mkdir(parents=True)
    # In a child: this process must have no threads when it forks.
    assert list(call_in_children([(write, folder)])) == ["read"]
    good = [file.read_bytes() for file in sorted(folder.iterdir())]

    def footer_mutation(content: bytes, rng: random.Random) -> bytes:
        size = struct.unpack("<I", content[-8:-4])[0] if len(content) > 8 else 0
        footer = mutate(content[-8 - size : -8], rng)
        return content[: -8 - size] + footer + struct.pack("<I", len(footer)) + b"PAR1"

    def make(place: Path, number: int, rng: random.Random) -> Read:
        content = rng.choice(good)
        content = footer_mutation(content, rng) if rng.random() < 0.6 else mutate(content, rng)
        return named_file(
            content, place / "a.parquet", lambda path: [list(document) for document in read_documents(path)]
        )

    return make


TEXT_TABLES = Format("CSV and TSV", _prepare_tables)
PARQUET = Format("Parquet", _prepare_parquet)
