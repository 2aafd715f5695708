"""A project folder of its own for each test; UCI's messages and two tokenizers on both engines once."""

from pathlib import Path

import pandas as pd
import pytest

from scratchlm.datasets.encoding import Encoder, Engine
from scratchlm.datasets.sms_spam_reading import ReadConfig, extract_sms_spam, read_sms_spam
from scratchlm.datasets.tokenizer_building import train_bpe
from scratchlm.datasets.tokenizers import write_byte_pair_tokenizer
from tests.corpora import PROSE, write_byte_tokenizer


@pytest.fixture
def project(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """An empty project: $DVC_ROOT, without a mirror."""
    monkeypatch.setenv("DVC_ROOT", str(tmp_path))
    monkeypatch.delenv("SCRATCHLM_MIRROR", raising=False)
    return tmp_path


@pytest.fixture
def tokenizer(project: Path) -> Path:
    """The directory of a tokenizer of bytes."""
    write_byte_tokenizer(project / "tokenizer")
    return project / "tokenizer"


@pytest.fixture
def one_worker(monkeypatch: pytest.MonkeyPatch) -> None:
    """One process for sharding: what two would do is asked for by the test."""
    monkeypatch.setenv("SCRATCHLM_WORKERS", "1")


@pytest.fixture(scope="session")
def uci_file(shared: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """UCI's file of messages."""
    path = tmp_path_factory.mktemp("uci") / "sms_spam.tsv"
    extract_sms_spam(shared / "mirror/archive.ics.uci.edu/static/public/228/sms+spam+collection.zip", path)
    return path


@pytest.fixture(scope="session")
def uci(uci_file: Path) -> pd.DataFrame:
    """UCI's messages, read with quoting off."""
    config = ReadConfig(labels=["ham", "spam"], separator="tab", quoting="none", columns=None)
    return read_sms_spam(uci_file, config)


@pytest.fixture(scope="session")
def encoders(gpt2_directory: Path, tmp_path_factory: pytest.TempPathFactory) -> dict[tuple[str, Engine], Encoder]:
    """GPT-2's tokenizer and a trained one, each on both engines."""
    trained = tmp_path_factory.mktemp("trained")
    write_byte_pair_tokenizer(trained, *train_bpe([PROSE], 280))
    engines: tuple[Engine, Engine] = ("tiktoken", "gigatoken")
    folders = {"gpt2": gpt2_directory, "trained": trained}
    return {(name, engine): Encoder(folder, engine) for name, folder in folders.items() for engine in engines}
