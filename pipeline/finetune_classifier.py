"""Fine-tune a base model into a spam classifier, and test it once."""

from collections.abc import Mapping
from pathlib import Path

from scratchlm.artifacts import sha256_directory, sha256_json, write_csv, write_json, write_plot
from scratchlm.datasets.sms_spam import LABELS, SPLITS, read_split
from scratchlm.datasets.tokenizers import load_tokenizer
from scratchlm.models.lora import save_with_adapter
from scratchlm.models.storage import load_gpt
from scratchlm.params import read_params
from scratchlm.reporting.model_card import model_card
from scratchlm.stages import run_stage
from scratchlm.training.classification import ClassificationConfig, MessageClassifier, score_predictions
from scratchlm.workspace import work_folder

MESSAGES = Path("data/sms_spam")
MODELS = Path("data/models")
MODEL = Path("data/models/classifier")
PREDICTIONS = Path("data/predictions/classifier.csv")
CURVE = Path("metrics/plots/finetune_classifier_loss.csv")
CONFUSION = Path("metrics/plots/finetune_classifier_confusion.csv")
METRICS = Path("metrics/finetune_classifier.json")


def main() -> Mapping[str, float]:
    config = read_params("finetune_classifier", ClassificationConfig)
    base, splits = MODELS / config.base, {name: read_split(MESSAGES / f"{name}.csv") for name in SPLITS}
    classifier = MessageClassifier(load_gpt(base, config.dropout), load_tokenizer(base), LABELS, config)
    lineage = {str(path): sha256_json(sha256_directory(path)) for path in (base, MESSAGES)}
    with work_folder("finetune_classifier", {"params": config.model_dump(), **lineage}) as folder:
        progress, speed = classifier.fit(splits["train"], splits["val"], folder)
        test = classifier.predict(splits["test"])
        metrics = score_predictions(test, classifier.predict(splits["unused_ham"])) | progress.summary()
        card = model_card("A spam classifier", "finetune_classifier", config, metrics, lineage, "text-classification")
        saving = {"tokenizer": base, "card": card, "class_names": LABELS, "max_tokens": config.max_tokens}
        save_with_adapter(classifier.model, MODEL, str(base), **saving)
        write_csv(PREDICTIONS, test, list(test[0]))
        write_plot(CONFUSION, test, ["label", "predicted"])
        write_plot(CURVE, progress.rows, list(progress.rows[0]))
        write_json(METRICS, metrics)
    return speed


if __name__ == "__main__":
    run_stage("finetune_classifier", main)
