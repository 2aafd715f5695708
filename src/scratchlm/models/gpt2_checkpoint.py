"""OpenAI's GPT-2 checkpoints, read and written; the only file that needs TensorFlow, and for writing alone; no torch.

Conversion is a rename: the parameters of `GPT` have OpenAI's layout, only the leading axis of 1 of OpenAI's projection
matrices is dropped or added.
"""

import math
import os
import shutil
from collections.abc import Iterable, Iterator, Mapping
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import numpy as np
from pydantic import ValidationError

from scratchlm.artifacts import read_json, write_json
from scratchlm.errors import UserError
from scratchlm.models.gpt_config import GPTConfig, parameter_shapes
from scratchlm.models.tensor_bundle import Entry, read_index, read_pieces
from scratchlm.params import Schema

HPARAMS = "hparams.json"
PREFIX = "model.ckpt"
INDEX = f"{PREFIX}.index"
DATA = f"{PREFIX}.data-00000-of-00001"


class HParams(Schema):
    """The contents of hparams.json."""

    n_vocab: int
    n_ctx: int
    n_embd: int
    n_head: int
    n_layer: int


def write_gpt2(config: GPTConfig, parameters: Iterable[tuple[str, np.ndarray]], directory: Path) -> None:
    """Write hparams.json, checkpoint and model.ckpt.{index,meta,data-00000-of-00001} into an existing directory.

    `parameters` are names and values of a GPT in its order. The same ones give the same bytes in every process with the
    same TensorFlow, which keeps a copy of all until they are written.
    """
    hparams = HParams(
        n_vocab=config.vocab_size,
        n_ctx=config.context_length,
        n_embd=config.n_embd,
        n_head=config.n_head,
        n_layer=config.n_layer,
    )
    write_json(directory / HPARAMS, hparams.model_dump())
    tensorflow = _import_tensorflow()
    tf = tensorflow.compat.v1
    without_gpu = tf.ConfigProto(device_count={"GPU": 0})
    with tensorflow.Graph().as_default(), tf.Session(config=without_gpu) as session:
        for name, array in parameters:
            array = array.reshape(_openai_shape(name, array.shape))
            # A placeholder as initial value keeps the weights out of the graph, which model.ckpt.meta holds.
            initial = tf.placeholder(tf.float32, array.shape)
            variable = tf.Variable(initial, name=_openai_name(name), use_resource=False)
            session.run(variable.initializer, {initial: array})
        tf.train.Saver(save_relative_paths=True).save(session, str(directory / PREFIX))


def copy_vocabulary(model: Path, directory: Path) -> None:
    """Copy the BPE of a model directory under OpenAI's names, encoder.json and vocab.bpe; UserError if it has none."""
    for ours, theirs in {"vocab.json": "encoder.json", "merges.txt": "vocab.bpe"}.items():
        if not (model / ours).is_file():
            raise UserError(
                f"{model} has no {ours}: OpenAI's layout has only BPE vocabularies; "
                "set build_tokenizer.kind to bpe or gpt2."
            )
        shutil.copyfile(model / ours, directory / theirs)


def read_hparams(directory: Path) -> GPTConfig:
    """Read the size of a checkpoint from its hparams.json."""
    path = directory / HPARAMS
    try:
        hparams = HParams.model_validate(read_json(path))
        return GPTConfig(
            n_layer=hparams.n_layer,
            n_head=hparams.n_head,
            n_embd=hparams.n_embd,
            context_length=hparams.n_ctx,
            vocab_size=hparams.n_vocab,
        )
    except ValidationError as error:
        first = error.errors(include_url=False)[0]
        where = ".".join(map(str, first["loc"])) or "the whole"
        raise UserError(f"{path} is no GPT-2 hparams.json ({where}: {first['msg']}); fetch it again.") from None


def check_files(directory: Path, config: GPTConfig) -> dict[str, Entry]:
    """Compare names, shapes and types in the index, and the size of the data file, with what `config` needs.

    Returns what the index says of each tensor, by its name; no weight is read. UserError names the first difference.
    """
    path = directory / INDEX
    expected, found = tensor_shapes(config), _read_index(path)
    for name in sorted(expected.keys() | found.keys()):
        if name not in found:
            raise UserError(f"{path} lacks the tensor {name}, which {HPARAMS} asks for; fetch both again.")
        if name not in expected:
            raise UserError(f"{path} has the tensor {name}, which is no part of the GPT-2 of {HPARAMS}.")
        if (shape := found[name].shape) != expected[name]:
            raise UserError(f"{path}: {name} has shape {shape}, {HPARAMS} asks for {expected[name]}; fetch both again.")
        if found[name].dtype != "float32":
            raise UserError(f"{path}: {name} has type {found[name].dtype}, only float32 can be converted.")
    _check_places(path, found)
    _check_data_size(directory / DATA, sum(entry.size for entry in found.values()))
    return found


def read_values(directory: Path, entries: Mapping[str, Entry], names: Iterable[str]) -> Iterator[bytes]:
    """The little-endian float32 values of parameters, one after the other, in pieces; `entries` are of `check_files`.

    UserError names a tensor whose bytes do not have TensorFlow's crc32c, or whose values are not finite; that is known
    after its last piece.
    """
    path = directory / DATA
    with path.open("rb") as file:
        for name in map(_openai_name, names):
            finite = 0
            try:
                for piece in read_pieces(file, entries[name]):
                    finite += np.count_nonzero(np.isfinite(np.frombuffer(piece, "<f4")))
                    yield piece
            except ValueError as error:
                raise UserError(f"{path}: {name} cannot be read ({error}); fetch it again.") from None
            if finite != (total := math.prod(entries[name].shape)):
                raise UserError(f"{path}: {total - finite:,} of {total:,} values of {name} are not finite.")


def check_values(directory: Path, config: GPTConfig) -> None:
    """Check every byte of a checkpoint; UserError as `check_files` and `read_values` have it."""
    entries = check_files(directory, config)
    for _ in read_values(directory, entries, parameter_shapes(config)):
        pass


def tensor_shapes(config: GPTConfig) -> dict[str, tuple[int, ...]]:
    """OpenAI's name and shape of each tensor in a checkpoint of this size."""
    return {_openai_name(name): _openai_shape(name, shape) for name, shape in parameter_shapes(config).items()}


def _read_index(path: Path) -> dict[str, Entry]:
    try:
        return read_index(path)
    except FileNotFoundError:
        raise UserError(f"{path} is missing; fetch the checkpoint again.") from None
    except ValueError as error:
        raise UserError(f"{path} is no index of a TensorFlow checkpoint ({error}); fetch it again.") from None


def _check_places(path: Path, entries: Mapping[str, Entry]) -> None:
    """UserError unless the tensors fill the data file, one behind the other: then no byte is without a checksum."""
    end = 0
    for name, entry in sorted(entries.items(), key=lambda item: item[1].offset):
        if (entry.offset, entry.size) != (end, 4 * math.prod(entry.shape)):
            raise UserError(f"{path}: {name} is not where the tensor before it ends; fetch it again.")
        end += entry.size


def _check_data_size(path: Path, expected: int) -> None:
    if not path.is_file():
        raise UserError(f"{path} is missing; fetch the checkpoint again.")
    if (found := path.stat().st_size) != expected:
        raise UserError(f"{path} has {found:,} bytes, its index says {expected:,}; fetch it again.")


def _openai_name(name: str) -> str:
    """`h.0.ln_1.weight` is `model/h0/ln_1/g`, `h.0.mlp.c_fc.weight` `model/h0/mlp/c_fc/w`, `wte.weight` `model/wte`."""
    *parts, kind = name.split(".")
    if parts[0] == "h":
        parts[:2] = [f"h{parts[1]}"]
    if not name.startswith(("wte", "wpe")):
        parts.append("b" if kind == "bias" else "g" if parts[-1].startswith("ln_") else "w")
    return "/".join(["model", *parts])


def _openai_shape(name: str, shape: tuple[int, ...]) -> tuple[int, ...]:
    is_projection = ".c_" in name and name.endswith(".weight")
    return (1, *shape) if is_projection else tuple(shape)


def _import_tensorflow() -> Any:
    """TensorFlow, without the lines that its libraries print while they load."""
    os.environ.setdefault("TF_CPP_MIN_LOG_LEVEL", "3")
    with _silent_stderr():
        import tensorflow
    return tensorflow


@contextmanager
def _silent_stderr() -> Iterator[None]:
    # Abseil's C++ logging writes to the descriptor itself before anything can set its level.
    kept = os.dup(2)
    sink = os.open(os.devnull, os.O_WRONLY)
    try:
        os.dup2(sink, 2)
        yield
    finally:
        os.dup2(kept, 2)
        os.close(kept)
        os.close(sink)
