"""Pretrain a GPT from scratch on the token shards."""

from collections.abc import Mapping
from pathlib import Path

from scratchlm.artifacts import write_json, write_jsonl, write_plot
from scratchlm.checksums import sha256_json, verify_manifest
from scratchlm.datasets.shards import TokenShards
from scratchlm.datasets.tokenizers import load_tokenizer
from scratchlm.models.storage import save_model
from scratchlm.params import read_params
from scratchlm.processes import is_first_process
from scratchlm.reporting.model_card import model_card
from scratchlm.training.evaluation import evaluate_tokens
from scratchlm.training.launch import run_parallel_stage
from scratchlm.training.pretraining import PretrainingConfig, pretrain
from scratchlm.workspace import work_folder

TOKENS = Path("data/tokens")
TOKENIZER = Path("data/tokenizer")
MODEL = Path("data/models/pretrained")
SAMPLES = Path("data/samples/pretrain.jsonl")
CURVE = Path("metrics/plots/pretrain_loss.csv")
METRICS = Path("metrics/pretrain.json")


def main() -> Mapping[str, float]:
    config = read_params("pretrain", PretrainingConfig)
    verify_manifest(TOKENIZER)
    shards, tokenizer = TokenShards(TOKENS, verify=is_first_process()), load_tokenizer(TOKENIZER)
    shards.check_tokenizer(tokenizer, TOKENIZER)
    with work_folder("pretrain", {"params": config.model_dump(), "tokens": shards.manifest}) as folder:
        model, progress, speed = pretrain(config, shards, tokenizer, folder)
        metrics = {
            **evaluate_tokens(model, shards, "val", config.context_length),
            **progress.summary(),
            "tokens_seen": progress.step * config.batch_tokens,
            "parameters": model.num_parameters(),
        }
        lineage = {str(TOKENS): sha256_json(shards.manifest)}
        title, task = "A GPT pretrained from scratch", "text-generation"
        card = model_card(title, "pretrain", config, metrics, lineage, task, config.context_length)
        save_model(model, MODEL, tokenizer=TOKENIZER, card=card)
        write_jsonl(SAMPLES, progress.samples)
        write_plot(CURVE, progress.rows, list(progress.rows[0]))
        write_json(METRICS, metrics)
    return speed


if __name__ == "__main__":
    run_parallel_stage("pretrain", main)
