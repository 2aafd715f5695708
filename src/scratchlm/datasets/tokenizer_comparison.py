"""What each kind of tokenizer makes of the same text: a table, to choose one by."""

import tempfile
import time
from collections.abc import Iterator, Sequence
from pathlib import Path

from scratchlm.datasets.tokenizer_building import Kind, count_tokens, sample_documents, write_tokenizer
from scratchlm.datasets.tokenizers import load_tokenizer
from scratchlm.errors import UserError

HEADER = ("tokenizer", "vocabulary", "bytes/token", "tokens", "unknown", "seconds")


def compare_tokenizers(corpus: Path, max_bytes: int, sizes: Sequence[int]) -> Iterator[str]:
    """The lines of the table: GPT-2's tokenizer, a BPE of each size, characters, and words of the greatest size.

    All but GPT-2's are learnt from the text that is counted: the beginning of every file of the corpus, together at
    most `max_bytes`. `seconds` is the time to encode it. A tokenizer that cannot be made gives a line that says why.
    """
    sample = list(sample_documents(corpus, max_bytes))
    if not any(sample):
        raise UserError(f"{corpus} gave no text; name another corpus, or raise --max-bytes {max_bytes:,}.")
    bpes: list[tuple[Kind, int]] = [("bpe", size) for size in sizes]
    yield _line(HEADER)
    for kind, size in [("gpt2", 0), *bpes, ("char", 0), ("word", max(sizes))]:
        try:
            yield _line(_measure(kind, size, sample))
        except UserError as error:
            yield f"{kind:<10} left out: {error}"


def _measure(kind: Kind, vocab_size: int, sample: list[str]) -> tuple[str, ...]:
    with tempfile.TemporaryDirectory() as folder:
        write_tokenizer(Path(folder), kind, sample, vocab_size)
        tokenizer = load_tokenizer(Path(folder))
    start = time.perf_counter()
    counts = count_tokens(tokenizer, sample)
    seconds = time.perf_counter() - start
    return (
        kind,
        f"{tokenizer.vocab_size:,}",
        f"{counts['bytes_per_token']:.3f}",
        f"{counts['tokens']:,}",
        f"{counts['unknown_rate']:.2%}",
        f"{seconds:.2f}",
    )


def _line(cells: Sequence[str]) -> str:
    return f"{cells[0]:<10}" + "".join(f"{cell:>13}" for cell in cells[1:])
