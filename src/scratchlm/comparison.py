"""Two runs, item by item: what both answered and classified, the paired difference, and what it can tell."""

import math
import tempfile
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path

import numpy as np
from scipy import stats

from scratchlm.datasets.sms_spam import read_split
from scratchlm.errors import UserError
from scratchlm.judging.answers import read_answers, read_replies
from scratchlm.judging.chrf import chrf
from scratchlm.judging.reading import read_scores
from scratchlm.judging.scores import item_score, rank_agreement
from scratchlm.params import project_root
from scratchlm.statistics import paired_difference

RESPONSES = Path("data/responses/test.jsonl")
REPLIES = Path("data/judgements/replies.jsonl")
PREDICTIONS = Path("data/predictions/classifier.csv")
WORKSPACE = "workspace"  # the files as they are, whatever git and DVC know of them
RIGHT, CHRF, SCORE = MEASURES = ("messages classified right, %", "answers, chrF++", "answers, judge's score")
LENGTH = "words of the answer"
POWER = 0.8  # of the number of items that tells a difference

Items = dict[tuple[str, ...], float]  # the value of each item, by what the item is


@dataclass(frozen=True)
class Comparison:
    """One measure of the items that both runs have; `difference` is the second run minus the first."""

    measure: str
    items: int
    only_one_has: int
    first: float
    second: float
    difference: Mapping[str, float]
    wins: int
    ties: int
    losses: int
    items_needed: int | None  # to tell this difference from none, at this spread; None where there is no difference


@dataclass(frozen=True)
class Run:
    """The items of a run by measure, and who judged them: rubric, reading, and the names of the models."""

    measures: Mapping[str, Items]
    judge: str


@dataclass(frozen=True)
class Compared:
    """Each measure that both runs have, Spearman's correlation of scores with length by run, and what is left out."""

    measures: list[Comparison]
    spearman_with_length: dict[str, dict[str, float]]
    notes: list[str]


def compare(first: str, second: str) -> Compared:
    """Compare two revisions of git or DVC experiments, or `workspace`, measure by measure.

    Scores of different judges are not compared.
    """
    runs = {}
    for name in (first, second):
        with _files(name) as folder:
            runs[name] = read_run(folder)
    one, other = runs[first], runs[second]
    found = [_compare(measure, one.measures[measure], other.measures[measure]) for measure in MEASURES]
    if not any(comparison.items for comparison in found):
        raise UserError(f"{first} and {second} have no item in common; compare runs with the same test splits.")
    notes = [
        f"{row.measure}: {row.only_one_has} items stand in one run only and are left out"
        for row in found
        if row.items and row.only_one_has
    ]
    if one.judge != other.judge:
        found = [row for row in found if row.measure != SCORE]
        notes.append(f"{SCORE}: not compared, as {first} was judged by {one.judge}, {second} by {other.judge}")
    lengths = {name: _length_correlations(run.measures) for name, run in runs.items()}
    return Compared([row for row in found if row.items], lengths, notes)


def read_run(folder: Path) -> Run:
    """The items of a run; `folder` is a project, or holds the files of one that are read here."""
    answers = read_answers(folder / RESPONSES)
    keys = {answer["id"]: (answer["instruction"], answer["input"], answer["output"]) for answer in answers}
    replies = read_replies(folder / REPLIES, answers)
    scores = {item: item_score(samples) for item, samples in read_scores(replies).items()}
    models = sorted({row["model"] for row in replies if row["replies"]})
    messages = read_split(folder / PREDICTIONS, ("label", "predicted", "text"))
    right = (messages["label"] == messages["predicted"]).astype(float)
    measures = {
        RIGHT: dict(zip(zip(messages["label"], messages["text"], strict=True), 100 * right, strict=True)),
        CHRF: {keys[answer["id"]]: chrf(answer["response"], answer["output"]) for answer in answers},
        SCORE: {keys[item]: score for item, score in scores.items() if score is not None},
        LENGTH: {keys[answer["id"]]: float(len(answer["response"].split())) for answer in answers},
    }
    return Run(measures, f"{', '.join(models)} ({replies[0]['rubric']}, {replies[0]['reading']})")


@contextmanager
def _files(revision: str) -> Iterator[Path]:
    """A folder with what `read_run` reads of a revision, from DVC's cache or remote."""
    if revision == WORKSPACE:
        yield project_root()
        return
    from dvc.api import DVCFileSystem
    from dvc.exceptions import DvcException
    from scmrepo.exceptions import SCMError

    with tempfile.TemporaryDirectory() as folder:
        try:
            files = DVCFileSystem(url=str(project_root()), rev=revision)
            for path in (RESPONSES, REPLIES, PREDICTIONS):
                (Path(folder) / path).parent.mkdir(parents=True, exist_ok=True)
                files.get(str(path), str(Path(folder) / path))
        except (DvcException, SCMError, OSError) as error:
            raise UserError(
                f"the run {revision} cannot be read ({error}); name a revision of git or an experiment of "
                "`dvc exp show` whose data are in DVC's cache."
            ) from None
        yield Path(folder)


def _compare(measure: str, first: Items, second: Items) -> Comparison:
    common = [key for key in first if key in second]
    ours, theirs = (np.array([run[key] for key in common]) for run in (first, second))
    differences = theirs - ours
    return Comparison(
        measure=measure,
        items=len(common),
        only_one_has=len(first.keys() ^ second.keys()),
        first=float(ours.mean()) if common else 0.0,
        second=float(theirs.mean()) if common else 0.0,
        difference=paired_difference(theirs.tolist(), ours.tolist()) if common else {},
        wins=int((differences > 0).sum()),
        ties=int((differences == 0).sum()),
        losses=int((differences < 0).sum()),
        items_needed=items_needed(differences.tolist()),
    )


def items_needed(differences: Sequence[float]) -> int | None:
    """How many items a paired test needs to tell a mean difference of this size and spread from none.

    ((z(0.975) + z(power)) sd / mean)^2, of a two-sided z-test at 5 % (Cohen 1988, chapter 2); None if the mean is 0.
    """
    if len(differences) < 2 or not (mean := float(np.mean(differences))):
        return None
    return math.ceil(((stats.norm.ppf(0.975) + stats.norm.ppf(POWER)) * np.std(differences, ddof=1) / mean) ** 2)


def _length_correlations(run: Mapping[str, Items]) -> dict[str, float]:
    found = {
        measure: rank_agreement(list(run[measure].values()), [run[LENGTH][key] for key in run[measure]])
        for measure in (CHRF, SCORE)
    }
    return {measure: value for measure, value in found.items() if value is not None}


def comparison_table(first: str, second: str, compared: Compared) -> Iterator[str]:
    """Markdown: a line a measure, then how each goes with the length of the answer, and the notes."""
    yield f"| | items | {first} | {second} | difference, 95 % interval | wins, ties, losses | items to tell it |"
    yield "|---|---|---|---|---|---|---|"
    for row in compared.measures:
        interval = "{mean:+.1f} ({low:+.1f} to {high:+.1f})".format(**row.difference)
        needed = "" if row.items_needed is None else f"{row.items_needed:,}"
        counts = f"{row.wins}, {row.ties}, {row.losses}"
        yield f"| {row.measure} | {row.items} | {row.first:.1f} | {row.second:.1f} | {interval} | {counts} | {needed} |"
    for name, correlations in compared.spearman_with_length.items():
        for measure, value in correlations.items():
            yield f"{name}: Spearman of {measure} with the length of the answer {value:+.2f}"
    yield from compared.notes
