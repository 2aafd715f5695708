"""Reads, deduplicates, balances and splits the SMS messages, and counts what it did."""

from pathlib import Path

from scratchlm.artifacts import write_csv, write_json
from scratchlm.checksums import verify_sha256
from scratchlm.datasets.sms_spam import SplitConfig, class_balance, length_histogram, split_sms_spam, write_sms_spam
from scratchlm.datasets.sms_spam_reading import ReadConfig, read_sms_spam
from scratchlm.params import read_params
from scratchlm.stages import run_stage

RAW = Path("data/raw/sms_spam.tsv")
SPLITS = Path("data/sms_spam")
METRICS = Path("metrics/prepare_sms_spam.json")
LENGTHS = Path("metrics/plots/prepare_sms_spam_lengths.csv")
CLASSES = Path("metrics/plots/prepare_sms_spam_classes.csv")


class Params(ReadConfig, SplitConfig):
    """Section `prepare_sms_spam` of params.yaml."""


def main() -> None:
    params = read_params("prepare_sms_spam", Params)
    verify_sha256(RAW)
    messages = read_sms_spam(RAW, params)
    frames, counts = split_sms_spam(messages, params.labels, params)
    write_sms_spam(SPLITS, frames, params.labels)
    write_csv(LENGTHS, length_histogram(messages, params.labels), ["length", "label", "messages"])
    write_csv(CLASSES, class_balance(counts, params.labels), ["part", "label", "messages"])
    write_json(METRICS, counts)


if __name__ == "__main__":
    run_stage("prepare_sms_spam", main)
