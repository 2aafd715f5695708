"""The tables say what the manifest of the mirror says, and a parameter picks from them."""

import csv
from pathlib import Path

import pytest
from pydantic import ValidationError

from scratchlm.checksums import sha256_file
from scratchlm.datasets.sources import (
    GPT2_CHECKPOINTS,
    GPT2_ENCODINGS,
    GPT2_FILES,
    GPT2_SIZES,
    INSTRUCTIONS,
    PREFERENCES,
    SMS_SPAM,
    TEXTS,
    FileSource,
    Source,
    find_source,
)
from scratchlm.errors import UserError

SHA256 = "0" * 64
SOURCES = [
    source
    for table in (SMS_SPAM, INSTRUCTIONS, PREFERENCES, TEXTS, GPT2_ENCODINGS, *GPT2_CHECKPOINTS.values())
    for source in table.values()
]


def test_hashes_are_those_of_the_mirrors_manifest(mirror: Path):
    with (mirror / "MANIFEST.tsv").open(encoding="utf-8", newline="") as file:
        known = {row["path"]: row["sha256"] for row in csv.DictReader(file, delimiter="\t")}
    checked = {
        source.name
        for source in SOURCES
        if (path := source.urls[0].removeprefix("https://")) in known and source.sha256 == known[path]
    }
    assert checked >= {"uci", "book", *TEXTS, *GPT2_ENCODINGS, *GPT2_FILES} - {"model.ckpt.data-00000-of-00001"}
    assert all(
        source.sha256 is None or source.sha256 in known.values() for source in SOURCES if "://" in source.urls[0]
    )


def test_samples_have_the_hash_of_the_committed_files():
    root = Path(__file__).resolve().parents[2]
    for table in (SMS_SPAM, INSTRUCTIONS, PREFERENCES):
        assert find_source(table, "sample").sha256 == sha256_file(root / table["sample"].urls[0])


def test_every_gpt2_size_has_seven_files_on_two_hosts():
    assert list(GPT2_CHECKPOINTS) == list(GPT2_SIZES)
    for size, table in GPT2_CHECKPOINTS.items():
        assert list(table) == list(GPT2_FILES)
        assert all(url.endswith(f"/{size}/{name}") for name, source in table.items() for url in source.urls)
        assert all(len(set(source.urls)) == 2 for source in table.values())


def test_a_name_picks_from_the_table_and_a_file_stands_for_itself():
    assert find_source(SMS_SPAM, "uci") is SMS_SPAM["uci"]
    own = find_source(SMS_SPAM, FileSource(url="mine.tsv", sha256=SHA256))
    assert own == Source("file", ("mine.tsv",), SHA256, "unknown")


def test_an_unknown_name_lists_those_there_are():
    with pytest.raises(UserError, match="source 'book' is none of sample, uci"):
        find_source(SMS_SPAM, "book")


def test_a_url_that_no_client_can_read_is_refused_with_the_params():
    with pytest.raises(ValidationError, match="should be a URL or a path: Invalid IPv6 URL"):
        FileSource(url="http://[example.org/a.txt", sha256=SHA256)
