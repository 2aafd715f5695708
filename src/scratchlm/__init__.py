"""scratchlm: a reproducible GPT pipeline on DVC."""
