"""Splits that somebody edited, and settings with which no finetuning begins."""

from tests.faults.changes import all_of, put, remove, write
from tests.faults.wrong_input.case import Case

FINETUNING = [
    Case("split in Latin-1", "finetune_classifier", write("data/sms_spam/val.csv", b"\xe9"), ("val.csv is no CSV",)),
    Case("split without entries", "generate_responses", write("data/instructions/test.jsonl", b""), ("no entries",)),
    Case("entry of a split", "finetune_instruct", write("data/instructions/val.jsonl", b"\n{}"), ("line 2 has no",)),
    Case(
        "training that cannot fit into memory",
        "finetune_classifier",
        put("finetune_classifier.micro_batch_size", 10**7),
        ("finetune_classifier with micro_batch_size 10000000", "GB are free; lower finetune_classifier."),
    ),
    Case("no test messages", "finetune_classifier", remove("data/sms_spam/test.csv"), ("test.csv is missing",)),
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
]
