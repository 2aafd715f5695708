"""Reads, deduplicates, balances and splits the SMS messages, and counts what it did."""

from pathlib import Path

from scratchlm.artifacts import write_csv, write_json
from scratchlm.datasets.sms_spam import (
    ReadConfig,
    SplitConfig,
    length_histogram,
    read_sms_spam,
    split_sms_spam,
    write_sms_spam,
)
from scratchlm.params import read_params
from scratchlm.stages import run_stage

RAW = Path("data/raw/sms_spam.tsv")
SPLITS = Path("data/sms_spam")
METRICS = Path("metrics/prepare_sms_spam.json")
LENGTHS = Path("metrics/plots/prepare_sms_spam_lengths.csv")


class Params(ReadConfig, SplitConfig):
    """Section `prepare_sms_spam` of params.yaml."""


def main() -> None:
    params = read_params("prepare_sms_spam", Params)
    messages = read_sms_spam(RAW, params)
    frames, counts = split_sms_spam(messages, params)
    write_sms_spam(SPLITS, frames)
    write_csv(LENGTHS, length_histogram(messages), ["length", "ham", "spam"])
    write_json(METRICS, counts)


if __name__ == "__main__":
    run_stage("prepare_sms_spam", main)
