"""`python -m tests.reproducibility FOLDER`: what a run made here against what was committed, kept in FOLDER.

The data stages give the same bytes and metrics on every machine. What is trained differs where a processor rounds
differently, and may by the tolerance of `near`.
"""

import json
import sys
from pathlib import Path

from scratchlm.params import read_yaml
from tests.closure import ROOT

DATA_STAGES = (
    "fetch_sms_spam",
    "prepare_sms_spam",
    "fetch_instructions",
    "prepare_instructions",
    "fetch_corpus",
    "build_tokenizer",
    "shard_corpus",
)
RELATIVE, ABSOLUTE = 0.05, 0.15


def output_hashes(lock: Path, stage: str) -> dict[str, str]:
    """The hashes of what a stage wrote, from a dvc.lock."""
    return {out["path"]: out["md5"] for out in read_yaml(lock)["stages"][stage]["outs"]}


def differences(committed: Path) -> list[str]:
    """One line for each output of a data stage and each metric that is not what was committed."""
    lines = []
    for stage in DATA_STAGES:
        ours, theirs = (output_hashes(folder / "dvc.lock", stage) for folder in (ROOT, committed))
        lines += [f"{path}: {ours[path]}, committed {theirs[path]}" for path in ours if ours[path] != theirs.get(path)]
    for path in sorted((committed / "metrics").glob("*.json")):
        ours, theirs = json.loads((ROOT / "metrics" / path.name).read_text()), json.loads(path.read_text())
        if ours.keys() != theirs.keys():
            lines.append(f"{path.name}: the keys differ: {sorted(ours.keys() ^ theirs.keys())}")
        elif wrong := [key for key in ours if not near(ours, theirs, key, exact=path.stem in DATA_STAGES)]:
            lines += [f"{path.name}: {key} is {ours[key]}, committed {theirs[key]}" for key in wrong]
    return lines


def near(ours: dict[str, float], theirs: dict[str, float], key: str, exact: bool) -> bool:
    """Whether a measured figure is within 5 % or 0.15 of the committed one, or within its interval; counts may move."""
    if exact:
        return ours[key] == theirs[key]
    if key.endswith(("_low", "_high")) or isinstance(theirs[key], int):
        return True
    interval = theirs.get(f"{key}_low", theirs[key]), theirs.get(f"{key}_high", theirs[key])
    tolerance = max(RELATIVE * abs(theirs[key]), ABSOLUTE)
    return interval[0] - tolerance <= ours[key] <= interval[1] + tolerance


if __name__ == "__main__":
    found = differences(Path(sys.argv[1]))
    print("\n".join(found) or "every data output and metric is what was committed")
    sys.exit(bool(found))
