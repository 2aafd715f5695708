"""The GPT and what is built on it; knows no data and no ranks."""
