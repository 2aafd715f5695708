"""Tokenizers, their chat templates, and the vocabulary that OpenAI gives."""

import json
import random
from pathlib import Path

from scratchlm.datasets.chat_templates import read_chat_template
from scratchlm.datasets.lookup_tokenizers import write_char_tokenizer, write_word_tokenizer
from scratchlm.datasets.tokenizers import load_tokenizer, read_openai_vocabulary, write_byte_pair_tokenizer
from tests.corpora import write_byte_tokenizer
from tests.faults.hostile_formats.format import Format, Make, Read, copy_files, named_file
from tests.faults.mutations import Mutation, mutate, swap_values


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
        copy_files(folder / kind, place)
        path = place / rng.choice(["tokenizer.json", "tokenizer.json", "tokenizer_config.json"])
        content = path.read_bytes()
        if path.name == "tokenizer_config.json":
            template = rng.choice(
                ["{% for x in range(10**9) %}a{% endfor %}", "{{ 'a' * 10**10 }}", "{{", "{{ ''.__class__ }}"]
            )
            content = json.dumps({**json.loads(content), "chat_template": template}).encode()
        return named_file(mutate(content, rng), path, read)

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
        change: list[Mutation] = [swap_values] if name == "encoder.json" else []
        return named_file(mutate(good[name], rng, change * 4), place / name, read)

    return make


TOKENIZER = Format("tokenizer.json", _prepare_tokenizer)
VOCABULARY = Format("encoder.json and vocab.bpe", _prepare_vocabulary, frozenset({"tokenizer"}))
