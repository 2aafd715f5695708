"""The console script `scratchlm`: what is no stage of the pipeline."""

import os
import sys
from collections.abc import Iterator, Sequence
from json import dumps
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Literal

import typer

from scratchlm.errors import UserError, exit_on_error

if TYPE_CHECKING:
    from scratchlm.models.sampling import SamplingConfig

cli = typer.Typer(help=__doc__, no_args_is_help=True, add_completion=False, pretty_exceptions_enable=False)

# The order of the panels and of the commands in --help is that of their first mention.
PIPELINE, MODELS, DATA, MACHINE = "Pipeline", "Models", "Data", "Machine"

ModelDir = Annotated[Path, typer.Argument(help="A model directory, such as data/models/instruct.")]
MaxNewTokens = Annotated[int, typer.Option(min=1, help="At most so many tokens.")]
Temperature = Annotated[float, typer.Option(help="Above 1 more varied, below 1 safer; 0 takes the likeliest token.")]
TopK = Annotated[int | None, typer.Option(min=1, help="Draw among the k likeliest tokens; a huge k: among all.")]
TopP = Annotated[float, typer.Option(help="Draw among the fewest tokens whose probabilities reach p; 1: among all.")]
RepetitionPenalty = Annotated[float, typer.Option(help="Above 1, what stands in the text already becomes less likely.")]
Stop = Annotated[list[str] | None, typer.Option(help="End before this text; may be given several times.")]
Seed = Annotated[int, typer.Option(min=0, help="The same seed draws the same text.")]
Output = Annotated[Literal["table", "csv", "json"], typer.Option(help="What to print.")]
Jobs = Annotated[int, typer.Option(min=1, help="Experiments at the same time.")]


@cli.command(rich_help_panel=PIPELINE)
def recipe(
    name: Annotated[str, typer.Argument(help="sample, laptop, ...: a file of recipes/ without `.yaml`.")],
) -> None:
    """Write params.yaml from recipes/NAME.yaml; `dvc repro` then runs it."""
    from scratchlm.recipes import write_recipe

    write_recipe(name)
    print(f"params.yaml is now the recipe {name}; run `dvc repro`.")


@cli.command(rich_help_panel=PIPELINE)
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


@cli.command(rich_help_panel=PIPELINE)
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


@cli.command(rich_help_panel=PIPELINE)
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


@cli.command(rich_help_panel=PIPELINE)
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


@cli.command(rich_help_panel=MODELS)
def generate(
    model_dir: ModelDir,
    prompt: Annotated[
        str, typer.Argument(help="The text to continue; `-` reads it from stdin, without a last line break.")
    ],
    max_new_tokens: MaxNewTokens = 60,
    temperature: Temperature = 0.8,
    top_k: TopK = 50,
    top_p: TopP = 1.0,
    repetition_penalty: RepetitionPenalty = 1.0,
    stop: Stop = None,
    seed: Seed = 0,
    instruction: Annotated[
        bool,
        typer.Option(
            "--instruction",
            help="Ask in the chat template of the model, or else in Alpaca's, and print the answer alone.",
        ),
    ] = False,
) -> None:
    """Continue a text with a model, token by token."""
    from scratchlm.datasets.prompts import encode_prompt, read_prompt
    from scratchlm.datasets.tokenizers import load_tokenizer
    from scratchlm.models.sampling import stream
    from scratchlm.models.stop_strings import stream_text
    from scratchlm.models.storage import load_gpt

    sampling = _read_sampling(max_new_tokens, temperature, top_k, top_p, repetition_penalty, seed)
    stop_strings = _read_stop_strings(stop)
    model, tokenizer = load_gpt(model_dir), load_tokenizer(model_dir)
    text = _without_line_break("".join(_stdin_lines())) if prompt == "-" else prompt
    entry = {"instruction": text, "input": ""}
    tokens = encode_prompt(entry, read_prompt(model_dir), tokenizer) if instruction else tokenizer.encode(text)
    start = len(tokenizer.decode(tokens))

    def decode(new_tokens: Sequence[int]) -> str:
        return tokenizer.decode([*tokens, *new_tokens])[start:]  # a word has a space before it, the first one too

    steps = stream(model, tokens, sampling, tokenizer.eot_id)
    print("" if instruction else text, end="", flush=True)
    for piece in stream_text(steps, decode, stop_strings):
        print(piece, end="", flush=True)
    print()


@cli.command(rich_help_panel=MODELS)
def chat(
    model_dir: ModelDir,
    max_new_tokens: MaxNewTokens = 200,
    temperature: Temperature = 0.8,
    top_k: TopK = 50,
    top_p: TopP = 1.0,
    repetition_penalty: RepetitionPenalty = 1.0,
    stop: Stop = None,
    seed: Seed = 0,
) -> None:
    """Talk with a model that has a chat template; on a pipe, one message a line.

    /reset forgets the conversation, /quit or Ctrl-D ends it, Ctrl-C stops an answer.

    When the context is full, the oldest turns are dropped.
    """
    from scratchlm.chat import Conversation, converse, typed_messages
    from scratchlm.datasets.chat_templates import read_chat_template
    from scratchlm.datasets.tokenizers import load_tokenizer
    from scratchlm.models.storage import load_gpt

    sampling = _read_sampling(max_new_tokens, temperature, top_k, top_p, repetition_penalty, seed)
    stop_strings = _read_stop_strings(stop)
    model, tokenizer = load_gpt(model_dir), load_tokenizer(model_dir)
    template = read_chat_template(model_dir)
    if template is None:
        raise UserError(
            f"{model_dir} has no chat template, so it continues texts; use `scratchlm generate {model_dir} TEXT`."
        )
    conversation = Conversation(model, tokenizer, template, sampling, stop_strings)
    in_terminal = sys.stdin.isatty()
    converse(conversation, typed_messages() if in_terminal else map(_without_line_break, _stdin_lines()), in_terminal)


@cli.command(rich_help_panel=MODELS)
def classify(
    model_dir: ModelDir,
    message: Annotated[
        str | None, typer.Argument(help="The message; without it, one message a line from stdin.")
    ] = None,
) -> None:
    """Print class and probability of each message, separated by a tab."""
    from scratchlm.datasets.tokenizers import load_tokenizer
    from scratchlm.models.classifier import GPTClassifier
    from scratchlm.models.storage import load_model, read_class_names, read_max_tokens
    from scratchlm.training.classification import message_examples
    from scratchlm.training.evaluation import predict_classes

    model, tokenizer = load_model(model_dir), load_tokenizer(model_dir)
    if not isinstance(model, GPTClassifier):
        raise UserError(f"{model_dir} is no classifier; use `scratchlm generate`.")
    names = read_class_names(model_dir)
    messages = [message] if message is not None else [_without_line_break(line) for line in _stdin_lines()]
    examples = message_examples(messages, [0] * len(messages), tokenizer, read_max_tokens(model_dir))
    for probabilities in predict_classes(model, examples, batch_size=32, pad_id=tokenizer.eot_id):
        print(f"{names[int(probabilities.argmax())]}\t{probabilities.max():.4f}")


@cli.command(rich_help_panel=MODELS)
def verify(model_dir: ModelDir) -> None:
    """Compare tokens, parameters and logits with those of transformers on the same texts; exit code 1 if any differ."""
    from scratchlm.models.storage import load_model
    from scratchlm.verification import has_class_in_transformers
    from scratchlm.verification import verify as compare

    model = load_model(model_dir)
    if not has_class_in_transformers(model):
        print(f"no class of transformers computes the readout of {model_dir}; scratchlm alone does.")
        return
    checks = []
    for check in compare(model_dir, model):
        print(f"{'same' if check.passed else 'DIFFERENT'}: {check.name}: {check.detail}", flush=True)
        checks.append(check)
    if not all(check.passed for check in checks):
        raise typer.Exit(1)


@cli.command(rich_help_panel=DATA)
def show(
    path: Annotated[Path, typer.Argument(help="A data folder, such as data/tokens, or a model directory.")],
    samples: Annotated[int, typer.Option(min=0, help="At most so many samples of each part.")] = 3,
) -> None:
    """Print counts and a few samples of a data folder, and where each came from."""
    from scratchlm.reporting.show import show_folder

    for line in show_folder(path, samples):
        print(line)


@cli.command(rich_help_panel=DATA)
def add_corpus(
    paths: Annotated[list[Path], typer.Argument(help="Files of texts: .parquet, .jsonl, .txt, ...", metavar="PATH...")],
) -> None:
    """Put your own files into fetch_corpus.sources of params.yaml, with the sha256 of each."""
    from scratchlm.corpus_entries import add_corpus_files

    for entry in add_corpus_files(paths):
        print(f"{entry['sha256']}  {entry['url']}")


@cli.command(rich_help_panel=DATA)
def compare_tokenizers(
    corpus: Annotated[Path, typer.Argument(help="A corpus as fetch_corpus writes it.")] = Path("data/raw/corpus"),
    max_bytes: Annotated[int, typer.Option(min=1, help="Of text, spread over the files of the corpus.")] = 1_000_000,
    size: Annotated[
        list[int] | None, typer.Option(min=257, help="Entries of a BPE, several times for several; words: the most.")
    ] = None,
) -> None:
    """Print what gpt2, bpe, char and word make of the corpus; all but gpt2 learn from the text that they encode."""
    from scratchlm.datasets.tokenizer_comparison import compare_tokenizers

    for line in compare_tokenizers(corpus, max_bytes, size or [512, 2_048, 8_192]):
        print(line, flush=True)


@cli.command(rich_help_panel=MACHINE)
def bench_device(
    size: Annotated[
        list[int] | None, typer.Option(min=1, help="Rows of a square matrix, several times for several.")
    ] = None,
    json: Annotated[bool, typer.Option("--json", help="Print JSON instead of a table.")] = False,
) -> None:
    """Time matrix products and training steps on the CPU and on each accelerator.

    The step is forward, backward and AdamW of a GPT of 4.3 million parameters on 2,048 tokens.
    """
    from dataclasses import asdict

    from scratchlm.reporting.bench_table import bench_table
    from scratchlm.training import bench

    results = bench.bench_devices(bench.find_devices(), size or [1_024, 4_096], bench.SHAPE)
    if json:
        print(dumps([asdict(result) for result in results], indent=2))
    else:
        for line in bench_table(results):
            print(line, flush=True)


def _read_sampling(
    max_new_tokens: int, temperature: float, top_k: int | None, top_p: float, repetition_penalty: float, seed: int
) -> "SamplingConfig":
    """Options as a configuration; UserError names the first that is out of its range."""
    from pydantic import ValidationError

    from scratchlm.models.sampling import SamplingConfig

    try:
        return SamplingConfig(
            max_new_tokens=max_new_tokens,
            temperature=temperature,
            top_k=top_k,
            top_p=top_p,
            repetition_penalty=repetition_penalty,
            seed=seed,
        )
    except ValidationError as error:
        first = error.errors(include_url=False)[0]
        option = str(first["loc"][0]).replace("_", "-")
        raise UserError(f"--{option} is {first['input']}, but it {first['msg'].removeprefix('Input ')}.") from None


def _read_stop_strings(stop: list[str] | None) -> list[str]:
    if stop and "" in stop:
        raise UserError("--stop is empty, and would end every text at once; leave it out.")
    return stop or []


def _stdin_lines() -> Iterator[str]:
    """The lines of stdin as they come; UserError if one is not UTF-8."""
    for number, line in enumerate(sys.stdin.buffer, start=1):
        try:
            yield line.decode()
        except UnicodeDecodeError:
            raise UserError(f"line {number} of stdin is not UTF-8; convert it, for instance with iconv.") from None


def _without_line_break(text: str) -> str:
    return text.removesuffix("\n").removesuffix("\r")


def _flush_stdout() -> None:
    """Write what stdout still holds: a disk that is full must be noticed here, not while the interpreter ends."""
    try:
        sys.stdout.flush()
    except OSError as error:
        os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())  # nobody tries to write it again
        if not isinstance(error, BrokenPipeError):  # `| head` has seen enough
            raise


def app() -> None:
    """Run the command line; an error of a user or of the file system is one line and exit code 1."""
    with exit_on_error("scratchlm"):
        try:
            cli()
        finally:
            _flush_stdout()
