"""A project folder of its own for each test, and GPT-2's tokenizer once."""

from pathlib import Path

import pytest

from scratchlm.datasets.tokenizer_building import fetch_gpt2
from scratchlm.datasets.tokenizers import write_byte_pair_tokenizer


@pytest.fixture
def project(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """An empty project: $DVC_ROOT, without a mirror."""
    monkeypatch.setenv("DVC_ROOT", str(tmp_path))
    monkeypatch.delenv("SCRATCHLM_MIRROR", raising=False)
    return tmp_path


@pytest.fixture(scope="session")
def gpt2_directory(shared: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The directory of GPT-2's tokenizer, from the files of the mirror."""
    directory = tmp_path_factory.mktemp("gpt2-tokenizer")
    with pytest.MonkeyPatch.context() as monkeypatch:
        monkeypatch.setenv("SCRATCHLM_MIRROR", str(shared / "mirror"))
        write_byte_pair_tokenizer(directory, *fetch_gpt2())
    return directory
