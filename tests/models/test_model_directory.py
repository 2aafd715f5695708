"""A directory whose weights were streamed is the one that safetensors and save_model write."""

import itertools
from pathlib import Path

import pytest
from safetensors.torch import save_file

from scratchlm.checksums import verify_manifest
from scratchlm.errors import UserError
from scratchlm.models.gpt_config import GPTConfig
from scratchlm.models.model_directory import stored_names, stream_model
from scratchlm.models.storage import save_model
from tests.models.conftest import CONFIG, make_gpt


def values_of(config: GPTConfig) -> list[bytes]:
    state = make_gpt(config).state_dict()
    return [state[name].numpy().tobytes() for name in stored_names(config)]


def test_streamed_or_saved_the_directory_is_the_same_byte_for_byte(tmp_path: Path, tokenizer_folder: Path):
    whole = b"".join(values_of(CONFIG))
    pieces = iter([whole[:1], whole[1:1_000], whole[1_000:]])
    stream_model(CONFIG, pieces, tmp_path / "streamed", tokenizer=tokenizer_folder, card="# A card\n")
    save_model(make_gpt(), tmp_path / "saved", tokenizer=tokenizer_folder, card="# A card\n")
    streamed, saved = (
        {file.name: file.read_bytes() for file in (tmp_path / name).iterdir()} for name in ("streamed", "saved")
    )
    assert streamed == saved
    verify_manifest(tmp_path / "streamed")


@pytest.mark.parametrize("context_length", [7, 32, 33, 999, 1_024])  # headers of several lengths modulo 8
def test_the_weights_are_as_safetensors_writes_them(tmp_path: Path, tokenizer_folder: Path, context_length: int):
    config = GPTConfig(n_layer=11, n_head=1, n_embd=8, context_length=context_length, vocab_size=211)
    stream_model(config, values_of(config), tmp_path / "model", tokenizer=tokenizer_folder, card="")
    tensors = {f"transformer.{name}": tensor for name, tensor in make_gpt(config).state_dict().items()}
    save_file(tensors, tmp_path / "expected", metadata={"format": "pt"})
    assert (tmp_path / "model/model.safetensors").read_bytes() == (tmp_path / "expected").read_bytes()


def test_values_that_break_off_leave_what_was_there(tmp_path: Path, tokenizer_folder: Path):
    def broken():
        yield from itertools.islice(values_of(CONFIG), 3)
        raise UserError("the rest is damaged")

    stream_model(CONFIG, values_of(CONFIG), tmp_path / "model", tokenizer=tokenizer_folder, card="old")
    with pytest.raises(UserError, match="the rest is damaged"):
        stream_model(CONFIG, broken(), tmp_path / "model", tokenizer=tokenizer_folder, card="new")
    assert [path.name for path in tmp_path.iterdir()] == ["model"]
    assert (tmp_path / "model/README.md").read_text() == "old"
    verify_manifest(tmp_path / "model")
