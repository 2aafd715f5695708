"""Fine-tune a base model to answer instructions."""

from collections.abc import Mapping
from pathlib import Path

from scratchlm.artifacts import write_json, write_jsonl, write_plot
from scratchlm.checksums import sha256_json, verify_manifest
from scratchlm.datasets.instructions import read_instructions
from scratchlm.datasets.prompts import choose_prompt
from scratchlm.datasets.tokenizers import load_tokenizer
from scratchlm.models.lora import save_with_adapter
from scratchlm.models.storage import load_gpt
from scratchlm.params import read_params
from scratchlm.reporting.model_card import model_card
from scratchlm.stages import run_stage
from scratchlm.training.instruction_tuning import InstructionConfig, InstructionTuning
from scratchlm.workspace import work_folder

INSTRUCTIONS = Path("data/instructions")
MODELS = Path("data/models")
MODEL = Path("data/models/instruct")
SAMPLES = Path("data/samples/finetune_instruct.jsonl")
CURVE = Path("metrics/plots/finetune_instruct_loss.csv")
METRICS = Path("metrics/finetune_instruct.json")


def main() -> Mapping[str, float]:
    config = read_params("finetune_instruct", InstructionConfig)
    base = MODELS / config.base
    lineage = {str(path): sha256_json(verify_manifest(path)) for path in (base, INSTRUCTIONS)}
    splits = {name: read_instructions(INSTRUCTIONS / f"{name}.jsonl") for name in ("train", "val")}
    template = choose_prompt(config.prompt, base)
    model, tokenizer = load_gpt(base, config.dropout, verify=False), load_tokenizer(base)
    tuning = InstructionTuning(config, model, template, tokenizer, splits)
    with work_folder("finetune_instruct", {"params": config.model_dump(), **lineage}) as folder:
        progress, speed = tuning.fit(folder)
        metrics = progress.summary() | tuning.counts
        title, task, reads = "A model that answers", "text-generation", tuning.model.config.context_length
        card = model_card(title, "finetune_instruct", config, metrics, lineage, task, reads)
        saving = {"tokenizer": base, "card": card, "chat_template": template.source}
        save_with_adapter(tuning.model, MODEL, str(base), **saving)
        write_jsonl(SAMPLES, progress.samples)
        write_plot(CURVE, progress.rows, list(progress.rows[0]))
        write_json(METRICS, metrics)
    return speed


if __name__ == "__main__":
    run_stage("finetune_instruct", main)
