"""Fine-tune a base model into a classifier of messages, once a seed, and test it."""

from collections.abc import Mapping
from functools import partial
from pathlib import Path

from scratchlm.artifacts import write_csv, write_json, write_plot
from scratchlm.checksums import sha256_json, verify_manifest, write_sha256
from scratchlm.datasets.sms_spam import read_classes, read_splits
from scratchlm.datasets.tokenizers import load_tokenizer
from scratchlm.models.lora import save_with_adapter
from scratchlm.models.storage import load_gpt
from scratchlm.params import read_params
from scratchlm.reporting.model_card import model_card
from scratchlm.stages import run_stage
from scratchlm.training.classification import ClassificationConfig
from scratchlm.training.scores import prediction_rows, reliability_rows
from scratchlm.training.seeds import train_seeds
from scratchlm.workspace import work_folder

MESSAGES = Path("data/sms_spam")
MODELS = Path("data/models")
MODEL = Path("data/models/classifier")
PREDICTIONS = Path("data/predictions/classifier.csv")
CURVE = Path("metrics/plots/finetune_classifier_loss.csv")
CONFUSION = Path("metrics/plots/finetune_classifier_confusion.csv")
RELIABILITY = Path("metrics/plots/finetune_classifier_reliability.csv")
METRICS = Path("metrics/finetune_classifier.json")


def main() -> Mapping[str, float]:
    config = read_params("finetune_classifier", ClassificationConfig)
    base = MODELS / config.base
    lineage = {str(path): sha256_json(verify_manifest(path)) for path in (base, MESSAGES)}
    classes, splits = read_classes(MESSAGES), read_splits(MESSAGES)
    load_base, tokenizer = partial(load_gpt, base, config.dropout, verify=False), load_tokenizer(base)
    with work_folder("finetune_classifier", {"params": config.model_dump(), **lineage}) as folder:
        kept, metrics = train_seeds(load_base, tokenizer, classes, config, splits, folder)
        title, task = f"A classifier of messages: {', '.join(classes)}", "text-classification"
        reads = kept.classifier.max_tokens
        card = model_card(title, "finetune_classifier", config, metrics, lineage, task, reads)
        saving = {"tokenizer": base, "card": card, "class_names": classes, "max_tokens": reads}
        adapted = str(base) if config.weights == "pretrained" else None
        save_with_adapter(kept.classifier.model, MODEL, adapted, **saving)
        predictions = prediction_rows(splits["test"], kept.probabilities["test"], classes)
        reliability = reliability_rows(splits["test"], kept.probabilities["test"], classes)
        write_csv(PREDICTIONS, predictions, list(predictions[0]))
        write_sha256(PREDICTIONS)
        write_plot(CONFUSION, predictions, ["label", "predicted"])
        write_plot(RELIABILITY, reliability, list(reliability[0]))
        write_plot(CURVE, kept.progress.rows, list(kept.progress.rows[0]))
        write_json(METRICS, metrics)
    return kept.speed


if __name__ == "__main__":
    run_stage("finetune_classifier", main)
