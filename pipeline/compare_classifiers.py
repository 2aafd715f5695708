"""Compares the classifier with its baselines on the same test messages."""

from pathlib import Path

from scratchlm.artifacts import write_json
from scratchlm.checksums import verify_sha256
from scratchlm.datasets.sms_spam import read_split
from scratchlm.stages import run_stage
from scratchlm.training.scores import accuracy_difference

OURS = Path("data/predictions/classifier.csv")
TFIDF = Path("data/predictions/tfidf.csv")
ZERO_SHOT = Path("data/predictions/zero_shot.csv")
METRICS = Path("metrics/compare_classifiers.json")
COLUMNS = ("label", "predicted", "text")


def main() -> None:
    for path in (OURS, TFIDF, ZERO_SHOT):
        verify_sha256(path)
    ours, metrics = read_split(OURS, COLUMNS), {}
    for name, path in {"tfidf": TFIDF, "zero_shot": ZERO_SHOT}.items():
        difference = accuracy_difference(ours, read_split(path, COLUMNS))
        metrics |= {f"difference_to_{name}": difference["mean"]}
        metrics |= {f"difference_to_{name}_{end}": difference[end] for end in ("low", "high")}
    write_json(METRICS, metrics)


if __name__ == "__main__":
    run_stage("compare_classifiers", main)
