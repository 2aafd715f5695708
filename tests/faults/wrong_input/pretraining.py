"""Shards, settings and bases with which no pretraining begins or goes on."""

from tests.faults.changes import all_of, edit_json, flip, nothing, put, remove, truncate, write, write_other_tokenizer
from tests.faults.wrong_input.case import MODEL, Case

DOMAIN = put("continue_pretraining.names", ["domain"])

PRETRAINING = [
    Case("no shards", "pretrain", remove("data/tokens"), ("data/tokens/manifest.json is missing", "dvc repro")),
    Case(
        "shards of another format", "pretrain", edit_json("data/tokens/manifest.json", format=0), ("format 0, not 2",)
    ),
    Case("manifest of the shards cut", "pretrain", write("data/tokens/manifest.json", b"{"), ("no valid JSON",)),
    Case("shard truncated", "pretrain", truncate("data/tokens/train-00000.bin"), ("train-00000.bin has", "bytes")),
    Case("shard altered", "pretrain", flip("data/tokens/train-00000.bin"), ("train-00000.bin has sha256",)),
    Case("shard missing", "fit_bigram", remove("data/tokens/val-00000.bin"), ("val-00000.bin is missing",)),
    Case(
        "tokenizer that does not match the shards",
        "pretrain",
        write_other_tokenizer,
        ("data/tokens", "tokenizer", "run shard_corpus again"),
    ),
    Case("text shorter than two windows", "pretrain", put("pretrain.context_length", 8192), ("two windows",)),
    Case("batch that is no multiple", "pretrain", put("pretrain.batch_tokens", 100), ("batch_tokens 100",)),
    Case(
        "training that diverges", "pretrain", put("pretrain.learning_rate", 1e30), ("step", "lower the learning rate")
    ),
    Case(
        "state that goes on neither way",
        "pretrain",
        nothing,
        ("SCRATCHLM_RESUME is 'yes'", "fresh"),
        environment={"SCRATCHLM_RESUME": "yes"},
    ),
    Case(
        "base with another tokenizer than the shards",
        "continue_pretraining",
        all_of(DOMAIN, edit_json("data/tokens/manifest.json", tokenizer_sha256="0" * 64)),
        (MODEL, "tokenizer 000000000000", "run shard_corpus again, or name a model"),
        ("domain",),
    ),
    Case(
        "windows longer than the base's context",
        "continue_pretraining",
        all_of(DOMAIN, put("continue_pretraining.seq_len", 512)),
        ("seq_len 512 exceeds the 320 positions", "lower continue_pretraining.seq_len"),
        ("domain",),
    ),
]
