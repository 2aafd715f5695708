"""What scratchlm saves is what transformers reads, and a difference is found."""

from pathlib import Path

import pytest
from safetensors.torch import load_file, save_file

from scratchlm.artifacts import read_json, write_json
from scratchlm.checksums import write_manifest
from scratchlm.cli import app
from scratchlm.datasets.lookup_tokenizers import END_OF_TEXT, write_char_tokenizer
from scratchlm.datasets.tokenizers import load_tokenizer
from scratchlm.models.classifier import GPTClassifier, Readout
from scratchlm.models.gpt import GPT, GPTConfig
from scratchlm.models.storage import load_model, save_model
from scratchlm.verification import make_texts, verify
from tests.tiny_model import save_tiny_model, tiny_gpt

WEIGHTS = "model.safetensors"


def failed(directory: Path, read_as: Path | None = None) -> list[str]:
    """The names of the checks that a directory does not pass, read here as another one."""
    return [check.name for check in verify(directory, load_model(read_as or directory)) if not check.passed]


def trained_classifier(readout: Readout | None = None) -> GPTClassifier:
    model = GPTClassifier(tiny_gpt(), 3, readout)
    model.init_head(1)
    return model


@pytest.fixture
def directory(tmp_path: Path) -> Path:
    return save_tiny_model(tmp_path / "model")


@pytest.fixture
def original(tmp_path: Path) -> Path:
    return save_tiny_model(tmp_path / "original")


def test_a_language_model_and_a_classifier_are_the_same(directory: Path, tmp_path: Path):
    classifier = save_tiny_model(tmp_path / "classifier", trained_classifier(), class_names=["a", "b", "c"])
    for path in (directory, classifier):
        checks = list(verify(path, load_model(path)))
        assert [check.name for check in checks] == ["tokens", "parameters", "logits in float64", "logits in float32"]
        assert all(check.passed for check in checks), checks


def test_another_weight_is_a_difference(directory: Path, original: Path):
    tensors = load_file(directory / WEIGHTS)
    tensors["transformer.h.0.attn.c_proj.weight"] = tensors["transformer.h.0.attn.c_proj.weight"].T.contiguous()
    save_file(tensors, directory / WEIGHTS, metadata={"format": "pt"})
    assert failed(directory, original) == ["logits in float64", "logits in float32"]


def test_a_missing_tensor_is_a_difference(directory: Path, original: Path):
    tensors = load_file(directory / WEIGHTS)
    del tensors["transformer.ln_f.bias"]
    save_file(tensors, directory / WEIGHTS, metadata={"format": "pt"})
    (check,) = [check for check in verify(directory, load_model(original)) if check.name == "parameters"]
    assert not check.passed
    assert "transformer.ln_f.bias" in check.detail


def test_another_tokenizer_is_a_difference(directory: Path):
    path = directory / "tokenizer.json"
    tokenizer = read_json(path)
    tokenizer["pre_tokenizer"]["add_prefix_space"] = True
    write_json(path, tokenizer)
    settings = read_json(directory / "tokenizer_config.json")
    write_json(directory / "tokenizer_config.json", {**settings, "add_prefix_space": True})
    write_manifest(directory)
    assert failed(directory) == ["tokens"]


def test_a_model_of_characters_is_compared_on_what_it_can_write(tmp_path: Path):
    write_char_tokenizer(tmp_path / "tokenizer", ["a", "b", " ", "\n", END_OF_TEXT])
    model = GPT(GPTConfig(n_layer=1, n_head=1, n_embd=8, context_length=16, vocab_size=5))
    model.init_weights(seed=0)
    save_model(model, tmp_path / "model", tokenizer=tmp_path / "tokenizer", card="")
    assert failed(tmp_path / "model") == []
    assert set("".join(make_texts(load_tokenizer(tmp_path / "model")))) == set("ab \n")


def call(monkeypatch: pytest.MonkeyPatch, directory: Path) -> str | int | None:
    """Run `scratchlm verify`; what it exits with."""
    monkeypatch.setattr("sys.argv", ["scratchlm", "verify", str(directory)])
    with pytest.raises(SystemExit) as end:
        app()
    return end.value.code


def test_the_command_prints_a_line_for_each_check_and_fails_if_one_does(
    directory: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
):
    assert call(monkeypatch, directory) == 0
    lines = capsys.readouterr().out.splitlines()
    assert len(lines) == 4
    assert all(line.startswith("same: ") for line in lines)
    config = read_json(directory / "config.json")
    write_json(directory / "config.json", {**config, "layer_norm_epsilon": 1e-3})
    write_manifest(directory)
    monkeypatch.setattr("scratchlm.models.storage.load_model", lambda path: tiny_gpt())
    assert call(monkeypatch, directory) == 1
    assert "DIFFERENT: logits in float64: " in capsys.readouterr().out


def test_what_no_class_of_transformers_computes_is_said_in_one_line(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
):
    model = trained_classifier(Readout(position="mean", causal=False))
    path = save_tiny_model(tmp_path / "model", model, class_names=["a", "b", "c"])
    assert call(monkeypatch, path) == 0
    assert capsys.readouterr().out == (
        f"no class of transformers computes the readout of {path}; scratchlm alone does.\n"
    )


def test_without_transformers_one_line_says_what_to_install(directory: Path, monkeypatch: pytest.MonkeyPatch):
    monkeypatch.setattr("importlib.util.find_spec", lambda name: None)
    assert str(call(monkeypatch, directory)).startswith("scratchlm: transformers is not installed; `pip install")
