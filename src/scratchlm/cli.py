"""The console script `scratchlm`: what is no stage of the pipeline."""

import sys
from pathlib import Path
from typing import Annotated

import typer

from scratchlm.errors import UserError

cli = typer.Typer(help=__doc__, no_args_is_help=True, add_completion=False, pretty_exceptions_enable=False)

ModelDir = Annotated[Path, typer.Argument(help="A model directory, such as data/models/instruct.")]


@cli.command()
def recipe(
    name: Annotated[str, typer.Argument(help="sample, laptop, ...: a file of recipes/ without `.yaml`.")],
) -> None:
    """Write params.yaml from recipes/NAME.yaml; `dvc repro` then runs it."""
    from scratchlm.recipes import write_recipe

    write_recipe(name)
    print(f"params.yaml is now the recipe {name}; run `dvc repro`.")


@cli.command()
def generate(
    model_dir: ModelDir,
    prompt: Annotated[str, typer.Argument(help="The text to continue.")],
    max_new_tokens: Annotated[int, typer.Option(min=1, help="At most so many tokens.")] = 60,
    temperature: Annotated[float, typer.Option(min=0, help="0 takes the most probable token.")] = 0.8,
    top_k: Annotated[int | None, typer.Option(min=1, help="Draw among the k most probable tokens.")] = 50,
    seed: Annotated[int, typer.Option(min=0, help="The same seed draws the same text.")] = 0,
    instruction: Annotated[bool, typer.Option(help="Put the prompt into the Alpaca frame.")] = False,
) -> None:
    """Continue a prompt with a model directory."""
    from scratchlm.datasets.instructions import format_prompt
    from scratchlm.datasets.tokenizers import load_tokenizer
    from scratchlm.models.sampling import SamplingConfig
    from scratchlm.models.sampling import generate as generate_tokens
    from scratchlm.models.storage import load_gpt

    model, tokenizer = load_gpt(model_dir), load_tokenizer(model_dir)
    text = format_prompt({"instruction": prompt, "input": ""}) if instruction else prompt
    sampling = SamplingConfig(max_new_tokens=max_new_tokens, temperature=temperature, top_k=top_k, seed=seed)
    tokens = generate_tokens(model, [tokenizer.encode(text)], sampling, tokenizer.eot_id)[0]
    print(tokenizer.decode(tokens) if instruction else prompt + tokenizer.decode(tokens))


@cli.command()
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
    messages = [message] if message is not None else _read_lines()
    examples = message_examples(messages, [0] * len(messages), tokenizer, read_max_tokens(model_dir))
    for probabilities in predict_classes(model, examples, batch_size=32, pad_id=tokenizer.eot_id):
        print(f"{names[int(probabilities.argmax())]}\t{probabilities.max():.4f}")


@cli.command()
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


@cli.command()
def show(
    path: Annotated[Path, typer.Argument(help="A data folder, such as data/tokens, or a model directory.")],
    samples: Annotated[int, typer.Option(min=0, help="At most so many samples of each part.")] = 3,
) -> None:
    """Print counts and a few samples of a data folder, and where each came from."""
    from scratchlm.reporting.show import show_folder

    for line in show_folder(path, samples):
        print(line)


def _read_lines() -> list[str]:
    text = sys.stdin.buffer.read().decode("utf-8", errors="replace")
    return [line.removesuffix("\r") for line in text.removesuffix("\n").split("\n")]


def app() -> None:
    """Run the command line; a UserError is one line and exit code 1."""
    try:
        cli()
    except UserError as error:
        sys.exit(f"scratchlm: {error}")
