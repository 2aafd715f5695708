"""A corpus, a tokenizer or shards that cannot be made."""

from tests.faults.changes import all_of, corpus, flip, nothing, put, remove, write
from tests.faults.wrong_input.case import Case

CORPUS = [
    Case("corpus without a manifest", "build_tokenizer", remove("data/raw/corpus/manifest.json"), ("manifest.json",)),
    Case("corpus without documents", "build_tokenizer", corpus({"a.jsonl": b""}), ("gave no text", "sources")),
    Case("corpus without text", "shard_corpus", corpus({"a.txt": b""}), ("no text",)),
    Case("corpus file altered", "shard_corpus", flip("data/raw/corpus/a.jsonl"), ("a.jsonl has sha256",)),
    Case("corpus in Latin-1", "shard_corpus", corpus({"a.txt": b"caf\xe9"}), ("a.txt", "UTF-8")),
    Case("corpus without a text field", "shard_corpus", corpus({"a.jsonl": b'{"body": "x"}\n'}), ("a.jsonl", "text")),
    Case("Parquet that is cut", "shard_corpus", corpus({"a.parquet": b"PAR1"}), ("a.parquet", "fetch it again")),
    Case(
        "tail of several documents", "shard_corpus", put("shard_corpus.split", "tail"), ("no single text", "document")
    ),
    Case("no text for validation", "shard_corpus", put("shard_corpus.val_fraction", 1e-9), ("val", "val_fraction")),
    Case(
        "processes that are no number",
        "shard_corpus",
        nothing,
        ("SCRATCHLM_WORKERS is 'many'",),
        environment={"SCRATCHLM_WORKERS": "many"},
    ),
    Case("vocabulary too large", "build_tokenizer", put("build_tokenizer.vocab_size", 9_000), ("9,000", "lower that")),
    Case("tokenizer altered", "shard_corpus", write("data/tokenizer/tokenizer.json", b"{}"), ("tokenizer.json",)),
    Case(
        "a file stands where the shards go",
        "shard_corpus",
        all_of(remove("data/tokens"), write("data/tokens", b"")),
        ("data/tokens", "then run again"),
    ),
]
