"""Safetensors files are what the library writes, and a disk without room is one line."""

from pathlib import Path

import pytest
import torch
from safetensors import safe_open
from safetensors.torch import load_file

from scratchlm.artifacts import atomic_directory
from scratchlm.errors import UserError
from scratchlm.models.tensor_file import save_tensors, tensor_bytes
from tests.full_files import files_up_to


def test_what_is_saved_is_read_back_with_its_types_and_its_metadata(tmp_path: Path):
    tensors = {"weight": torch.randn(3, 4), "half": torch.randn(5).bfloat16(), "count": torch.tensor(7)}
    save_tensors(tensors, tmp_path / "weights", metadata={"format": "pt"})
    read = load_file(tmp_path / "weights")
    assert read.keys() == tensors.keys()
    for name, tensor in tensors.items():
        assert read[name].dtype == tensor.dtype
        assert torch.equal(read[name], tensor)
    with safe_open(tmp_path / "weights", "pt") as weights:
        assert weights.metadata() == {"format": "pt"}
    assert tensor_bytes(tensors) == 3 * 4 * 4 + 5 * 2 + 8


@pytest.mark.parametrize("limit", [0, 100, 40_000])
def test_weights_that_do_not_fit_name_the_file_and_all_their_bytes(limit: int, tmp_path: Path):
    def write() -> None:
        with atomic_directory(tmp_path / "model") as partial:
            save_tensors({"weight": torch.zeros(10_000)}, partial / "weights")

    with files_up_to(limit), pytest.raises(UserError, match=r"weights needs 40,000 bytes: File too large, [\d,]+ are"):
        write()
    assert list(tmp_path.iterdir()) == []


def test_another_error_of_the_file_system_keeps_its_number_and_its_path(tmp_path: Path):
    with pytest.raises(FileNotFoundError) as error:
        save_tensors({"weight": torch.zeros(1)}, tmp_path / "nowhere/weights")
    assert error.value.filename == str(tmp_path / "nowhere/weights")
