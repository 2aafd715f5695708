"""Commands about a model directory: write, talk, classify, and compare with transformers."""

import sys
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from scratchlm.errors import UserError

if TYPE_CHECKING:
    from scratchlm.models.sampling import SamplingConfig

ModelDir = Annotated[Path, typer.Argument(help="A model directory, such as data/models/instruct.")]
MaxNewTokens = Annotated[int, typer.Option(min=1, help="At most so many tokens.")]
Temperature = Annotated[float, typer.Option(help="Above 1 more varied, below 1 safer; 0 takes the likeliest token.")]
TopK = Annotated[int | None, typer.Option(min=1, help="Draw among the k likeliest tokens; a huge k: among all.")]
TopP = Annotated[float, typer.Option(help="Draw among the fewest tokens whose probabilities reach p; 1: among all.")]
RepetitionPenalty = Annotated[float, typer.Option(help="Above 1, what stands in the text already becomes less likely.")]
Stop = Annotated[list[str] | None, typer.Option(help="End before this text; may be given several times.")]
Seed = Annotated[int, typer.Option(min=0, help="The same seed draws the same text.")]


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
    in_terminal = sys.stdin is not None and sys.stdin.isatty()
    converse(conversation, typed_messages() if in_terminal else map(_without_line_break, _stdin_lines()), in_terminal)


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
    """The lines of stdin as they come; UserError if one is not UTF-8, or stdin is closed."""
    if sys.stdin is None:  # `<&-` closed it
        raise UserError("stdin is closed; pipe a text into it.")
    for number, line in enumerate(sys.stdin.buffer, start=1):
        try:
            yield line.decode()
        except UnicodeDecodeError:
            raise UserError(f"line {number} of stdin is not UTF-8; convert it, for instance with iconv.") from None


def _without_line_break(text: str) -> str:
    return text.removesuffix("\n").removesuffix("\r")
