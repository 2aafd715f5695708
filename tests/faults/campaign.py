"""Every fault many times over, counted: `python -m tests.faults.campaign [SUBJECT ...] [--count N] [--seed N]`.

Prints a table in Markdown, a row as soon as it is known; ends with exit code 1 if anything was lost.
"""

import argparse
import importlib
import sys
import tempfile
import time
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

from tests.faults.result import HEADER, Result


@dataclass(frozen=True)
class Subject:
    """A part of the campaign: how often its fault is tried by default, and the module whose `run` tries it.

    `run(count, folder, seed)` gives a Result or several, from an empty folder of its own.
    """

    name: str
    count: int
    module: str


SUBJECTS = (  # in the order of the table
    Subject("kills", 200, "tests.faults.kills"),
    Subject("verdicts", 200, "tests.faults.verdicts"),
    Subject("ranks", 10, "tests.faults.ranks"),
    Subject("dvc_kills", 20, "tests.faults.dvc_kills"),
    Subject("resume", 200, "tests.faults.resume"),
    Subject("stop_signals", 40, "tests.faults.stop_signals"),
    Subject("full_disk", 50, "tests.faults.full_disk"),
    Subject("two_at_once", 100, "tests.faults.two_at_once"),
    Subject("corruption", 1_000, "tests.faults.corruption"),
    Subject("downloads", 50, "tests.faults.downloads"),
    Subject("hostile", 500, "tests.faults.hostile"),
)


def run_subject(subject: Subject, count: int, folder: Path, seed: int) -> Iterator[Result]:
    """Import the module of a subject and give what it finds."""
    folder.mkdir(parents=True)
    found = importlib.import_module(subject.module).run(count, folder, seed)
    yield from [found] if isinstance(found, Result) else found


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    names = [subject.name for subject in SUBJECTS]
    parser.add_argument("subject", nargs="*", metavar="SUBJECT", help=f"of {', '.join(names)}; all if none is given")
    parser.add_argument("--count", type=int, help="how often each fault is tried, in place of the subject's number")
    parser.add_argument("--seed", type=int, default=0, help="of the moments and places that are drawn")
    options = parser.parse_args()
    if unknown := set(options.subject) - set(names):
        parser.error(f"no subject {', '.join(sorted(unknown))}; there are {', '.join(names)}")
    failed = False
    print(HEADER, flush=True)
    with tempfile.TemporaryDirectory() as folder:
        for subject in SUBJECTS:
            if options.subject and subject.name not in options.subject:
                continue
            start = time.perf_counter()
            for result in run_subject(
                subject, options.count or subject.count, Path(folder) / subject.name, options.seed
            ):
                failed |= result.failed
                print(result.row(), flush=True)
            print(f"{subject.name}: {time.perf_counter() - start:,.0f} s", file=sys.stderr)
    sys.exit(int(failed))


if __name__ == "__main__":
    main()
