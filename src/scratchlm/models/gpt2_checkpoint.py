"""OpenAI's GPT-2 checkpoints, read and written; the only file that knows TensorFlow.

Conversion is a rename: the parameters of `GPT` have OpenAI's layout, only the leading axis of 1 of OpenAI's projection
matrices is dropped or added.
"""

import math
import os
import shutil
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import numpy as np
import torch
from pydantic import ValidationError

from scratchlm.artifacts import read_json, write_json
from scratchlm.errors import UserError
from scratchlm.models.gpt import GPT, GPTConfig
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


def read_gpt2(directory: Path) -> GPT:
    """Read a checkpoint into a model in evaluation mode; UserError says what is missing, damaged or not finite."""
    config = read_hparams(directory)
    check_files(directory, config)
    with torch.device("meta"):
        model = GPT(config)
    parameters = dict(model.to_empty(device="cpu").named_parameters())
    with torch.no_grad():
        for name, array in read_tensors(directory, config):
            parameters[name].copy_(torch.from_numpy(array))
    return model.eval()


def write_gpt2(model: GPT, directory: Path) -> None:
    """Write hparams.json, checkpoint and model.ckpt.{index,meta,data-00000-of-00001} into an existing directory.

    The same weights give the same bytes in every process with the same TensorFlow.
    """
    config = model.config
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
        for name, parameter in model.named_parameters():
            array = parameter.detach().to("cpu", torch.float32).numpy().reshape(_openai_shape(name, parameter.shape))
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


def check_files(directory: Path, config: GPTConfig) -> None:
    """Compare names, shapes and types in the index, and the size of the data file, with what `config` needs.

    No weight is read. UserError names the first difference.
    """
    path = directory / INDEX
    expected = tensor_shapes(config)
    reader = _open(directory)
    found = {name: tuple(shape) for name, shape in reader.get_variable_to_shape_map().items()}
    types = {name: dtype.name for name, dtype in reader.get_variable_to_dtype_map().items()}
    for name in sorted(expected.keys() | found.keys()):
        if name not in found:
            raise UserError(f"{path} lacks the tensor {name}, which {HPARAMS} asks for; fetch both again.")
        if name not in expected:
            raise UserError(f"{path} has the tensor {name}, which is no part of the GPT-2 of {HPARAMS}.")
        if found[name] != expected[name]:
            raise UserError(
                f"{path}: {name} has shape {found[name]}, {HPARAMS} asks for {expected[name]}; fetch both again."
            )
        if types[name] != "float32":
            raise UserError(f"{path}: {name} has type {types[name]}, only float32 can be converted.")
    _check_data_size(directory / DATA, sum(4 * math.prod(shape) for shape in found.values()))


def _check_data_size(path: Path, expected: int) -> None:
    if not path.is_file():
        raise UserError(f"{path} is missing; fetch the checkpoint again.")
    if (found := path.stat().st_size) != expected:
        raise UserError(f"{path} has {found:,} bytes, its index says {expected:,}; fetch it again.")


def read_tensors(directory: Path, config: GPTConfig) -> Iterator[tuple[str, np.ndarray]]:
    """Yield our name and the float32 values of each parameter, one in memory at a time; TensorFlow checks the crc32c.

    UserError names a tensor whose checksum is wrong or whose values are not finite.
    """
    tensorflow = _import_tensorflow()
    reader = _open(directory)
    for name, shape in _parameter_shapes(config).items():
        try:
            array = reader.get_tensor(_openai_name(name)).reshape(shape)
        except (tensorflow.errors.OpError, IndexError) as error:
            raise UserError(
                f"{directory / DATA}: {_openai_name(name)} cannot be read ({error}); fetch it again."
            ) from None
        if not np.isfinite(array).all():
            count = int((~np.isfinite(array)).sum())
            raise UserError(
                f"{directory / DATA}: {count:,} of {array.size:,} values of {_openai_name(name)} are not finite."
            )
        yield name, array


def tensor_shapes(config: GPTConfig) -> dict[str, tuple[int, ...]]:
    """OpenAI's name and shape of each tensor in a checkpoint of this size."""
    return {_openai_name(name): _openai_shape(name, shape) for name, shape in _parameter_shapes(config).items()}


def _parameter_shapes(config: GPTConfig) -> dict[str, tuple[int, ...]]:
    with torch.device("meta"):
        return {name: tuple(parameter.shape) for name, parameter in GPT(config).named_parameters()}


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


def _open(directory: Path) -> Any:
    """TensorFlow's reader of the index; the data file need not exist yet."""
    path = directory / INDEX
    if not path.is_file():
        raise UserError(f"{path} is missing; fetch the checkpoint again.")
    tensorflow = _import_tensorflow()
    try:
        return tensorflow.train.load_checkpoint(str(directory / PREFIX))
    except tensorflow.errors.OpError as error:
        raise UserError(f"{path} is no index of a TensorFlow checkpoint ({error.message}); fetch it again.") from None


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
