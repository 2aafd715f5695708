"""Commands about data: what a folder holds, a corpus of one's own, and tokenizers on it."""

from pathlib import Path
from typing import Annotated

import typer


def show(
    path: Annotated[Path, typer.Argument(help="A data folder, such as data/tokens, or a model directory.")],
    samples: Annotated[int, typer.Option(min=0, help="At most so many samples of each part.")] = 3,
) -> None:
    """Print counts and a few samples of a data folder, and where each came from."""
    from scratchlm.reporting.show import show_folder

    for line in show_folder(path, samples):
        print(line)


def add_corpus(
    paths: Annotated[list[Path], typer.Argument(help="Files of texts: .parquet, .jsonl, .txt, ...", metavar="PATH...")],
) -> None:
    """Put your own files into fetch_corpus.sources of params.yaml, with the sha256 of each."""
    from scratchlm.corpus_entries import add_corpus_files

    for entry in add_corpus_files(paths):
        print(f"{entry['sha256']}  {entry['url']}")


def compare_tokenizers(
    corpus: Annotated[Path, typer.Argument(help="A corpus as fetch_corpus writes it.")] = Path("data/raw/corpus"),
    max_bytes: Annotated[int, typer.Option(min=1, help="Of text, spread over the files of the corpus.")] = 1_000_000,
    size: Annotated[
        list[int] | None, typer.Option(min=257, help="Entries of a BPE, several times for several; words: the most.")
    ] = None,
) -> None:
    """Print what gpt2, bpe, char and word make of the corpus; all but gpt2 learn from the text that they encode."""
    from scratchlm.datasets.tokenizer_comparison import compare_tokenizers

    for line in compare_tokenizers(corpus, max_bytes, size or [512, 2_048, 8_192]):
        print(line, flush=True)
