"""Files that somebody made to do harm: each is read in a child with limits, and ends as read or as one clear line."""

import random
import shutil
from collections.abc import Iterator
from pathlib import Path

from tests.faults.hostile_formats.archives import ZIP
from tests.faults.hostile_formats.checkpoints import TENSORFLOW_DATA, TENSORFLOW_INDEX
from tests.faults.hostile_formats.format import Format
from tests.faults.hostile_formats.json_files import JSON
from tests.faults.hostile_formats.params_yaml import PARAMS_YAML
from tests.faults.hostile_formats.safetensors_files import SAFETENSORS
from tests.faults.hostile_formats.tables import PARQUET, TEXT_TABLES
from tests.faults.hostile_formats.tokenizer_files import TOKENIZER, VOCABULARY
from tests.faults.result import Result
from tests.faults.sandbox import call_in_children

FORMATS = (
    ZIP,
    TENSORFLOW_INDEX,
    TENSORFLOW_DATA,
    SAFETENSORS,
    TOKENIZER,
    VOCABULARY,
    JSON,
    TEXT_TABLES,
    PARQUET,
    PARAMS_YAML,
)
LONGEST_LINE = 2_000


def run(count: int, folder: Path, seed: int) -> Iterator[Result]:
    """Read `count` files of each format."""
    for form in FORMATS:
        faults, refused = try_format(form, count, folder / form.name, seed)
        note = f"{refused:,} refused in one line, {count - refused - len(faults):,} read"
        yield Result(f"hostile {form.name}", count, len(faults), note="; ".join([note, *faults[:3]]))


def try_format(form: Format, count: int, folder: Path, seed: int) -> tuple[list[str], int]:
    """What went wrong with `count` files of a format, and how many were refused."""
    rng = random.Random(f"{seed} {form.name}")
    make = form.prepare(folder / "made")
    calls, expected = [], []
    for number in range(count):
        place = folder / f"{number}" / "inside"
        place.mkdir(parents=True)
        calls.append((make(place, number, rng), place))
        expected.append({path.name for path in place.iterdir()} | form.writes)
    outcomes = list(call_in_children(calls))
    found = [
        _fault(outcome) or _stray(place, names)
        for outcome, (_, place), names in zip(outcomes, calls, expected, strict=True)
    ]
    shutil.rmtree(folder)
    faults = [f"file {number}: {fault[:300]}" for number, fault in enumerate(found) if fault]
    return faults, sum(outcome.startswith("refused: ") for outcome in outcomes)


def _fault(outcome: str) -> str:
    if outcome == "read":
        return ""
    line = outcome.removeprefix("refused: ")
    is_clear = outcome != line and len(line) <= LONGEST_LINE and line.isprintable()
    return "" if is_clear else outcome


def _stray(place: Path, expected: set[str]) -> str:
    """A file that nobody asked for."""
    found = {path.name for path in place.iterdir()} - expected
    found |= {path.name for path in place.parent.iterdir()} - {place.name}
    return f"wrote {min(found)}" if found else ""
