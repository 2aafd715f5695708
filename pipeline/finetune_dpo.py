"""Tune a model that answers on preferences, with DPO."""

import sys
from collections.abc import Mapping
from pathlib import Path

from scratchlm.artifacts import write_json, write_jsonl, write_plot
from scratchlm.checksums import sha256_json, verify_manifest
from scratchlm.datasets.entries import SPLITS
from scratchlm.datasets.preferences import read_preferences
from scratchlm.datasets.prompts import read_prompt
from scratchlm.datasets.tokenizers import load_tokenizer
from scratchlm.models.lora import save_with_adapter
from scratchlm.models.storage import load_gpt
from scratchlm.params import read_params
from scratchlm.reporting.model_card import model_card
from scratchlm.stages import matrix_item, run_stage
from scratchlm.training.preference_tuning import PreferenceConfig, PreferenceTuning
from scratchlm.workspace import work_folder

PREFERENCES = Path("data/preferences")
MODELS = Path("data/models")
SAMPLES = Path("data/samples")
CURVES = Path("metrics/plots")
METRICS = Path("metrics")


def main() -> Mapping[str, float]:
    config = read_params("finetune_dpo", PreferenceConfig)
    name = matrix_item("finetune_dpo.names", config.names)
    base = MODELS / config.base
    lineage = {str(path): sha256_json(verify_manifest(path)) for path in (base, PREFERENCES)}
    splits = {split: read_preferences(PREFERENCES / f"{split}.jsonl") for split in SPLITS}
    model, template = load_gpt(base, config.dropout, verify=False), read_prompt(base)
    tokenizer = load_tokenizer(base)
    tuning = PreferenceTuning(config, model, template, tokenizer, splits)
    with work_folder("finetune_dpo", {"params": config.model_dump(), **lineage}) as folder:
        progress, speed = tuning.fit(folder)
        test = {f"test_{key}": value for key, value in tuning.compare_with_reference("test").items()}
        metrics = {**test, **progress.summary(), **tuning.counts}
        title, task, reads = f"{config.base}, tuned on preferences", "text-generation", model.config.context_length
        card = model_card(title, "finetune_dpo", config, metrics, lineage, task, reads)
        saving = {"tokenizer": base, "card": card, "chat_template": template.source}
        save_with_adapter(model, MODELS / name, str(base), **saving)
        write_jsonl(SAMPLES / f"finetune_dpo_{name}.jsonl", progress.samples)
        rewards = [column for column in progress.rows[0] if "reward" in column]
        losses = [column for column in progress.rows[0] if column not in rewards]
        write_plot(CURVES / f"finetune_dpo_{name}_loss.csv", progress.rows, losses)
        write_plot(CURVES / f"finetune_dpo_{name}_rewards.csv", progress.rows, ["step", *rewards])
        write_json(METRICS / f"finetune_dpo_{name}.json", metrics)
    return speed


if __name__ == "__main__":
    run_stage("finetune_dpo", main, *sys.argv[1:])
