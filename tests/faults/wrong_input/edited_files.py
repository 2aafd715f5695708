"""Files that somebody edited between two stages, and parameters that only together are wrong."""

from typing import Any

from scratchlm.checksums import write_sealed, write_sha256
from scratchlm.datasets.shards import FORMAT
from tests.faults.changes import Change, all_of, corpus, put, remove, write, write_answers
from tests.faults.wrong_input.case import ENTRIES, SMS, Case
from tests.records import record_jsonl

ANSWER = {"id": 0, "instruction": "Say hi.", "input": "", "output": "Hi.", "response": "Hi."}
REPLY = {"id": 0, "sample": 0, "rubric": "scale-4-v1", "maximum": 4, "reading": "reply", "model": "m", "status": "ok"}
REPLY |= {"replies": [{"content": "SCORE: 1"}]}
ANSWERS, REPLIES = "data/responses/test.jsonl", "data/judgements/replies.jsonl"
HOSTILE = "data/judgements/hostile.jsonl"
HEADER = b'"label","text"\n'


def lines(name: str, *rows: Any) -> Change:
    """Write a file of one JSON value a line, in a folder that may be new."""
    return lambda project: record_jsonl(project.path / name, rows)


def replies(*rows: Any) -> Change:
    """Write these replies of the judge about one answer, and none about hostile ones."""
    return all_of(write_answers, lines(REPLIES, *rows), lines(HOSTILE))


def predictions(theirs: bytes) -> Change:
    """Write our predictions of one message, and other ones as those of TF-IDF."""

    def change(project: Any) -> None:
        folder = project.path / "data/predictions"
        folder.mkdir()
        for name in ("classifier", "zero_shot"):
            (folder / f"{name}.csv").write_bytes(b"label,predicted,text\nham,ham,a\n")
        (folder / "tfidf.csv").write_bytes(theirs)
        for file in list(folder.iterdir()):
            write_sha256(file)

    return change


EDITED = [
    # answers and replies
    Case("answer without a response", "score_references", lines(ANSWERS, ANSWER, {"id": 1}), ("line 2 has no",)),
    Case("answer whose id is a text", "judge_responses", lines(ANSWERS, ANSWER | {"id": "0"}), ("line 1: id is",)),
    Case("two answers of one id", "score_references", lines(ANSWERS, ANSWER, ANSWER), ("id 0 twice",)),
    Case("no answer", "score_references", lines(ANSWERS), (f"{ANSWERS} has no items",)),
    Case(
        "reply about another item",
        "score_judgements",
        replies(REPLY | {"id": 7}),
        (f"{REPLIES} judges item 7",),
    ),
    Case(
        "reply of an unknown reading",
        "score_judgements",
        replies(REPLY | {"reading": "stars"}),
        ("'stars'", "judge again"),
    ),
    Case(
        "reply that cannot be read",
        "score_judgements",
        replies(REPLY | {"reading": "expected"}),
        ("1 of 1 judgements could not be read",),
    ),
    Case(
        "replies on two scales",
        "score_judgements",
        replies(REPLY, REPLY | {"sample": 1, "maximum": 100}),
        (f"{REPLIES} mixes rubrics",),
    ),
    Case("predictions without a column", "compare_classifiers", predictions(HEADER), ("has no column predicted",)),
    Case(
        "predictions of other messages",
        "compare_classifiers",
        predictions(b"label,predicted,text\nham,ham,b\n"),
        ("other messages", "dvc repro"),
    ),
    # splits
    Case("no message to train on", "finetune_classifier", write("data/sms_spam/train.csv", HEADER), ("train",)),
    Case("no message to validate on", "finetune_classifier", write("data/sms_spam/val.csv", HEADER), ("val",)),
    Case("no message to test on", "finetune_classifier", write("data/sms_spam/test.csv", HEADER), ("test",)),
    Case("no message for a baseline", "score_sms_baselines", write("data/sms_spam/train.csv", HEADER), ("train",)),
    Case(
        "label of no class",
        "finetune_classifier",
        write("data/sms_spam/val.csv", HEADER + b"eggs,a\n"),
        ("val.csv has the label 'eggs'", "ham, spam"),
    ),
    Case("classes that are no list", "finetune_classifier", write("data/sms_spam/classes.json", b"{}"), ("no list",)),
    Case("split without a text", "score_sms_baselines", write("data/sms_spam/val.csv", b"label\nham\n"), ("text",)),
    # manifests
    Case(
        "manifest of a model is no object",
        "sample_text",
        write("data/models/pretrained/manifest.json", b"[]"),
        ("manifest.json",),
    ),
    Case(
        "manifest of a model lists no sizes",
        "sample_text",
        write("data/models/pretrained/manifest.json", b'{"files": {"a": {}}}'),
        ("manifest.json",),
    ),
    Case(
        "manifest of the shards is no object", "pretrain", write("data/tokens/manifest.json", b"[]"), ("manifest.json",)
    ),
    Case(
        "manifest of the shards lacks a key",
        "fit_bigram",
        lambda project: write_sealed(project.path / "data/tokens/manifest.json", {"format": FORMAT}),
        ("manifest.json has no dtype",),
    ),
    Case(
        "manifest of the corpus lists no files",
        "shard_corpus",
        write("data/raw/corpus/manifest.json", b"{}"),
        ("manifest.json",),
    ),
    # parameters
    Case("splits that leave no test", SMS, put(f"{SMS}.val_fraction", 0.3), ("train_fraction", "val_fraction")),
    Case(
        "splits that leave no test entry",
        ENTRIES,
        put(f"{ENTRIES}.val_fraction", 0.2),
        ("train_fraction", "val_fraction"),
    ),
    Case("a section that is no mapping", "fit_bigram", put("fit_bigram", 3), ("fit_bigram",)),
    Case(
        "a seed twice", "finetune_classifier", put("finetune_classifier.seeds", [1, 1]), ("must not name a seed twice",)
    ),
    Case(
        "sha256 that is none",
        "fetch_sms_spam",
        put("fetch_sms_spam.source", {"url": "a", "sha256": "abc"}),
        ("sha256",),
    ),
    Case("model that cannot fit into memory", "pretrain", put("pretrain.n_embd", 2_000_000), ("GB are free",)),
    Case(
        "name of a base that leaves its folder",
        "finetune_instruct",
        put("finetune_instruct.base", "../tokens"),
        ("tokens",),
    ),
    # files
    Case(
        "own file that is a folder",
        "fetch_sms_spam",
        put("fetch_sms_spam.source", {"url": "data", "sha256": "0" * 64}),
        ("data",),
    ),
    Case("no tokenizer", "pretrain", remove("data/tokenizer"), ("data/tokenizer",)),
    Case("row of a table too short", "shard_corpus", corpus({"a.csv": b"id,text\n1,a\n2\n"}), ("a.csv", "document 2")),
    Case("a file stands where answers go", "generate_responses", write("data/responses", b""), ("data/responses",)),
]
