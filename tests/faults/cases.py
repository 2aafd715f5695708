"""The table of wrong inputs: what is wrong, the stage that must say so, and parts of its line."""

import json
from dataclasses import dataclass, field
from typing import Any

from tests.faults.changes import (
    Change,
    all_of,
    corpus,
    edit_json,
    flip,
    nothing,
    own_file,
    put,
    remove,
    truncate,
    write,
    write_answers,
    write_other_tokenizer,
)


@dataclass(frozen=True)
class Case:
    """What is wrong, the stage that must say so, and parts of its line."""

    wrong: str
    stage: str
    change: Change
    parts: tuple[str, ...]
    arguments: tuple[str, ...] = ()
    environment: dict[str, str] = field(default_factory=dict)


SMS, RAW_SMS = "prepare_sms_spam", "data/raw/sms_spam.tsv"
ENTRIES, RAW_ENTRIES = "prepare_instructions", "data/raw/instructions.json"
MODEL = "data/models/gpt2-roundtrip"
NAMED = all_of(put(f"{SMS}.separator", "comma"), put(f"{SMS}.columns", {"label": "class", "text": "body"}))
DOMAIN = put("continue_pretraining.names", ["domain"])


def entries(*values: Any) -> bytes:
    return json.dumps(values).encode()


CASES = [
    # parameters
    Case("unknown parameter", SMS, put(f"{SMS}.blance", "none"), ("prepare_sms_spam.blance", "did you mean balance?")),
    Case("ill-typed parameter", SMS, put(f"{SMS}.seed", "zero"), ("prepare_sms_spam.seed is 'zero'", "integer")),
    Case("number out of range", SMS, put(f"{SMS}.train_fraction", 1.5), ("train_fraction is 1.5", "less than 1")),
    Case("unknown choice", SMS, put(f"{SMS}.balance", "half"), ("balance is 'half'", "'undersample'")),
    Case("not a number", "pretrain", put("pretrain.learning_rate", float("nan")), ("learning_rate is nan",)),
    Case("heads that do not divide", "pretrain", put("pretrain.n_head", 3), ("n_embd is 16", "multiple of n_head 3")),
    Case("no params.yaml", SMS, remove("params.yaml"), ("params.yaml is missing", "scratchlm recipe sample")),
    Case("params.yaml is no YAML", SMS, write("params.yaml", b"a: [1"), ("params.yaml is no valid YAML", "line 1")),
    Case("params.yaml is Latin-1", SMS, write("params.yaml", b"a: \xe9"), ("params.yaml is no valid YAML",)),
    Case("a section is missing", SMS, write("params.yaml", b"a: 1"), ("no section `prepare_sms_spam`",)),
    Case("list too short", SMS, put(f"{SMS}.labels", ["ham"]), ("labels is ['ham'], but it should have at least 2",)),
    Case(
        "parameters that do not go together",
        "finetune_classifier",
        put("finetune_classifier.position", "last_padded"),
        ("padding is 'longest'", "longest_train or context"),
    ),
    # sources
    Case("unknown source", "fetch_sms_spam", put("fetch_sms_spam.source", "uic"), ("'uic'", "sample, uci")),
    Case(
        "own file is not there",
        "fetch_instructions",
        put("fetch_instructions.source", {"url": "nowhere.json", "sha256": "0" * 64}),
        ("nowhere.json is no file",),
    ),
    Case(
        "own file has another sha256",
        "fetch_instructions",
        own_file("fetch_instructions.source", "own.json", b"[]", "0" * 64),
        ("own.json has sha256 4f53", "correct the sha256"),
    ),
    Case(
        "URL of another scheme",
        "fetch_sms_spam",
        put("fetch_sms_spam.source", {"url": "ftp://127.0.0.1/a.tsv", "sha256": "0" * 64}),
        ("ftp://127.0.0.1/a.tsv", "http"),
    ),
    Case(
        "no network",
        "fetch_sms_spam",
        put("fetch_sms_spam.source", {"url": "http://127.0.0.1:9/a.tsv", "sha256": "0" * 64}),
        ("http://127.0.0.1:9/a.tsv", "SCRATCHLM_MIRROR", "source: sample"),
    ),
    Case(
        "mirror that is no folder",
        "fetch_sms_spam",
        put("fetch_sms_spam.source", "uci"),
        ("SCRATCHLM_MIRROR is 'nowhere'",),
        environment={"SCRATCHLM_MIRROR": "nowhere"},
    ),
    Case(
        "archive that is cut",
        "fetch_sms_spam",
        own_file("fetch_sms_spam.source", "own.zip", b"PK\x03\x04" + bytes(60)),
        ("archive cannot be read", "download it again"),
    ),
    Case(
        "corpus file of unknown format",
        "fetch_corpus",
        own_file("fetch_corpus.sources", "own.docx", b"text"),
        ("own.docx ends in '.docx'", ".parquet"),
    ),
    Case(
        "two corpus files of one name",
        "fetch_corpus",
        put("fetch_corpus.sources", ["the_verdict", "the_verdict"]),
        ("two files the name the_verdict.txt",),
    ),
    # messages
    Case("no messages", SMS, remove(RAW_SMS), (f"{RAW_SMS} is missing", "dvc repro")),
    Case("unknown label", SMS, write(RAW_SMS, b"ham\thi\nspm\tWIN\n"), ("line 2", "spm")),
    Case("line without a tab", SMS, write(RAW_SMS, b"ham hi\n"), ("line 1", "'ham hi'", "tab")),
    Case("messages in Latin-1", SMS, write(RAW_SMS, b"ham\tcaf\xe9\n"), ("is not UTF-8",)),
    Case("empty class", SMS, write(RAW_SMS, b"ham\thi\nham\tyou\n"), ("spam",)),
    Case("splits that stay empty", SMS, write(RAW_SMS, b"ham\ta\nspam\tb\n"), ("train_fraction 0.7",)),
    Case("wrong columns", SMS, all_of(NAMED, write(RAW_SMS, b"label,text\n")), ("named 'class'", "label, text")),
    Case(
        "quote that is not closed",
        SMS,
        all_of(put(f"{SMS}.quoting", "csv"), write(RAW_SMS, b'ham\t"hi\n')),
        ("cannot be read with quoting csv", "prepare_sms_spam.quoting"),
    ),
    # instructions
    Case("no instructions", ENTRIES, remove(RAW_ENTRIES), (f"{RAW_ENTRIES} is missing", "dvc repro")),
    Case("instructions in Latin-1", ENTRIES, write(RAW_ENTRIES, b'["caf\xe9"]'), (RAW_ENTRIES, "utf-8")),
    Case("brackets without end", ENTRIES, write(RAW_ENTRIES, b"[" * 100_000), ("no valid JSON", "recursion")),
    Case("instructions are no JSON", ENTRIES, write(RAW_ENTRIES, b"[{]"), ("no valid JSON", "line 1")),
    Case("entry that is no object", ENTRIES, write(RAW_ENTRIES, entries("hi")), ("entry 1", '"hi"', "an object")),
    Case(
        "entry without an output",
        ENTRIES,
        write(RAW_ENTRIES, entries({"instruction": "Say hi.", "output": " "})),
        ("entry 1 has no output",),
    ),
    Case(
        "output that is no text",
        ENTRIES,
        write(RAW_ENTRIES, entries({"instruction": "Add.", "output": 4})),
        ("entry 1", "output is 4", "a text"),
    ),
    Case("no entry at all", ENTRIES, write(RAW_ENTRIES, b"[]"), ("has no entries", "fetch_instructions.source")),
    # corpus, tokenizer, shards
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
    # pretraining
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
    # splits that somebody edited, and models
    Case("split in Latin-1", "finetune_classifier", write("data/sms_spam/val.csv", b"\xe9"), ("val.csv is no CSV",)),
    Case("split without entries", "generate_responses", write("data/instructions/test.jsonl", b""), ("no entries",)),
    Case("entry of a split", "finetune_instruct", write("data/instructions/val.jsonl", b"\n{}"), ("line 2 has no",)),
    Case("model's tokenizer altered", "finetune_instruct", flip(f"{MODEL}/tokenizer.json"), ("json has sha256",)),
    Case(
        "training that cannot fit into memory",
        "finetune_classifier",
        put("finetune_classifier.micro_batch_size", 10**7),
        ("finetune_classifier with micro_batch_size 10000000", "GB are free; lower finetune_classifier."),
    ),
    Case("base that is not there", "finetune_classifier", remove(MODEL), (f"{MODEL}", "missing")),
    Case(
        "weights truncated", "finetune_classifier", truncate(f"{MODEL}/model.safetensors"), ("model.safetensors has",)
    ),
    Case("weights altered", "finetune_instruct", flip(f"{MODEL}/model.safetensors"), ("model.safetensors has sha256",)),
    Case("model without its configuration", "finetune_instruct", remove(f"{MODEL}/config.json"), ("config.json",)),
    Case("model without weights", "finetune_instruct", remove(f"{MODEL}/model.safetensors"), ("model.safetensors",)),
    Case("model without a tokenizer", "sample_text", remove("data/models/pretrained/tokenizer.json"), ("tokenizer",)),
    Case("no test messages", "finetune_classifier", remove("data/sms_spam/test.csv"), ("test.csv is missing",)),
    Case("classifier as a base", "finetune_instruct", put("finetune_instruct.base", "classifier"), ("classifier",)),
    Case("model without a manifest", "generate_responses", remove("data/models/instruct/manifest.json"), ("manifest",)),
    Case(
        "context longer than the base's",
        "finetune_instruct",
        put("finetune_instruct.max_tokens", 2048),
        ("max_tokens 2048 exceeds the 320 positions", "lower finetune_instruct.max_tokens"),
    ),
    Case(
        "messages longer than the base's context",
        "finetune_classifier",
        put("finetune_classifier.max_tokens", 2048),
        ("max_tokens 2048 exceeds the 320 positions", "lower finetune_classifier.max_tokens"),
    ),
    Case("no entry that fits", "finetune_instruct", put("finetune_instruct.max_tokens", 8), ("fits into 8 tokens",)),
    Case(
        "entries too long",
        "finetune_instruct",
        all_of(put("finetune_instruct.too_long", "error"), put("finetune_instruct.max_tokens", 200)),
        ("more than 200 tokens", "too_long: leave_out"),
    ),
    Case(
        "prompt longer than the context",
        "sample_text",
        put("sample_text.prompts", ["word " * 100]),
        ("prompt 1", "context_length of 320", "shorten"),
    ),
    Case("empty prompt", "sample_text", put("sample_text.prompts", [""]), ("prompt 1", "empty")),
    Case("folder that cannot be written", SMS, write("metrics", b""), ("metrics", "then run again")),
    Case("no responses", "score_references", nothing, ("data/responses/test.jsonl is missing",)),
    # items and servers
    Case("item that is not listed", "convert_gpt2", nothing, ("'124M'", "convert_gpt2.names"), ("124M",)),
    Case("checkpoint that is not there", "convert_gpt2", nothing, ("data/gpt2/roundtrip", "missing"), ("roundtrip",)),
    Case(
        "judge that is not there",
        "judge_responses",
        all_of(put("judge_responses.model", "gpt2-124M"), write_answers),
        ("data/models/gpt2-124M", "is missing"),
    ),
    Case(
        "rubric that is not there",
        "judge_responses",
        all_of(put("judge_responses.rubric", "rubrics/mine.yaml"), write_answers),
        ("rubrics/mine.yaml is missing", "judge_responses.rubric"),
    ),
    Case(
        "rubric whose grades have two digits for a local judge",
        "judge_responses",
        all_of(put("judge_responses.rubric", "rubrics/book-100.yaml"), write_answers),
        ("book-100-v1 goes to 100", "rubrics/scale-4.yaml"),
    ),
    Case(
        "samples that are all alike",
        "judge_responses",
        put("judge_responses.openai.samples", 3),
        ("samples above 1 at temperature 0",),
    ),
    Case(
        "model without a known price",
        "judge_responses",
        all_of(
            put("judge_responses.backend", "openai"),
            put("judge_responses.openai.base_url", "https://api.example.com/v1"),
            put("judge_responses.openai.max_cost", 1.0),
            write_answers,
        ),
        ("the price of llama3.2", "judge_responses.openai.prices"),
    ),
    Case(
        "server that does not answer",
        "judge_responses",
        all_of(
            put("judge_responses.backend", "openai"),
            put("judge_responses.openai.base_url", "http://127.0.0.1:9/v1"),
            write_answers,
        ),
        ("http://127.0.0.1:9/v1",),
    ),
    Case(
        "server that wants a key",
        "judge_responses",
        all_of(
            put("judge_responses.backend", "openai"),
            put("judge_responses.openai.base_url", "https://api.example.com/v1"),
            write_answers,
        ),
        ("https://api.example.com/v1 needs an API key", "SCRATCHLM_JUDGE_API_KEY"),
    ),
]
