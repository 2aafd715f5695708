"""The command line, as a user calls it."""

import json
import os
import subprocess
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import pytest
import torch
from typer.testing import CliRunner

from scratchlm.cli import app, cli
from scratchlm.datasets.lookup_tokenizers import END_OF_TEXT, write_word_tokenizer
from scratchlm.datasets.tokenizers import load_tokenizer
from scratchlm.errors import UserError
from scratchlm.models.classifier import GPTClassifier
from scratchlm.models.gpt import GPT, GPTConfig
from scratchlm.models.sampling import SamplingConfig, generate
from scratchlm.models.storage import load_gpt, save_model
from scratchlm.training import bench
from tests.conftest import ROOT
from tests.corpora import write_byte_tokenizer, write_corpus
from tests.tiny_model import save_tiny_model, teach, tiny_gpt

NOBODY = 65_534


@pytest.fixture(scope="module")
def models(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A language model that says `Hi!`, and a classifier."""
    folder = tmp_path_factory.mktemp("models")
    tokenizer = write_byte_tokenizer(folder / "tokenizer")
    save_tiny_model(folder / "talker", teach(tiny_gpt(), [*tokenizer.encode("\nHi!"), tokenizer.eot_id]))
    classifier = GPTClassifier(tiny_gpt(), 2)
    classifier.init_head(0)
    save_tiny_model(folder / "babbler")
    save_model(classifier, folder / "classifier", tokenizer=folder / "talker", card="", class_names=("ham", "spam"))
    return folder


def call(*arguments: str, stdin: str | bytes | None = None) -> str:
    result = CliRunner().invoke(cli, list(arguments), input=stdin, catch_exceptions=False)
    assert result.exit_code == 0, result.output
    return result.stdout


def test_help_names_every_command():
    text = call("--help")
    models, data = ("generate", "chat", "classify", "verify"), ("show", "add-corpus", "compare-tokenizers")
    for command in ("recipe", "repeat", "ablate", "compare", *models, *data, "bench-device"):
        assert command in text


def test_generate_continues_the_prompt(models: Path):
    assert call("generate", str(models / "talker"), "H", "--temperature", "0") == "Hi!\n"


def test_generate_draws_the_same_text_for_the_same_seed(models: Path):
    first, second = (call("generate", str(models / "talker"), "abc", "--seed", "5") for _ in range(2))
    assert first == second


def test_generate_reads_a_prompt_from_stdin_without_its_last_line_break(models: Path):
    assert call("generate", str(models / "talker"), "-", "--temperature", "0", stdin="a\nH\n") == "a\nHi!\n"


def test_generate_ends_before_a_stop_string(models: Path):
    assert call("generate", str(models / "talker"), "H", "--temperature", "0", "--stop", "!") == "Hi\n"


def test_a_streamed_text_is_the_one_that_is_made_at_once(models: Path):
    options = {"max_new_tokens": 80, "temperature": 1.5, "top_k": 100, "top_p": 0.95, "repetition_penalty": 1.2}
    arguments = [part for name, value in options.items() for part in (f"--{name.replace('_', '-')}", str(value))]
    tokenizer = load_tokenizer(models / "talker")
    sampling = SamplingConfig.model_validate(options | {"seed": 3})
    (tokens,) = generate(load_gpt(models / "babbler"), [tokenizer.encode("né")], sampling, tokenizer.eot_id)
    text = tokenizer.decode(tokens)
    assert len(text) > 20
    assert call("generate", str(models / "babbler"), "né", "--seed", "3", *arguments) == f"né{text}\n"


def test_the_first_new_word_of_a_word_model_has_a_space_before_it(tmp_path: Path):
    write_word_tokenizer(tmp_path / "tokenizer", ["a", "b", "<|unk|>", END_OF_TEXT])
    model = GPT(GPTConfig(n_layer=1, n_head=1, n_embd=4, context_length=8, vocab_size=4))
    model.init_weights(seed=0)
    save_model(model, tmp_path / "model", tokenizer=tmp_path / "tokenizer", card="")
    text = call("generate", str(tmp_path / "model"), "a b", "--max-new-tokens", "1", "--temperature", "0")
    assert text.startswith("a b ")


def test_bench_device_prints_a_table_or_the_same_as_json(monkeypatch: pytest.MonkeyPatch):
    monkeypatch.setattr(bench, "SHAPE", tiny_gpt(context_length=8).config)
    lines = call("bench-device", "--size", "8").splitlines()
    rows = json.loads(call("bench-device", "--size", "8", "--json"))
    assert lines[0] == rows[0]["device"] == bench.device_name(torch.device("cpu"))
    assert {row["task"] for row in rows} == {"matmul 8", "training step"}
    assert sum("tokens/s" in line for line in lines) == sum(row["unit"] == "tokens/s" for row in rows)
    if len(bench.find_devices()) == 1:
        assert lines[-1].startswith("No accelerator was found")


def test_an_instruction_is_answered_without_its_frame(models: Path):
    # The frame ends with a line break, after which this model says its word.
    assert call("generate", str(models / "talker"), "Greet.", "--instruction", "--temperature", "0") == "Hi!\n"


def test_classify_reads_an_argument_or_lines(models: Path):
    one = call("classify", str(models / "classifier"), "hello")
    label, probability = one.strip().split("\t")
    assert label in {"ham", "spam"}
    assert 0.5 <= float(probability) <= 1
    many = call("classify", str(models / "classifier"), stdin="hello\nWIN NOW\n")
    assert len(many.splitlines()) == 2
    assert many.splitlines()[0] == one.strip()


def test_classify_refuses_what_is_not_utf8_and_has_nothing_to_say_of_nothing(models: Path):
    with pytest.raises(UserError, match="line 2 of stdin is not UTF-8"):
        call("classify", str(models / "classifier"), stdin=b"hello\ncaf\xe9\n")
    assert call("classify", str(models / "classifier"), stdin="") == ""


def test_recipe_writes_params(tmp_path: Path, monkeypatch: pytest.MonkeyPatch):
    monkeypatch.setenv("DVC_ROOT", str(tmp_path))
    (tmp_path / "recipes").symlink_to(ROOT / "recipes")
    assert "laptop" in call("recipe", "laptop")
    assert "source: uci" in (tmp_path / "params.yaml").read_text()


def test_compare_tokenizers_prints_a_table(tmp_path: Path, mirror: Path):
    corpus = write_corpus(tmp_path / "corpus", {"a.txt": ["a cat and a hat and a cat. " * 20]})
    lines = call("compare-tokenizers", str(corpus), "--size", "260", "--max-bytes", "500").splitlines()
    assert [line.split()[0] for line in lines] == ["tokenizer", "gpt2", "bpe", "char", "word"]


def test_show_prints_what_a_folder_holds(models: Path):
    assert call("show", str(models / "tokenizer"), "--samples", "1").startswith(
        "tokenizer: byte-level BPE, 257 entries"
    )


WRONG = {
    "a folder in a corpus": (["add-corpus", "talker"], "talker ends in '', a corpus file in one of .parquet"),
    "no folder to show": (["show", "nowhere"], "nowhere is no folder"),
    "no directory": (["generate", "nowhere", "x"], "nowhere"),
    "a classifier that should write": (["generate", "classifier", "x"], "classifier"),
    "a language model that should classify": (["classify", "talker", "x"], "talker"),
    "an unknown recipe": (["recipe", "huge"], "huge is no recipe"),
    "a conversation without a template": (
        ["chat", "talker"],
        "talker has no chat template, so it continues texts; use `s",
    ),
    "a share above 1": (["generate", "talker", "x", "--top-p", "1.5"], "--top-p is 1.5, but it should be less than or"),
    "no number": (["generate", "talker", "x", "--temperature", "nan"], "--temperature is nan"),
    "a seed of more than 64 bits": (
        ["generate", "talker", "x", "--seed", str(2**64)],
        "--seed is 18446744073709551616",
    ),
    "an empty stop string": (["chat", "talker", "--stop", ""], "--stop is empty"),
    "an empty prompt": (["generate", "talker", ""], "empty"),
}


def refused(monkeypatch: pytest.MonkeyPatch, *arguments: str) -> str:
    """The one line with which the script ends."""
    monkeypatch.setattr("sys.argv", ["scratchlm", *arguments])
    with pytest.raises(SystemExit) as end:
        app()
    line = str(end.value.code)
    assert line.startswith("scratchlm: ")
    assert "\n" not in line
    return line


@pytest.mark.parametrize(("arguments", "message"), WRONG.values(), ids=WRONG)
def test_a_mistake_is_one_line(models: Path, arguments: list[str], message: str, monkeypatch: pytest.MonkeyPatch):
    monkeypatch.chdir(models)
    assert message in refused(monkeypatch, *arguments)


def run_script(*arguments: str, folder: Path, stdout: int = subprocess.PIPE) -> subprocess.CompletedProcess[str]:
    """The console script itself, in a process of its own."""
    script = [sys.executable, "-c", "from scratchlm.cli import app; app()"]
    return subprocess.run([*script, *arguments], cwd=folder, stdout=stdout, stderr=subprocess.PIPE, text=True)


FILE_SYSTEM = {
    "a file where a folder should be": (["show", "file.txt/tokens"], "file.txt"),
    "a name that is too long": (["show", "x" * 300], "File name too long; free space or fix the path"),
    "a folder where a file should be": (["add-corpus", "folder.txt"], "folder.txt"),
    "a loop of links": (["generate", "loop", "x"], "loop"),
}


@pytest.mark.parametrize(("arguments", "message"), FILE_SYSTEM.values(), ids=FILE_SYSTEM)
def test_an_error_of_the_file_system_is_one_line(
    tmp_path: Path, arguments: list[str], message: str, monkeypatch: pytest.MonkeyPatch
):
    (tmp_path / "file.txt").write_text("")
    (tmp_path / "folder.txt").mkdir()
    (tmp_path / "loop").symlink_to("loop")
    (tmp_path / "params.yaml").write_text("fetch_corpus: {sources: [package_docs]}\n")
    monkeypatch.chdir(tmp_path)
    assert message in refused(monkeypatch, *arguments)


@contextmanager
def without_rights() -> Iterator[None]:
    """Within the block root has no more rights than others have."""
    user = os.geteuid()
    if user == 0:
        os.seteuid(NOBODY)
    try:
        yield
    finally:
        os.seteuid(user)


UNREADABLE = {
    command: [command, *arguments]
    for command, arguments in {
        "recipe": ["laptop"],
        "compare": ["workspace", "workspace"],
        "judge-cost": [],
        "repeat": ["--splits", "2"],
        "ablate": [],
        "generate": ["locked", "x"],
        "chat": ["locked"],
        "classify": ["locked", "x"],
        "verify": ["locked"],
        "show": ["locked"],
        "add-corpus": ["locked/a.txt"],
        "compare-tokenizers": ["locked"],
    }.items()
}


@pytest.mark.parametrize("arguments", UNREADABLE.values(), ids=UNREADABLE)
def test_a_folder_that_cannot_be_read_is_one_line(
    tmp_path: Path, arguments: list[str], monkeypatch: pytest.MonkeyPatch
):
    (tmp_path / "locked").mkdir(mode=0)
    monkeypatch.chdir(tmp_path)
    monkeypatch.setenv("DVC_ROOT", str(tmp_path / "locked"))
    with without_rights():
        line = refused(monkeypatch, *arguments)
    assert "locked" in line
    assert "Permission denied" in line


def test_a_full_disk_is_one_line(models: Path):
    with Path("/dev/full").open("w") as full:
        done = run_script("classify", "classifier", "hello", folder=models, stdout=full.fileno())
    assert done.returncode == 1
    assert done.stderr.splitlines() == [
        "scratchlm: an output: No space left on device; free space or fix the path and its permissions, then run again."
    ]


def test_a_reader_that_leaves_early_is_no_error(models: Path):
    reader, writer = os.pipe()
    os.close(reader)
    done = run_script("classify", "classifier", "hello", folder=models, stdout=writer)
    os.close(writer)
    assert done.stderr == ""


def test_a_closed_stdin_is_one_line_and_a_closed_stdout_none(models: Path):
    def run(arguments: str) -> subprocess.CompletedProcess[str]:
        command = f"'{sys.executable}' -c 'from scratchlm.cli import app; app()' {arguments}"
        return subprocess.run(["/bin/sh", "-c", command], cwd=ROOT, capture_output=True, text=True, timeout=300)

    reads = run(f"classify {models / 'classifier'} <&-")
    assert (reads.returncode, reads.stderr) == (1, "scratchlm: stdin is closed; pipe a text into it.\n")
    writes = run(f"show {models / 'talker'} >&-")
    assert (writes.returncode, writes.stderr) == (0, "")


def test_what_the_encoding_of_stdout_lacks_is_escaped(models: Path, monkeypatch: pytest.MonkeyPatch):
    monkeypatch.setenv("PYTHONIOENCODING", "latin-1")
    done = run_script("generate", "babbler", "\u65e5", "--max-new-tokens", "1", folder=models)
    assert (done.returncode, done.stderr) == (0, "")
    assert done.stdout.startswith(r"\u65e5")
