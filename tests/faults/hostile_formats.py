"""The formats of hostile files: good ones of each, what only that format can get wrong, and what reads them."""

import io
import json
import random
import struct
import zipfile
from collections.abc import Callable
from dataclasses import dataclass, field
from functools import partial
from pathlib import Path

import numpy as np

from pipeline import finetune_classifier, prepare_sms_spam, pretrain
from scratchlm.artifacts import write_json
from scratchlm.checksums import write_sealed
from scratchlm.datasets.chat_templates import read_chat_template
from scratchlm.datasets.documents import corpus_files, read_documents
from scratchlm.datasets.instructions import read_instructions
from scratchlm.datasets.lookup_tokenizers import write_char_tokenizer, write_word_tokenizer
from scratchlm.datasets.sms_spam import read_split
from scratchlm.datasets.sms_spam_reading import ReadConfig, extract_sms_spam, read_sms_spam
from scratchlm.datasets.tokenizers import (
    load_tokenizer,
    read_openai_vocabulary,
    write_byte_pair_tokenizer,
)
from scratchlm.judging.answers import read_answers
from scratchlm.models.gpt2_checkpoint import check_values, read_hparams, tensor_shapes
from scratchlm.models.gpt_config import GPTConfig
from scratchlm.models.storage import load_gpt
from scratchlm.params import read_params
from tests.conftest import ROOT
from tests.corpora import write_byte_tokenizer
from tests.faults.mutations import Mutation, mutate
from tests.faults.sandbox import call_in_children
from tests.faults.tensor_table import bundle, seal, table, write_varint
from tests.tiny_model import save_tiny_model, tiny_gpt

Read = Callable[[], object]
Make = Callable[[Path, int, random.Random], Read]  # puts a file into a folder, and says how it is read


@dataclass(frozen=True)
class Format:
    """`prepare` makes good files once, in a folder of its own; a reader may write files named in `writes`."""

    name: str
    prepare: Callable[[Path], Make]
    writes: frozenset[str] = field(default_factory=frozenset)


def _named(content: bytes, path: Path, read: Callable[[Path], object]) -> Read:
    path.write_bytes(content)
    return partial(read, path)


# zip


def _zip(name: str, content: bytes, method: int = zipfile.ZIP_DEFLATED) -> bytes:
    archive = io.BytesIO()
    with zipfile.ZipFile(archive, "w", method) as members:
        members.writestr(name, content)
    return archive.getvalue()


def _prepare_zip(folder: Path) -> Make:
    member = "SMSSpamCollection"
    text = b"ham\tsee you\nspam\tWIN\n" * 40
    good = [_zip(member, text), _zip(member, text, zipfile.ZIP_STORED), _zip(member, text, zipfile.ZIP_LZMA)]
    bomb = _zip(member, bytes(2**28))
    special = [bomb, _zip("../../canary", text), _zip("/tmp/canary", text), _zip("../SMSSpamCollection", text)]
    special += [good[0].replace(b"\x14\0\0\0", b"\x14\0\x01\0"), good[0] + bomb]

    def make(place: Path, number: int, rng: random.Random) -> Read:
        content = special[number] if number < len(special) else mutate(rng.choice(good), rng)
        if number % 2:  # only what begins as an archive is read as one
            content = b"PK\x03\x04" + content[4:]
        return _named(content, place / "download", lambda path: extract_sms_spam(path, place / "sms_spam.tsv"))

    return make


# TensorFlow

SMALL = GPTConfig(n_layer=1, n_head=1, n_embd=4, context_length=4, vocab_size=7)


def _write_checkpoint(folder: Path) -> tuple[dict[bytes, bytes], bytes]:
    write_json(folder / "hparams.json", {"n_vocab": 7, "n_ctx": 4, "n_embd": 4, "n_head": 1, "n_layer": 1})
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
        return _named(content, place / "model.ckpt.index", lambda path: check_values(place, read_hparams(place)))

    return make


def _prepare_data(folder: Path) -> Make:
    entries, data = _write_checkpoint(folder)

    def make(place: Path, number: int, rng: random.Random) -> Read:
        (place / "hparams.json").write_bytes((folder / "hparams.json").read_bytes())
        (place / "model.ckpt.index").write_bytes(table(entries))
        path = place / "model.ckpt.data-00000-of-00001"
        return _named(mutate(data, rng), path, lambda path: check_values(place, read_hparams(place)))

    return make


# models


def _copy(folder: Path, place: Path) -> None:
    for file in folder.iterdir():
        (place / file.name).write_bytes(file.read_bytes())


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
        _copy(folder / "model", place)
        path = place / "model.safetensors"
        change = rng.choice([_header_mutation, _tensor_mutation, _tensor_mutation, mutate])
        return _named(change(path.read_bytes(), rng), path, lambda path: load_gpt(place, verify=False))

    return make


# tokenizers


def _prepare_tokenizer(folder: Path) -> Make:
    write_byte_tokenizer(folder / "bpe")
    for name, write in (("char", write_char_tokenizer), ("word", write_word_tokenizer)):
        (folder / name).mkdir()
        write(folder / name, ["a", "b", *(["<|unk|>"] if name == "word" else []), "<|endoftext|>"])

    def read(path: Path) -> None:
        tokenizer = load_tokenizer(path.parent)
        ids = tokenizer.encode("ab")
        tokenizer.decode([*ids, tokenizer.eot_id])
        read_chat_template(path.parent)

    def make(place: Path, number: int, rng: random.Random) -> Read:
        kind = rng.choice(["bpe", "char", "word"])
        _copy(folder / kind, place)
        path = place / rng.choice(["tokenizer.json", "tokenizer.json", "tokenizer_config.json"])
        content = path.read_bytes()
        if path.name == "tokenizer_config.json":
            template = rng.choice(
                ["{% for x in range(10**9) %}a{% endfor %}", "{{ 'a' * 10**10 }}", "{{", "{{ ''.__class__ }}"]
            )
            content = json.dumps({**json.loads(content), "chat_template": template}).encode()
        return _named(mutate(content, rng), path, read)

    return make


def _prepare_vocabulary(folder: Path) -> Make:
    write_byte_tokenizer(folder / "bpe")
    vocabulary = json.loads((folder / "bpe/vocab.json").read_text())
    vocabulary = {
        **{key: value for key, value in vocabulary.items() if value < 256},
        "ab": 256,
        "abc": 257,
        "<|endoftext|>": 258,
    }
    good = {"encoder.json": json.dumps(vocabulary).encode(), "vocab.bpe": b"#version: 0.2\na b\nab c\n"}

    def read(path: Path) -> None:
        (path.parent / "tokenizer").mkdir()
        write_byte_pair_tokenizer(path.parent / "tokenizer", *read_openai_vocabulary(path.parent))
        load_tokenizer(path.parent / "tokenizer").encode("abc")

    def make(place: Path, number: int, rng: random.Random) -> Read:
        for name, content in good.items():
            (place / name).write_bytes(content)
        name = rng.choice(list(good))
        change: list[Mutation] = [_swap_values] if name == "encoder.json" else []
        return _named(mutate(good[name], rng, change * 4), place / name, read)

    return make


def _swap_values(content: bytes, rng: random.Random) -> bytes:
    """Give an entry of a JSON object another value, or another key."""
    try:
        value = json.loads(content)
    except (ValueError, RecursionError):
        return content
    if isinstance(value, dict) and value:
        key = rng.choice(list(value))
        value[key] = rng.choice([0, -1, 2**40, 1.5, "0", None, [], {}, True, value[rng.choice(list(value))]])
    return json.dumps(value).encode()


# JSON

ENTRY = {"instruction": "Say hi.", "input": "", "output": "Hi."}
HPARAMS = {"n_vocab": 7, "n_ctx": 4, "n_embd": 4, "n_head": 1, "n_layer": 1}


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
            _copy(folder / "model", place)
        if name == "hparams.json":
            (place / "model.ckpt.index").write_bytes(table(entries))
            (place / "model.ckpt.data-00000-of-00001").write_bytes(data)
        content, read = good[name]
        return _named(mutate(content, rng, [_swap_values] * 4), place / name, read)

    return make


# tables


def _prepare_tables(folder: Path) -> Make:
    plain = ReadConfig(labels=["ham", "spam"], separator="tab", quoting="none", columns=None)
    quoted = plain.model_copy(update={"quoting": "csv"})
    text = b'ham\tsee "you"\nspam\tWIN\n' * 3
    good: dict[str, tuple[bytes, Callable[[Path], object]]] = {
        "plain.tsv": (text, lambda path: read_sms_spam(path, plain)),
        "quoted.tsv": (text, lambda path: read_sms_spam(path, quoted)),
        "split.csv": (b'"label","text"\n"ham","hi"\n', read_split),
        "corpus.tsv": (b'id\ttext\n1\ta "b"\n2\tc\n', lambda path: list(read_documents(path))),
        "corpus.csv": (b'id,text\n1,"a ""b"\n2,c\n', lambda path: list(read_documents(path))),
    }

    def make(place: Path, number: int, rng: random.Random) -> Read:
        name = rng.choice(list(good))
        content, read = good[name]
        return _named(mutate(content, rng), place / name, read)

    return make


def _prepare_parquet(folder: Path) -> Make:
    def write() -> None:
        import pyarrow as pa
        import pyarrow.parquet as pq

        rows = pa.table({"text": [f"text {n} " * 9 for n in range(300)], "id": list(range(300))})
        for number, options in enumerate(
            [{}, {"compression": "zstd"}, {"compression": "none", "use_dictionary": False}]
        ):
            pq.write_table(rows, folder / f"{number}.parquet", **options)

    folder.mkdir(parents=True)
    assert list(call_in_children([(write, folder)])) == [
        "read"
    ]  # in a child: this process must have no threads when it forks
    good = [file.read_bytes() for file in sorted(folder.iterdir())]

    def footer_mutation(content: bytes, rng: random.Random) -> bytes:
        size = struct.unpack("<I", content[-8:-4])[0] if len(content) > 8 else 0
        footer = mutate(content[-8 - size : -8], rng)
        return content[: -8 - size] + footer + struct.pack("<I", len(footer)) + b"PAR1"

    def make(place: Path, number: int, rng: random.Random) -> Read:
        content = rng.choice(good)
        content = footer_mutation(content, rng) if rng.random() < 0.6 else mutate(content, rng)
        return _named(content, place / "a.parquet", lambda path: [list(document) for document in read_documents(path)])

    return make


# params.yaml

BOMB = b"a: &a [x,x,x,x,x,x,x,x,x]\n" + b"".join(
    f"{new}: &{new} [{','.join([f'*{old}'] * 9)}]\n".encode() for old, new in zip("abcdefgh", "bcdefghi", strict=True)
)
MERGES = b"a: &a {x1: 1, x2: 1, x3: 1}\n" + b"".join(
    f"{new}: &{new} {{<<: [{','.join([f'*{old}'] * 9)}]}}\n".encode()
    for old, new in zip("abcdefgh", "bcdefghi", strict=True)
)
SPECIAL_YAML = [
    BOMB + b"prepare_sms_spam: {seed: *i}\n",
    BOMB + b"prepare_sms_spam: *i\n",
    BOMB + b"prepare_sms_spam: {labels: *i}\n",
    b"prepare_sms_spam: !!python/object/apply:os.system [touch canary]\n",
    b"prepare_sms_spam: {seed: !!python/name:os.system }\n",
    b"prepare_sms_spam: &a {seed: *a}\n",
    MERGES + b"prepare_sms_spam: {<<: *i}\n",
    b"a: " + b"[" * 100_000,
    b"a: " + b"{a: " * 5_000,
    b"prepare_sms_spam: {seed: " + b"9" * 10_000 + b"}\n",
    b"prepare_sms_spam: {seed: 0x" + b"f" * 10_000 + b"}\n",
    b"? [a, b]\n: 1\n",
    b"? {a: b}\n: 1\n",
    b"prepare_sms_spam: {seed: 2001-99-99}\n",
    b"prepare_sms_spam: {seed: !!binary x}\n",
    b"prepare_sms_spam: {<<: 3}\n",
    b"prepare_sms_spam: {seed: !!int a}\n",
    b"prepare_sms_spam: {seed: !!float a}\n",
    b"prepare_sms_spam: {seed: !!timestamp a}\n",
    b"prepare_sms_spam: {seed: !!bool a}\n",
]


def _prepare_params(folder: Path) -> Make:
    good = (ROOT / "recipes/sample.yaml").read_bytes()
    stages = [
        ("prepare_sms_spam", prepare_sms_spam.Params),
        ("pretrain", pretrain.PretrainingConfig),
        ("finetune_classifier", finetune_classifier.ClassificationConfig),
    ]

    def make(place: Path, number: int, rng: random.Random) -> Read:
        stage, schema = stages[number % 3]
        if number < len(SPECIAL_YAML):
            stage, schema = stages[0]
        content = SPECIAL_YAML[number] if number < len(SPECIAL_YAML) else _mutate_section(good, stage, rng)
        return _named(content, place / "params.yaml", lambda path: read_params(stage, schema, path))

    return make


def _mutate_section(content: bytes, stage: str, rng: random.Random) -> bytes:
    """Change the section of a stage: the file is long, and most of it is read by others."""
    start = content.index(f"\n{stage}:".encode()) + 1
    end = content.find(b"\n\n", start)
    return content[:start] + mutate(content[start:end], rng) + content[end:]


FORMATS = (
    Format("zip", _prepare_zip, frozenset({"sms_spam.tsv"})),
    Format("TensorFlow index", _prepare_index),
    Format("TensorFlow data", _prepare_data),
    Format("safetensors", _prepare_safetensors),
    Format("tokenizer.json", _prepare_tokenizer),
    Format("encoder.json and vocab.bpe", _prepare_vocabulary, frozenset({"tokenizer"})),
    Format("JSON", _prepare_json),
    Format("CSV and TSV", _prepare_tables),
    Format("Parquet", _prepare_parquet),
    Format("params.yaml", _prepare_params),
)
