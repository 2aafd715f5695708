"""Commands about the pipeline and its experiments."""

from json import dumps
from typing import Annotated, Literal

import typer

Output = Annotated[Literal["table", "csv", "json"], typer.Option(help="What to print.")]
Jobs = Annotated[int, typer.Option(min=1, help="Experiments at the same time.")]


def recipe(
    name: Annotated[str, typer.Argument(help="sample, laptop, ...: a file of recipes/ without `.yaml`.")],
) -> None:
    """Write params.yaml from recipes/NAME.yaml; `dvc repro` then runs it."""
    from scratchlm.recipes import write_recipe

    write_recipe(name)
    print(f"params.yaml is now the recipe {name}; run `dvc repro`.")


def repeat(
    splits: Annotated[int, typer.Option(min=2, help="How many: the seeds are 0, 1, ...")],
    seed_param: Annotated[
        list[str] | None, typer.Option(help="What takes the seed, several times for several.")
    ] = None,
    output: Output = "table",
    jobs: Jobs = 1,
) -> None:
    """Fine-tune the classifier on several splits, a DVC experiment each, and compare it with TF-IDF on each."""
    from scratchlm import repeat as splitting
    from scratchlm.experiments import format_records

    rows = splitting.repeat(splits, seed_param or ["prepare_sms_spam.seed"], jobs)
    print(format_records(rows, output, splitting.repeat_table(rows), splitting.summarize(rows)))


def ablate(
    splits: Annotated[int, typer.Option(min=2, help="How many: a split and a training with each seed 0, 1, ...")] = 10,
    row: Annotated[list[str] | None, typer.Option(help="Of recipes/ablation.yaml, several times for several.")] = None,
    output: Output = "table",
    jobs: Jobs = 1,
) -> None:
    """Run the book's classification experiments, and ours, on several splits, beside the published figures.

    recipes/ablation.yaml has the rows; everything else is as in params.yaml.
    """
    from scratchlm import ablation
    from scratchlm.experiments import format_records

    records = ablation.ablate(splits, row or [], jobs)
    print(format_records(records, output, ablation.ablation_table(records)))


def compare(
    first: Annotated[str, typer.Argument(help="A revision of git, a DVC experiment, or `workspace`.")],
    second: Annotated[str, typer.Argument(help="Another one.")] = "workspace",
    json: Annotated[bool, typer.Option("--json", help="Print JSON instead of a table.")] = False,
) -> None:
    """Compare two runs item by item: right classifications, chrF++ and judge's score of the answers.

    Prints the paired difference with its interval, wins, ties and losses, how many items would tell it, and how each
    score of an answer goes with its length.
    """
    from dataclasses import asdict

    from scratchlm import comparison

    compared = comparison.compare(first, second)
    if json:
        print(dumps(asdict(compared), indent=2))
    else:
        for line in comparison.comparison_table(first, second, compared):
            print(line)


def judge_cost(
    json: Annotated[bool, typer.Option("--json", help="Print JSON instead of sentences.")] = False,
) -> None:
    """Print what judging the answers with the server of params.yaml will cost; asks nothing and needs no key."""
    from dataclasses import asdict

    from scratchlm.judging import cost

    config, estimate = cost.estimate_project()
    if json:
        print(dumps(asdict(estimate), indent=2))
    else:
        for line in cost.estimate_lines(config, estimate):
            print(line)
