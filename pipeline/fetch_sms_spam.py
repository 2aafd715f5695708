"""Brings the SMS messages of the chosen source here, as one tab-separated file."""

from pathlib import Path
from tempfile import TemporaryDirectory

from scratchlm.artifacts import write_json
from scratchlm.checksums import write_sha256
from scratchlm.datasets.download import fetch
from scratchlm.datasets.sms_spam_reading import extract_sms_spam
from scratchlm.datasets.sources import SMS_SPAM, FileSource, find_source
from scratchlm.params import Schema, read_params
from scratchlm.stages import run_stage

RAW = Path("data/raw/sms_spam.tsv")
METRICS = Path("metrics/fetch_sms_spam.json")


class Params(Schema):
    """Section `fetch_sms_spam` of params.yaml."""

    source: FileSource | str


def main() -> None:
    source = find_source(SMS_SPAM, read_params("fetch_sms_spam", Params).source)
    with TemporaryDirectory() as folder:
        download = Path(folder) / "download"
        sha256 = fetch(source.urls, source.sha256, download, offline="fetch_sms_spam.source: sample")
        extract_sms_spam(download, RAW)
    write_sha256(RAW)
    write_json(METRICS, {"source_sha256": sha256, "bytes": RAW.stat().st_size})


if __name__ == "__main__":
    run_stage("fetch_sms_spam", main)
