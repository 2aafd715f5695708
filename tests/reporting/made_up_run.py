"""What the other stages would have written in a run, made up, with texts that an attacker could have sent."""

from pathlib import Path
from typing import Any

import pandas as pd
import yaml

from scratchlm.artifacts import write_bytes, write_csv, write_json, write_jsonl, write_text
from scratchlm.checksums import write_sealed, write_sha256
from scratchlm.reporting.figures import figure_png, temperature_figure
from tests.conftest import ROOT

SAMPLE = "recipes/sample.yaml"
CLASSES = ["ham", "spam"]
ATTACK = "<script>alert('1')</script><img src=http://127.0.0.1/x> {{ 7 * 7 }} & NA"


def _scores(prefix: str, **scores: float) -> dict[str, float]:
    intervals = {f"{key}_low": value - 0.02 for key, value in scores.items() if key in INTERVALS} | {
        f"{key}_high": value + 0.02 for key, value in scores.items() if key in INTERVALS
    }
    return {f"{prefix}{key}": value for key, value in (scores | intervals).items()}


INTERVALS = {"accuracy", "false_positive_rate", "chrf", "rouge_l", "exact_match", "empty", "repetition"}
RANKING = {"precision": 0.93, "recall": 0.94, "f1": 0.936, "roc_auc": 0.98, "average_precision": 0.97}
CALIBRATION = {"expected_calibration_error": 0.04, "brier_score": 0.05}
TRAINING = {"steps": 60, "train_loss": 0.1, "best_val_loss": 0.12, "best_step": 40, "resumed_with_other_code": False}

SHA256 = "5d59680701" * 6 + "abcd"
METRICS: dict[str, dict[str, Any]] = {
    "fetch_sms_spam": {"source_sha256": SHA256, "bytes": 113_432},
    "fetch_instructions": {"source_sha256": SHA256[::-1], "bytes": 72_795},
    "prepare_sms_spam": {"messages": 1200, "raw_ham": 880, "raw_spam": 320, "duplicate_rows": 12, "leaks_text": 0},
    "prepare_instructions": {"entries": 320, "distinct": 318, "train": 270, "val": 16, "test": 32, "leaks": 0},
    "fetch_corpus": {"files": 5, "bytes": 12_345_678},
    "build_tokenizer": {"vocab_size": 4096, "train_bytes": 4_000_000, "bytes_per_token": 3.4567},
    "shard_corpus": {"documents": 9876, "tokens": 3_456_789, "text_bytes": 12_000_000, "bytes_per_token": 3.4714},
    "fit_bigram": {"val_loss": 5.2, "val_perplexity": 181.3, "val_bits_per_byte": 2.161, "prior_strength": 64.0},
    "pretrain": TRAINING
    | {"val_loss": 4.1, "val_perplexity": 60.3, "val_bits_per_byte": 1.704}
    | {"tokens_seen": 1_228_800, "parameters": 1_350_144},
    "score_sms_baselines": _scores("tfidf_", accuracy=0.953, false_positive_rate=0.021, **RANKING)
    | _scores("zero_shot_", accuracy=0.512, **RANKING)
    | {"majority_accuracy": 0.5},
    "finetune_classifier": TRAINING | CALIBRATION | _scores("", accuracy=0.938, false_positive_rate=0.043, **RANKING),
    "compare_classifiers": {"difference_to_tfidf": -0.015, "difference_to_zero_shot": 0.426}
    | {"difference_to_tfidf_low": -0.031, "difference_to_tfidf_high": 0.002}
    | {"difference_to_zero_shot_low": 0.38, "difference_to_zero_shot_high": 0.47},
    "finetune_instruct": TRAINING,
    "generate_responses": {"responses": 3, "unanswered": 0, "mean_tokens": 31.7, "stopped_rate": 0.333},
    "score_references": _scores("ref_", chrf=12.34, rouge_l=0.101, exact_match=0.02, empty=0.05, repetition=0.2),
    "judge_responses": {"items": 3, "judgements": 6, "verbatim": 1, "re_asks": 4, "cut_prompts": 2}
    | {"prompt_tokens": 98_765, "completion_tokens": 4_321, "cost_usd": 0.0217},
    "score_judgements": {"items": 3, "unparsed": 1, "score": 45.6, "score_ci_low": 40.1, "score_ci_high": 51.2}
    | {"score_low": 30.4, "score_high": 63.7, "spearman_ref_chrf": 0.123, "spearman_words": -0.456, "sample_sd": 7.89}
    | {"attacks": 20, "attacks_unparsed": 1, "wrong_score": 12.5, "attack_success_rate": 0.15}
    | {"attack_success_rate_low": 0.052, "attack_success_rate_high": 0.36},
}

PREDICTIONS = [
    {
        "label": label,
        "predicted": predicted,
        "probability_ham": 1 - probability,
        "probability_spam": probability,
        "text": f"{text}\rgo",
    }
    for label, predicted, probability, text in [
        ("spam", "spam", 0.999, ATTACK),
        ("ham", "ham", 0.25, "See you at 7, tell mum"),
        ("spam", "spam", 0.75, "WIN a £500 voucher \N{WRAPPED PRESENT} reply YES"),
        ("ham", "ham", 0.001, "NA"),
        ("ham", "spam", 0.9, "Free on Friday? Call me on 0800"),
        ("spam", "ham", 0.02, "Hi love, new number, save it"),
    ]
]

RESPONSES = [
    {
        "id": number,
        "instruction": f"Say something about {number}.",
        "input": ATTACK if number == 0 else "",
        "output": f"This is a reference answer, the {number}th.",
        "response": [ATTACK, "", "This is a reference answer."][number % 3],
        "stopped": True,
    }
    for number in range(12)
]

SAMPLES = [
    {"step": step, "prompt": prompt, "text": f" the {ATTACK} of step {step}"}
    for step in range(10, 70, 10)
    for prompt in ("Return the", "The quick brown fox")
]

ANSWERS_OVER_TRAINING = [
    {"step": step, "prompt": f"### Instruction:\nSay {ATTACK}\n\n### Response:\n", "text": f"Said at {step}."}
    for step in (20, 40)
]

CORPUS = [
    {"name": "mine.txt", "url": f"my/{ATTACK}.txt", "bytes": 12, "sha256": SHA256, "licence": "unknown"},
    {
        "name": "docs.jsonl",
        "url": "https://pypi.org/project/numpy/2.4.6/",
        "bytes": 34,
        "sha256": SHA256,
        "licence": "BSD",
    },
]


def _step(title: str, stage: str, *inputs: str) -> dict[str, Any]:
    return {"title": title, "stage": stage, "read": dict.fromkeys(inputs, SHA256), "made_with": {"torch": "2.13.0"}}


BASE = [_step("GPT-2 roundtrip", "convert_gpt2", "data/gpt2/roundtrip")]
CARDS = {
    "pretrained": [_step("A GPT pretrained from scratch", "pretrain", "data/tokens")],
    "classifier": [
        _step("A spam classifier", "finetune_classifier", "data/models/gpt2-roundtrip", "data/sms_spam"),
        *BASE,
    ],
    "instruct": [
        _step("A model that answers", "finetune_instruct", "data/models/gpt2-roundtrip", f"data/{ATTACK}"),
        *BASE,
    ],
}

CONTINUED = _step("gpt2-roundtrip, pretrained further", "continue_pretraining", "data/models/gpt2-roundtrip") | {
    "training": {
        "metrics": {"val_loss": 3.0, "val_perplexity": 20.1, "val_bits_per_byte": 1.25}
        | {"base_val_loss": 5.0, "base_val_perplexity": 148.4, "base_val_bits_per_byte": 2.08},
        "curve": [{"step": step, "train_loss": 600 / step, "val_loss": 700 / step} for step in (100, 200, 300)],
        "samples": [{"step": step, "prompt": "Return the", "text": f"Now like {ATTACK}."} for step in (100, 300)],
    }
}

CONTINUATIONS = [
    {"prompt": "Return the", "temperature": temperature, "seed": 0, "text": f" array of {ATTACK}"}
    for temperature in (0.1, 1.0, 1.5)
]

CURVE = [
    {"step": step, "train_loss": 60 / step, "max_grad_norm": 1.0, "learning_rate": 1e-3, "val_loss": 70 / step}
    for step in range(10, 70, 10)
]

NEXT_TOKENS = [
    {"token": token, "temperature": temperature, "probability": probability}
    for token, temperature, probability in [(" a", 0.1, 0.9), ("$", 0.1, 0.1), (" a", 1.0, 0.6), ("$", 1.0, 0.4)]
]

BALANCE = [
    {"part": part, "label": label, "messages": messages}
    for part, (ham, spam) in {"raw": (880, 320), "train": (210, 210), "unused": (560, 0)}.items()
    for label, messages in {"ham": ham, "spam": spam}.items()
]

RELIABILITY = [
    {"confidence": 0.55, "accuracy": 0.4, "messages": 5},
    {"confidence": 0.97, "accuracy": 0.99, "messages": 120},
]

JUDGED_ITEMS = [
    {
        "id": row["id"],
        "kind": ["say", "$tell", "\u65e5"][row["id"] % 3],
        "words": row["id"] % 5,
        "score": 9.0 * row["id"],
    }
    for row in RESPONSES
    if row["id"] != 5  # the unparsed one
]

REPLIES: list[dict[str, Any]] = [
    {
        "id": row["id"],
        "sample": sample,
        "rubric": "points-100-v1",
        "maximum": 100,
        "reading": "reply",
        "model": "/a/folder/of/models/with-a-long-name/judge-of-seven-billion-parameters@main",
        "status": "ok",
        "honoured": ["json_schema", "seed"],
    }
    | {"replies": [{"content": f"It is {row['id']}, not {ATTACK}.\nSCORE: {9 * row['id']}" if sample == 0 else "2"}]}
    for row in RESPONSES
    for sample in range(2)
]

REFERENCE_ITEMS = [{"id": row["id"], "ref_exact_match": 0.0, "ref_chrf": 5.0 * row["id"]} for row in RESPONSES]


def write_run(folder: Path) -> set[str]:
    """Write every file that the stage `report` reads, but params.yaml; returns their names."""
    tables = {
        "metrics/plots/pretrain_loss.csv": CURVE,
        "metrics/plots/finetune_instruct_loss.csv": CURVE,
        "metrics/plots/finetune_classifier_loss.csv": [row | {"val_accuracy": 0.9} for row in CURVE],
        "metrics/plots/prepare_sms_spam_lengths.csv": [
            {"length": length, "label": label, "messages": messages}
            for length in range(0, 161, 20)
            for label, messages in {"ham": 160 - length, "spam": length}.items()
        ],
        "metrics/plots/prepare_sms_spam_classes.csv": BALANCE,
        "metrics/plots/finetune_classifier_reliability.csv": RELIABILITY,
        "metrics/plots/score_judgements_histogram.csv": [
            {"score_from": low, "score_to": low + 10, "count": low % 30} for low in range(0, 100, 10)
        ],
        "metrics/plots/score_judgements_items.csv": JUDGED_ITEMS,
        "metrics/plots/score_references_items.csv": REFERENCE_ITEMS,
        "data/predictions/classifier.csv": PREDICTIONS,
    }
    texts = {
        "data/samples/pretrain.jsonl": SAMPLES,
        "data/samples/finetune_instruct.jsonl": ANSWERS_OVER_TRAINING,
        "data/samples/continuations.jsonl": CONTINUATIONS,
        "data/responses/test.jsonl": RESPONSES,
        "data/judgements/replies.jsonl": REPLIES,
    }
    corpus, figure = "data/raw/corpus/manifest.json", "metrics/plots/sample_text_temperature.png"
    cards = {f"data/models/{model}/README.md": steps for model, steps in CARDS.items()}
    metrics: dict[str, Any] = {f"metrics/{stage}.json": values for stage, values in METRICS.items()}
    metrics["data/sms_spam/classes.json"] = CLASSES
    for name, rows in tables.items():
        write_csv(folder / name, rows, list(rows[0]))
    for name, rows in texts.items():
        write_jsonl(folder / name, rows)
    for name, values in metrics.items():
        write_json(folder / name, values)
    for name, steps in cards.items():
        write_text(folder / name, f"---\n{yaml.safe_dump({'lineage': steps})}---\n# A model\n")
    write_sealed(folder / corpus, {"files": CORPUS})
    recorded = ("data/predictions/classifier.csv", "data/responses/test.jsonl", "data/judgements/replies.jsonl")
    for name in recorded:
        write_sha256(folder / name)
    write_bytes(folder / figure, figure_png(temperature_figure("Return the", NEXT_TOKENS)))
    write_text(folder / SAMPLE, (ROOT / SAMPLE).read_text())
    records = {f"{name}.sha256" for name in recorded}
    return {*tables, *texts, *metrics, *cards, *records, corpus, figure, SAMPLE}


def predictions_frame() -> pd.DataFrame:
    """The predictions as the report reads them."""
    return pd.DataFrame(PREDICTIONS)
