"""What is read and written before any model exists: sources, splits, tokenizers, shards. No torch."""
