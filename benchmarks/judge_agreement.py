"""How well reference metrics, or any configured judge, agree with GPT-4: `python -m benchmarks.judge_agreement`.

The book publishes the answers of two models to 100 instructions, with GPT-4's scores and those of Llama 3 8B
(`--data`: ch07/03_model-evaluation of rasbt/LLMs-from-scratch). Answers that are the reference, capitals and
punctuation aside, everybody gives full marks: so the agreement on the others is printed too. `--judge` asks the judge
of params.yaml, or of another file of parameters; its verdicts are kept with those of the pipeline.
"""

import argparse
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
from scipy import stats

from benchmarks.side_by_side import ROOT
from scratchlm.artifacts import read_json
from scratchlm.judging.config import JudgeConfig
from scratchlm.judging.cost import check_cost
from scratchlm.judging.judge import judge_items, make_judge
from scratchlm.judging.reading import read_scores
from scratchlm.judging.reference import normalise, score_answer
from scratchlm.judging.rubric import read_rubric
from scratchlm.judging.scores import item_score
from scratchlm.judging.verdicts import VerdictStore
from scratchlm.params import PARAMS, read_params
from scratchlm.workspace import work_root

MODELS = (1, 2)
METRICS = {"ref_chrf": "chrF++", "ref_rouge_l": "ROUGE-L", "ref_exact_match": "exact match"}

Scores = list[float | None]


@dataclass(frozen=True)
class Answers:
    """The answers of both models, with the published scores; None where a judge gave none."""

    items: list[dict[str, Any]]
    gpt4: Scores
    llama3: Scores


def read_answers(folder: Path) -> Answers:
    """The published answers and scores, item by item."""
    entries = read_json(folder / "eval-example-data.json")
    items, gpt4, llama3 = [], [], []
    for model in MODELS:
        for entry in entries:
            fields = {name: entry[name] for name in ("instruction", "input", "output")}
            items.append({"id": len(items), **fields, "response": entry[f"model {model} response"].strip()})
        yardstick = read_json(folder / f"scores/gpt4-model-{model}-response.json")
        gpt4 += yardstick
        llama3 += align(read_json(folder / f"scores/llama3-8b-model-{model}-response.json"), yardstick)
    return Answers(items, gpt4, llama3)


def align(scores: Sequence[float], yardstick: Sequence[float]) -> Scores:
    """Scores in their order with None for the one that is missing: where both lists then agree best.

    A list of published scores has 99 of 100 and does not say whose is missing; of places that fit alike, the last.
    """
    missing = len(yardstick) - len(scores)
    if missing == 0:
        return list(scores)
    assert missing == 1, "no more than one published score is missing"

    def agreement(place: int) -> float:
        return float(np.corrcoef(scores, np.delete(yardstick, place))[0, 1])

    place = max(range(len(yardstick)), key=lambda place: (round(agreement(place), 9), place))
    return [*scores[:place], None, *scores[place:]]


def judge(items: Sequence[dict[str, Any]], params: Path) -> Scores:
    """The scores of a configured judge, item by item: the mean of its samples, None where none could be read."""
    config = read_params("judge_responses", JudgeConfig, params)
    rubric = read_rubric(ROOT / config.rubric)
    with VerdictStore(work_root() / "verdicts.sqlite") as store:
        check_cost(config, rubric, items, store)
        reader = make_judge(config, rubric, ROOT / "data/models", store)
        samples = read_scores(judge_items(reader, items, store, reader.samples))
    return [item_score(samples[item["id"]]) for item in items]


def agreement_row(name: str, scores: Scores, yardstick: Scores, kept: Sequence[bool]) -> str:
    """Pearson, Spearman and Kendall of the items that are kept."""
    rows = zip(scores, yardstick, kept, strict=True)
    pairs = np.array([(score, other) for score, other, keep in rows if keep], dtype=float)
    if not np.ptp(pairs, axis=0).all():
        return f"| {name} | {len(pairs)} | one score for all | | |"
    found = [test(pairs[:, 0], pairs[:, 1]).statistic for test in (stats.pearsonr, stats.spearmanr, stats.kendalltau)]
    return f"| {name} | {len(pairs)} | " + " | ".join(f"{value:.2f}" for value in found) + " |"


def tables(answers: Answers, judged: Scores | None) -> Iterator[str]:
    """Markdown: on all answers that everybody has scored, then on those of them that are not the reference."""
    scored = [score_answer(item["response"], item["output"]) for item in answers.items]
    columns: dict[str, Scores] = {"Llama 3 8B, as published": answers.llama3}
    columns |= {name: [row[key] for row in scored] for key, name in METRICS.items()}
    if judged is not None:
        columns["the configured judge"] = judged
        yield f"The configured judge: {judged.count(None)} of {len(judged)} answers unparsed, left out of all rows."
        yield ""
    scored_by_all = [None not in row for row in zip(answers.gpt4, *columns.values(), strict=True)]
    differs = [normalise(item["response"]) != normalise(item["output"]) for item in answers.items]
    not_verbatim = [all(both) for both in zip(scored_by_all, differs, strict=True)]
    for title, kept in {"all answers": scored_by_all, "not verbatim": not_verbatim}.items():
        yield f"| agreement with GPT-4, {title} | answers | Pearson | Spearman | Kendall |"
        yield "|---|---|---|---|---|"
        yield from (agreement_row(name, scores, answers.gpt4, kept) for name, scores in columns.items())
        yield ""


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--data", type=Path, required=True, help="the folder of eval-example-data.json and scores/")
    parser.add_argument("--judge", action="store_true", help="ask the configured judge too")
    parser.add_argument("--params", type=Path, default=ROOT / PARAMS, help="the file that configures it")
    options = parser.parse_args()
    answers = read_answers(options.data)
    for line in tables(answers, judge(answers.items, options.params) if options.judge else None):
        print(line)


if __name__ == "__main__":
    main()
