"""Scores for answers: an LLM judge and reference metrics."""
