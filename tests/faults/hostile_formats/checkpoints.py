"""TensorFlow checkpoints: indices and data files that are wrong, some under checksums that are right."""

import random
from pathlib import Path

import numpy as np

from scratchlm.artifacts import write_json
from scratchlm.models.gpt2_checkpoint import check_values, read_hparams, tensor_shapes
from scratchlm.models.gpt_config import GPTConfig
from tests.faults.hostile_formats.format import Format, Make, Read, named_file
from tests.faults.mutations import mutate
from tests.faults.tensor_table import bundle, seal, table, write_varint

SMALL = GPTConfig(n_layer=1, n_head=1, n_embd=4, context_length=4, vocab_size=7)
HPARAMS = {"n_vocab": 7, "n_ctx": 4, "n_embd": 4, "n_head": 1, "n_layer": 1}


def _write_checkpoint(folder: Path) -> tuple[dict[bytes, bytes], bytes]:
    write_json(folder / "hparams.json", HPARAMS)
    rng = np.random.default_rng(0)
    return bundle({name: rng.normal(size=shape) for name, shape in tensor_shapes(SMALL).items()})


def _prepare_index(folder: Path) -> Make:
    entries, data = _write_checkpoint(folder)

    def mutate_entry(_: bytes, rng: random.Random) -> bytes:
        name = rng.choice(list(entries))
        return table({**entries, name: mutate(entries[name], rng)})

    def mutate_key(_: bytes, rng: random.Random) -> bytes:
        name = rng.choice(list(entries))
        return table({(mutate(key, rng) if key == name else key): value for key, value in entries.items()})

    def mutate_block(_: bytes, rng: random.Random) -> bytes:
        content = table(entries)
        size = len(content) - 48
        block = mutate(content[: rng.randrange(size)], rng)
        return seal(block) + content[size:]

    def handle(_: bytes, rng: random.Random) -> bytes:
        numbers = [rng.choice([0, 1, 47, 2**31, 2**63, 2**500]) for _ in range(4)]
        return table(entries)[:-48] + b"".join(map(write_varint, numbers))[:40].ljust(40, b"\0") + table(entries)[-8:]

    def make(place: Path, number: int, rng: random.Random) -> Read:
        (place / "hparams.json").write_bytes((folder / "hparams.json").read_bytes())
        (place / "model.ckpt.data-00000-of-00001").write_bytes(data)
        content = rng.choice([mutate_entry, mutate_key, mutate_block, handle, mutate])(table(entries), rng)
        return named_file(content, place / "model.ckpt.index", lambda path: check_values(place, read_hparams(place)))

    return make


def _prepare_data(folder: Path) -> Make:
    entries, data = _write_checkpoint(folder)

    def make(place: Path, number: int, rng: random.Random) -> Read:
        (place / "hparams.json").write_bytes((folder / "hparams.json").read_bytes())
        (place / "model.ckpt.index").write_bytes(table(entries))
        path = place / "model.ckpt.data-00000-of-00001"
        return named_file(mutate(data, rng), path, lambda path: check_values(place, read_hparams(place)))

    return make


TENSORFLOW_INDEX = Format("TensorFlow index", _prepare_index)
TENSORFLOW_DATA = Format("TensorFlow data", _prepare_data)
