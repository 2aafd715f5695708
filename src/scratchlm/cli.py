"""The console script `scratchlm`: what is no stage of the pipeline."""

import io
import os
import sys

import typer

from scratchlm.commands import data, machine, models, pipeline
from scratchlm.errors import exit_on_error

# By panel of --help, in its order.
COMMANDS = {
    "Pipeline": (pipeline.recipe, pipeline.repeat, pipeline.ablate, pipeline.compare, pipeline.judge_cost),
    "Models": (models.generate, models.chat, models.classify, models.verify),
    "Data": (data.show, data.add_corpus, data.compare_tokenizers),
    "Machine": (machine.bench_device,),
}

cli = typer.Typer(help=__doc__, no_args_is_help=True, add_completion=False, pretty_exceptions_enable=False)
for panel, commands in COMMANDS.items():
    for command in commands:
        cli.command(rich_help_panel=panel)(command)


def app() -> None:
    """Run the command line; an error of a user or of the file system is one line and exit code 1."""
    if isinstance(sys.stdout, io.TextIOWrapper):
        sys.stdout.reconfigure(errors="backslashreplace")  # a terminal in Latin-1 cannot write every text of a model
    with exit_on_error("scratchlm"):
        try:
            cli()
        finally:
            _flush_stdout()


def _flush_stdout() -> None:
    """Write what stdout still holds: a disk that is full must be noticed here, not while the interpreter ends."""
    if sys.stdout is None:  # `>&-` closed it
        return
    try:
        sys.stdout.flush()
    except OSError as error:
        os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())  # nobody tries to write it again
        if not isinstance(error, BrokenPipeError):  # `| head` has seen enough
            raise
