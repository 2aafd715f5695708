"""Model directories with weights of realistic scale, and a network that nobody may ask."""

import socket
from collections.abc import Iterator
from pathlib import Path

import pytest
import torch

from scratchlm.datasets.lookup_tokenizers import char_tokens, write_char_tokenizer
from scratchlm.datasets.prompts import TEMPLATES, format_prompt
from scratchlm.datasets.tokenizers import Tokenizer, load_tokenizer
from scratchlm.models.classifier import GPTClassifier
from scratchlm.models.gpt import GPT, GPTConfig
from scratchlm.models.storage import save_model
from tests.corpora import write_byte_tokenizer
from tests.models.conftest import make_gpt

PROMPTS = ["The capital of France", "Every effort moves you", "No", "What is a colour?"]


@pytest.fixture(autouse=True)
def no_network(monkeypatch: pytest.MonkeyPatch) -> Iterator[None]:
    """A directory is enough: whoever asks a server in this process fails the test, even if he goes on without."""
    asked = []

    def refuse(_: socket.socket, address: object) -> None:
        asked.append(address)
        raise OSError("no network in this test")

    monkeypatch.setattr(socket.socket, "connect", refuse)
    yield
    assert not asked


def make_model(tokenizer: Tokenizer) -> GPT:
    """A language model for a tokenizer."""
    shape = {"n_layer": 2, "n_head": 4, "n_embd": 64, "context_length": 256}
    return make_gpt(GPTConfig(vocab_size=tokenizer.vocab_size, **shape))


@pytest.fixture(scope="session", params=["bytes", "characters"])
def tokenizer_directory(request: pytest.FixtureRequest, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A tokenizer as build_tokenizer leaves it: `transformers` has one class for byte BPEs, another for the rest."""
    folder = tmp_path_factory.mktemp("tokenizers") / request.param
    if request.param == "bytes":
        write_byte_tokenizer(folder)
    else:
        folder.mkdir()
        write_char_tokenizer(folder, char_tokens([*PROMPTS, format_prompt({"instruction": "", "input": ""})]))
    return folder


@pytest.fixture(scope="session")
def language_model(tokenizer_directory: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A model that answers, as finetune_instruct saves it."""
    path = tmp_path_factory.mktemp("models") / "instruct"
    model = make_model(load_tokenizer(tokenizer_directory))
    save_model(model, path, tokenizer=tokenizer_directory, card="", chat_template=TEMPLATES["alpaca"])
    return path


@pytest.fixture(scope="session")
def classifier(tokenizer_directory: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A classifier of three classes that was trained on at most 16 tokens, as finetune_classifier saves it."""
    path = tmp_path_factory.mktemp("models") / "classifier"
    model = GPTClassifier(make_model(load_tokenizer(tokenizer_directory)), 3)
    model.init_head(seed=0)
    with torch.no_grad():
        model.score.weight *= 3
    names = ["ham", "spam", "eggs"]
    save_model(model, path, tokenizer=tokenizer_directory, card="", class_names=names, max_tokens=16)
    return path
