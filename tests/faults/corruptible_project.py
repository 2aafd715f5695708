"""A small project in which every stage could run, and what each of them reads."""

from pathlib import Path

import numpy as np
import pandas as pd

from scratchlm.artifacts import write_json
from scratchlm.checksums import write_manifest, write_sha256
from scratchlm.datasets.entries import write_splits
from scratchlm.datasets.sms_spam import SPLITS, write_sms_spam
from scratchlm.datasets.tokenizers import load_tokenizer
from scratchlm.models.gpt2_checkpoint import copy_vocabulary, tensor_shapes
from scratchlm.models.gpt_config import GPTConfig
from tests.conftest import Workspace
from tests.corpora import write_byte_tokenizer, write_corpus, write_shards
from tests.faults.tensor_table import bundle, table
from tests.records import record_csv, record_jsonl
from tests.tiny_model import save_tiny_model, tiny_gpt

BASE = "data/models/gpt2-roundtrip"
STAGES = {
    "prepare_sms_spam": ["data/raw/sms_spam.tsv", "data/raw/sms_spam.tsv.sha256"],
    "prepare_instructions": ["data/raw/instructions.json", "data/raw/instructions.json.sha256"],
    "build_tokenizer": ["data/raw/corpus"],
    "shard_corpus": ["data/raw/corpus", "data/tokenizer"],
    "fit_bigram": ["data/tokens"],
    "pretrain": ["data/tokens", "data/tokenizer"],
    "sample_text": ["data/models/pretrained"],
    "export_gpt2 roundtrip": ["data/models/pretrained"],
    "convert_gpt2 roundtrip": ["data/gpt2/roundtrip"],
    "score_sms_baselines": ["data/sms_spam", BASE],
    "finetune_classifier": ["data/sms_spam", BASE],
    "finetune_instruct": ["data/instructions", BASE],
    "generate_responses": ["data/models/instruct", "data/instructions"],
    "score_references": ["data/responses"],
    "judge_responses": ["data/responses", BASE],
    "score_judgements": ["data/responses", "data/judgements"],
    "compare_classifiers": ["data/predictions"],
}


def make_project(path: Path) -> Workspace:
    """Write what every stage reads."""
    path.mkdir(parents=True)
    project, data = Workspace(path), path / "data"
    entries = [{"instruction": "Say it.", "input": word, "output": "ok"} for word in "abcdefgh"]
    texts = [f"text {number}. " * 9 for number in range(20)]
    (data / "raw").mkdir()
    (data / "raw/sms_spam.tsv").write_text("ham\tsee you\nspam\tWIN\n" * 9)
    write_json(data / "raw/instructions.json", entries)
    for name in ("sms_spam.tsv", "instructions.json"):
        write_sha256(data / "raw" / name)
    write_corpus(data / "raw/corpus", {"a.jsonl": texts, "b.jsonl": texts[:9]})
    write_byte_tokenizer(data / "tokenizer")
    write_shards(data / "tokens", load_tokenizer(data / "tokenizer"), {"train": texts, "val": texts[:9]}, 900)
    for name in ("pretrained", "gpt2-roundtrip", "instruct"):
        save_tiny_model(data / "models" / name, tiny_gpt(context_length=320))
    _write_checkpoint(data / "gpt2/roundtrip", data / "models/pretrained")
    frame = pd.DataFrame([("ham", "see you"), ("spam", "WIN")] * 9, columns=["label", "text"])
    write_sms_spam(data / "sms_spam", dict.fromkeys(SPLITS, frame), ["ham", "spam"])
    write_splits(data / "instructions", dict.fromkeys(("train", "val", "test"), entries))
    record_jsonl(data / "responses/test.jsonl", [{"id": 0, **entries[0], "response": "ok"}])
    record_jsonl(data / "judgements/replies.jsonl", [{"id": 0, "rubric": "points-1", "replies": ["SCORE: 1"]}])
    for name in ("classifier", "tfidf", "zero_shot"):
        record_csv(data / f"predictions/{name}.csv", [{"label": "ham", "predicted": "ham", "text": name}])
    return project


def _write_checkpoint(folder: Path, model: Path) -> None:
    """OpenAI's layout, as the stage export_gpt2 leaves it, of other weights."""
    folder.mkdir(parents=True)
    config = GPTConfig(n_layer=1, n_head=1, n_embd=4, context_length=4, vocab_size=257)
    rng = np.random.default_rng(0)
    entries, content = bundle({name: rng.normal(size=shape) for name, shape in tensor_shapes(config).items()})
    hparams = {"n_vocab": 257, "n_ctx": 4, "n_embd": 4, "n_head": 1, "n_layer": 1}
    write_json(folder / "hparams.json", hparams)
    (folder / "model.ckpt.index").write_bytes(table(entries))
    (folder / "model.ckpt.data-00000-of-00001").write_bytes(content)
    copy_vocabulary(model, folder)
    write_manifest(folder)
