"""Sources from which nothing can be fetched."""

from tests.faults.changes import own_file, put
from tests.faults.wrong_input.case import Case

SOURCES = [
    Case("unknown source", "fetch_sms_spam", put("fetch_sms_spam.source", "uic"), ("'uic'", "sample, uci")),
    Case(
        "own file is not there",
        "fetch_instructions",
        put("fetch_instructions.source", {"url": "nowhere.json", "sha256": "0" * 64}),
        ("nowhere.json is no file",),
    ),
    Case(
        "own file has another sha256",
        "fetch_instructions",
        own_file("fetch_instructions.source", "own.json", b"[]", "0" * 64),
        ("own.json has sha256 4f53", "correct the sha256"),
    ),
    Case(
        "URL of another scheme",
        "fetch_sms_spam",
        put("fetch_sms_spam.source", {"url": "ftp://127.0.0.1/a.tsv", "sha256": "0" * 64}),
        ("ftp://127.0.0.1/a.tsv", "http"),
    ),
    Case(
        "no network",
        "fetch_sms_spam",
        put("fetch_sms_spam.source", {"url": "http://127.0.0.1:9/a.tsv", "sha256": "0" * 64}),
        ("http://127.0.0.1:9/a.tsv", "SCRATCHLM_MIRROR", "source: sample"),
    ),
    Case(
        "mirror that is no folder",
        "fetch_sms_spam",
        put("fetch_sms_spam.source", "uci"),
        ("SCRATCHLM_MIRROR is 'nowhere'",),
        environment={"SCRATCHLM_MIRROR": "nowhere"},
    ),
    Case(
        "archive that is cut",
        "fetch_sms_spam",
        own_file("fetch_sms_spam.source", "own.zip", b"PK\x03\x04" + bytes(60)),
        ("archive cannot be read", "download it again"),
    ),
    Case(
        "corpus file of unknown format",
        "fetch_corpus",
        own_file("fetch_corpus.sources", "own.docx", b"text"),
        ("own.docx ends in '.docx'", ".parquet"),
    ),
    Case(
        "two corpus files of one name",
        "fetch_corpus",
        put("fetch_corpus.sources", ["the_verdict", "the_verdict"]),
        ("two files the name the_verdict.txt",),
    ),
]
