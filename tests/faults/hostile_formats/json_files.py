"""JSON and JSON Lines: entries, answers, documents, configurations and manifests."""

import json
import random
from collections.abc import Callable
from pathlib import Path

import numpy as np

from scratchlm.checksums import write_sealed
from scratchlm.datasets.documents import corpus_files, read_documents
from scratchlm.datasets.instructions import read_instructions
from scratchlm.judging.answers import read_answers
from scratchlm.models.gpt2_checkpoint import check_values, read_hparams, tensor_shapes
from scratchlm.models.storage import load_gpt
from tests.faults.hostile_formats.checkpoints import HPARAMS, SMALL
from tests.faults.hostile_formats.format import Format, Make, Read, copy_files, named_file
from tests.faults.mutations import mutate, swap_values
from tests.faults.tensor_table import bundle, table
from tests.tiny_model import save_tiny_model, tiny_gpt

ENTRY = {"instruction": "Say hi.", "input": "", "output": "Hi."}


def _prepare_json(folder: Path) -> Make:
    save_tiny_model(folder / "model", tiny_gpt(context_length=16))
    answer = json.dumps({"id": 0, **ENTRY, "response": "Hi."}) + "\n"
    write_sealed(
        folder / "manifest.json", {"files": [{"name": "a", "url": "", "bytes": 1, "sha256": "", "licence": ""}]}
    )
    good: dict[str, tuple[bytes, Callable[[Path], object]]] = {
        "instructions.json": (json.dumps([ENTRY] * 3).encode(), read_instructions),
        "instructions.jsonl": (f"{json.dumps(ENTRY)}\n".encode() * 3, read_instructions),
        "answers.jsonl": (answer.encode(), read_answers),
        "corpus.jsonl": (b'{"text": "a"}\n{"text": "b"}\n', lambda path: list(read_documents(path))),
        "corpus.json": (b'[{"text": "a"}, {"text": "b"}]', lambda path: list(read_documents(path))),
        "config.json": ((folder / "model/config.json").read_bytes(), lambda path: load_gpt(path.parent, verify=False)),
        "hparams.json": (
            json.dumps(HPARAMS).encode(),
            lambda path: check_values(path.parent, read_hparams(path.parent)),
        ),
        "manifest.json": ((folder / "manifest.json").read_bytes(), lambda path: corpus_files(path.parent)),
    }
    entries, data = bundle({name: np.zeros(shape) for name, shape in tensor_shapes(SMALL).items()})

    def make(place: Path, number: int, rng: random.Random) -> Read:
        name = rng.choice(list(good))
        if name == "config.json":
            copy_files(folder / "model", place)
        if name == "hparams.json":
            (place / "model.ckpt.index").write_bytes(table(entries))
            (place / "model.ckpt.data-00000-of-00001").write_bytes(data)
        content, read = good[name]
        return named_file(mutate(content, rng, [swap_values] * 4), place / name, read)

    return make


JSON = Format("JSON", _prepare_json)
