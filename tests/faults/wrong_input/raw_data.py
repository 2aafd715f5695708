"""Messages and instructions that cannot be prepared."""

import json
from typing import Any

from tests.faults.changes import all_of, put, remove, write
from tests.faults.wrong_input.case import ENTRIES, SMS, Case

RAW_SMS, RAW_ENTRIES = "data/raw/sms_spam.tsv", "data/raw/instructions.json"
NAMED = all_of(put(f"{SMS}.separator", "comma"), put(f"{SMS}.columns", {"label": "class", "text": "body"}))


def entries(*values: Any) -> bytes:
    return json.dumps(values).encode()


RAW_DATA = [
    Case("no messages", SMS, remove(RAW_SMS), (f"{RAW_SMS} is missing", "dvc repro")),
    Case("unknown label", SMS, write(RAW_SMS, b"ham\thi\nspm\tWIN\n"), ("line 2", "spm")),
    Case("line without a tab", SMS, write(RAW_SMS, b"ham hi\n"), ("line 1", "'ham hi'", "tab")),
    Case("messages in Latin-1", SMS, write(RAW_SMS, b"ham\tcaf\xe9\n"), ("is not UTF-8",)),
    Case("empty class", SMS, write(RAW_SMS, b"ham\thi\nham\tyou\n"), ("spam",)),
    Case("splits that stay empty", SMS, write(RAW_SMS, b"ham\ta\nspam\tb\n"), ("train_fraction 0.7",)),
    Case("wrong columns", SMS, all_of(NAMED, write(RAW_SMS, b"label,text\n")), ("named 'class'", "label, text")),
    Case(
        "quote that is not closed",
        SMS,
        all_of(put(f"{SMS}.quoting", "csv"), write(RAW_SMS, b'ham\t"hi\n')),
        ("cannot be read with quoting csv", "prepare_sms_spam.quoting"),
    ),
    Case("no instructions", ENTRIES, remove(RAW_ENTRIES), (f"{RAW_ENTRIES} is missing", "dvc repro")),
    Case("instructions in Latin-1", ENTRIES, write(RAW_ENTRIES, b'["caf\xe9"]'), (RAW_ENTRIES, "utf-8")),
    Case("brackets without end", ENTRIES, write(RAW_ENTRIES, b"[" * 100_000), ("no valid JSON", "recursion")),
    Case("instructions are no JSON", ENTRIES, write(RAW_ENTRIES, b"[{]"), ("no valid JSON", "line 1")),
    Case("entry that is no object", ENTRIES, write(RAW_ENTRIES, entries("hi")), ("entry 1", '"hi"', "an object")),
    Case(
        "entry without an output",
        ENTRIES,
        write(RAW_ENTRIES, entries({"instruction": "Say hi.", "output": " "})),
        ("entry 1 has no output",),
    ),
    Case(
        "output that is no text",
        ENTRIES,
        write(RAW_ENTRIES, entries({"instruction": "Add.", "output": 4})),
        ("entry 1", "output is 4", "a text"),
    ),
    Case("no entry at all", ENTRIES, write(RAW_ENTRIES, b"[]"), ("has no entries", "fetch_instructions.source")),
    Case("folder that cannot be written", SMS, write("metrics", b""), ("metrics", "then run again")),
]
