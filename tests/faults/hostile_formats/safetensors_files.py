"""Safetensors files: headers that are wrong under a length that is right."""

import json
import random
import struct
from pathlib import Path

from scratchlm.models.storage import load_gpt
from tests.faults.hostile_formats.format import Format, Make, Read, copy_files, named_file
from tests.faults.mutations import mutate
from tests.tiny_model import save_tiny_model, tiny_gpt


def _header_mutation(content: bytes, rng: random.Random) -> bytes:
    """Change the header of a safetensors file, under a length that is right."""
    size = struct.unpack("<Q", content[:8])[0]
    header = mutate(content[8 : 8 + size], rng)
    return struct.pack("<Q", len(header)) + header + content[8 + size :]


def _tensor_mutation(content: bytes, rng: random.Random) -> bytes:
    """Change one tensor's entry in the header of a safetensors file."""
    size = struct.unpack("<Q", content[:8])[0]
    header = json.loads(content[8 : 8 + size])
    name = rng.choice([name for name in header if name != "__metadata__"])
    kind = rng.choice(["dtype", "shape", "data_offsets"])
    numbers = [0, 1, -1, 2**31, 2**63, 2**64, 10**30, 1.5]
    values = {
        "dtype": rng.choice(["F64", "I8", "F8_E4M3", "BOOL", "X", None]),
        "shape": [rng.choice(numbers) for _ in range(rng.randint(0, 4))],
        "data_offsets": [rng.choice(numbers) for _ in range(rng.randint(0, 3))],
    }
    header[name][kind] = values[kind]
    text = json.dumps(header).encode()
    return struct.pack("<Q", len(text)) + text + content[8 + size :]


def _prepare_safetensors(folder: Path) -> Make:
    save_tiny_model(folder / "model", tiny_gpt(context_length=16))

    def make(place: Path, number: int, rng: random.Random) -> Read:
        copy_files(folder / "model", place)
        path = place / "model.safetensors"
        change = rng.choice([_header_mutation, _tensor_mutation, _tensor_mutation, mutate])
        return named_file(change(path.read_bytes(), rng), path, lambda path: load_gpt(place, verify=False))

    return make


SAFETENSORS = Format("safetensors", _prepare_safetensors)
