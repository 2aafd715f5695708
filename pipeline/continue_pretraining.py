"""Train a base model on with token shards of the corpus or of the messages: a new directory to fine-tune from."""

import sys
from collections.abc import Mapping
from pathlib import Path

from scratchlm.artifacts import write_json, write_jsonl, write_plot
from scratchlm.checksums import sha256_json, verify_manifest
from scratchlm.datasets.shards import TokenShards
from scratchlm.datasets.tokenizers import load_tokenizer
from scratchlm.models.lora import save_with_adapter
from scratchlm.models.storage import load_gpt
from scratchlm.params import read_params
from scratchlm.processes import is_first_process
from scratchlm.reporting.model_card import model_card, training_record
from scratchlm.stages import matrix_item
from scratchlm.training.continued_pretraining import ContinuedPretrainingConfig, continue_pretraining
from scratchlm.training.device import pick_device
from scratchlm.training.evaluation import evaluate_tokens
from scratchlm.training.finetuning import check_length
from scratchlm.training.launch import run_parallel_stage
from scratchlm.workspace import work_folder

DATA = Path("data")
MODELS = Path("data/models")
SAMPLES = Path("data/samples")
CURVES = Path("metrics/plots")
METRICS = Path("metrics")


def main() -> Mapping[str, float]:
    config = read_params("continue_pretraining", ContinuedPretrainingConfig)
    name = matrix_item("continue_pretraining.names", config.names)
    base, tokens = MODELS / config.base, DATA / config.tokens
    shards = TokenShards(tokens, verify=is_first_process())
    lineage = {str(base): sha256_json(verify_manifest(base)), str(tokens): sha256_json(shards.manifest)}
    model, tokenizer = load_gpt(base, config.dropout, verify=False), load_tokenizer(base)
    if config.weights == "random":
        model.init_weights(config.seed)
    model.to(pick_device())
    shards.check_tokenizer(tokenizer, base)
    check_length(config.seq_len, "continue_pretraining.seq_len", model, config.base)
    with work_folder("continue_pretraining", {"params": config.model_dump(), **lineage}) as folder:
        parameters, before = model.num_parameters(), evaluate_tokens(model, shards, "val", config.seq_len)
        progress, speed = continue_pretraining(config, model, tokenizer, shards, folder)
        metrics = {
            **evaluate_tokens(model.eval(), shards, "val", config.seq_len),
            **{f"base_{key}": value for key, value in before.items()},
            **progress.summary(),
            "tokens_seen": progress.step * config.batch_tokens,
            "parameters": parameters,
            "trained_parameters": sum(part.numel() for part in model.parameters() if part.requires_grad),
        }
        title, task, reads = f"{config.base}, pretrained further", "text-generation", model.config.context_length
        record = training_record(metrics, progress.rows, progress.samples)
        card = model_card(title, "continue_pretraining", config, metrics, lineage, task, reads, record)
        adapted = str(base) if config.weights == "pretrained" else None
        save_with_adapter(model, MODELS / name, adapted, tokenizer=base, card=card)
        write_jsonl(SAMPLES / f"continue_pretraining_{name}.jsonl", progress.samples)
        write_plot(CURVES / f"continue_pretraining_{name}_loss.csv", progress.rows, list(progress.rows[0]))
        write_json(METRICS / f"continue_pretraining_{name}.json", metrics)
    return speed


if __name__ == "__main__":
    run_parallel_stage("continue_pretraining", main, *sys.argv[1:])
