"""The command line, as a user calls it."""

from pathlib import Path

import pytest
from typer.testing import CliRunner

from scratchlm.cli import app, cli
from scratchlm.models.classifier import GPTClassifier
from scratchlm.models.storage import save_model
from tests.conftest import ROOT
from tests.corpora import write_byte_tokenizer, write_corpus
from tests.tiny_model import save_tiny_model, teach, tiny_gpt


@pytest.fixture(scope="module")
def models(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A language model that says `Hi!`, and a classifier."""
    folder = tmp_path_factory.mktemp("models")
    tokenizer = write_byte_tokenizer(folder / "tokenizer")
    save_tiny_model(folder / "talker", teach(tiny_gpt(), [*tokenizer.encode("\nHi!"), tokenizer.eot_id]))
    classifier = GPTClassifier(tiny_gpt(), 2)
    classifier.init_head(0)
    save_model(classifier, folder / "classifier", tokenizer=folder / "talker", card="", class_names=("ham", "spam"))
    return folder


def call(*arguments: str, stdin: str | None = None) -> str:
    result = CliRunner().invoke(cli, list(arguments), input=stdin, catch_exceptions=False)
    assert result.exit_code == 0, result.output
    return result.stdout


def test_help_names_every_command():
    text = call("--help")
    for command in ("recipe", "generate", "classify", "compare-tokenizers", "show"):
        assert command in text


def test_generate_continues_the_prompt(models: Path):
    assert call("generate", str(models / "talker"), "H", "--temperature", "0") == "Hi!\n"


def test_generate_draws_the_same_text_for_the_same_seed(models: Path):
    first, second = (call("generate", str(models / "talker"), "abc", "--seed", "5") for _ in range(2))
    assert first == second


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
    "a folder of nothing known": (["show", "."], "holds no token shards"),
    "no folder to show": (["show", "nowhere"], "nowhere is no folder"),
    "no directory": (["generate", "nowhere", "x"], "nowhere"),
    "a classifier that should write": (["generate", "classifier", "x"], "classifier"),
    "a language model that should classify": (["classify", "talker", "x"], "talker"),
    "an unknown recipe": (["recipe", "huge"], "huge is no recipe"),
    "an empty prompt": (["generate", "talker", ""], "empty"),
}


@pytest.mark.parametrize(("arguments", "message"), WRONG.values(), ids=WRONG)
def test_a_mistake_is_one_line(models: Path, arguments: list[str], message: str, monkeypatch: pytest.MonkeyPatch):
    monkeypatch.chdir(models)
    monkeypatch.setattr("sys.argv", ["scratchlm", *arguments])
    with pytest.raises(SystemExit) as end:
        app()
    assert str(end.value.code).startswith("scratchlm: ")
    assert message in str(end.value.code)
    assert "\n" not in str(end.value.code)
