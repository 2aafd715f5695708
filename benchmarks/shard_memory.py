"""Time and peak memory of the stage shard_corpus on corpora made up here: `python -m benchmarks.shard_memory`."""

import argparse
import json
import multiprocessing
import os
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import numpy as np
import yaml

from benchmarks.side_by_side import ROOT, Figures, growth_exponent
from scratchlm.artifacts import read_json
from scratchlm.checksums import MANIFEST, sha256_file, write_sealed
from scratchlm.datasets.tokenizer_building import write_tokenizer
from scratchlm.params import read_yaml

FILES = 4  # of a corpus of many documents
WORDS = 1_000  # of a document of some 6 KB
VOCAB_SIZE = 8_192
GROWTH_FACTORS = (1, 4, 16)
COLUMNS = {"mb": 0, "seconds": 1, "speed": 1, "own_mb": 0, "peak_mb": 0}  # and their digits


@dataclass
class Corpus:
    """A corpus: what writes it into a folder, and the parameters of shard_corpus that differ from the sample's."""

    name: str
    write: Callable[[Path], None]
    params: dict[str, Any] = field(default_factory=dict)


class Words:
    """Text of random words, the same each time: a few of them frequent, most of them rare."""

    def __init__(self) -> None:
        self._random = np.random.default_rng(0)
        letters = self._random.choice(list("etaoinshrdlucmfwypvbgk"), (50_000, 9))
        lengths = self._random.integers(2, 10, len(letters))
        self._words = np.array(["".join(row[:length]) for row, length in zip(letters, lengths, strict=True)], object)

    def text(self, words: int) -> str:
        """So many words, twenty a line."""
        chosen = self._words[(len(self._words) * self._random.random(words) ** 4).astype(int)]
        return "\n".join(" ".join(chosen[start : start + 20]) for start in range(0, words, 20))

    def documents(self, size: int, words: int) -> Iterator[str]:
        """Documents of so many words, together `size` bytes."""
        while size > 0:
            text = self.text(words)
            size -= len(text)
            yield text


def list_corpora(megabytes: int, text_megabytes: int, tiny: int) -> list[Corpus]:
    """The corpora of the table."""
    words, size = Words(), megabytes * 10**6
    long = min(5 * 10**6, size // 40 // 6)  # words, of at most 30 MB; a row of a table may have 33

    def write_jsonl(folder: Path, words_each: int = WORDS) -> None:
        for index in range(FILES):
            _write_jsonl(folder / f"{index}.jsonl", words.documents(size // FILES, words_each))

    def write_parquet(folder: Path) -> None:
        import pyarrow as pa
        import pyarrow.parquet as pq

        for index in range(FILES):
            with pq.ParquetWriter(folder / f"{index}.parquet", pa.schema({"text": pa.string()})) as writer:
                for documents in _chunks(words.documents(size // FILES, WORDS), 1_000):
                    writer.write_table(pa.table({"text": documents}))

    def write_text(folder: Path) -> None:
        with (folder / "text.txt").open("w") as file:
            file.writelines(words.documents(text_megabytes * 10**6, 100_000))

    def write_tiny(folder: Path) -> None:
        _write_jsonl(folder / "tiny.jsonl", (words.text(8) for _ in range(tiny)))

    return [
        Corpus("JSONL", write_jsonl),
        Corpus("Parquet", write_parquet),
        Corpus("JSONL, near-duplicates dropped", write_jsonl, {"near_duplicates": "drop"}),
        Corpus("JSONL, long documents", lambda folder: write_jsonl(folder, long), {"val_fraction": 0.2}),
        Corpus("one text", write_text, {"split": "tail"}),
        Corpus(f"{tiny:,} tiny documents", write_tiny),
    ]


def prepare(corpus_index: int, sizes: tuple[int, int, int], project: Path) -> None:
    """Write what the stage reads, in a project folder: corpus, tokenizer, parameters."""
    corpus = list_corpora(*sizes)[corpus_index]
    folder = project / "data/raw/corpus"
    folder.mkdir(parents=True)
    corpus.write(folder)
    files = [
        {"name": path.name, "url": path.name, "bytes": path.stat().st_size, "sha256": sha256_file(path), "licence": ""}
        for path in sorted(folder.iterdir())
    ]
    write_sealed(folder / MANIFEST, {"files": files})
    (project / "data/tokenizer").mkdir()
    write_tokenizer(project / "data/tokenizer", "bpe", [Words().text(200_000)], VOCAB_SIZE)
    params = read_yaml(ROOT / "recipes/sample.yaml")["shard_corpus"] | corpus.params
    (project / "params.yaml").write_text(yaml.safe_dump({"shard_corpus": params}))


def measure(project: Path) -> Figures:
    """Run the stage's own command in a project folder."""
    environment = os.environ | {"DVC_ROOT": str(project), "PYTHONPATH": f"{ROOT}{os.pathsep}{ROOT / 'src'}"}
    start = time.perf_counter()
    process = subprocess.Popen([sys.executable, "-m", "pipeline.shard_corpus"], cwd=project, env=environment)
    _, status, usage = os.wait4(process.pid, 0)  # of the largest process: the stage's own, or one that it waited for
    seconds = time.perf_counter() - start
    if status:
        sys.exit("the stage failed.")
    metrics = read_json(project / "metrics/shard_corpus.json")
    megabytes = (metrics["train_text_bytes"] + metrics["val_text_bytes"]) / 10**6
    own = read_json(project / "metrics/runs/shard_corpus.json")["peak_memory_bytes"] / 10**6
    largest = usage.ru_maxrss * (1 if sys.platform == "darwin" else 1024) / 10**6
    return {"mb": megabytes, "seconds": seconds, "speed": megabytes / seconds, "own_mb": own, "peak_mb": largest}


def run_corpus(index: int, sizes: tuple[int, int, int]) -> Figures:
    """Make one of the corpora, and shard it."""
    with tempfile.TemporaryDirectory() as folder:
        # In a process of its own: Linux counts the memory of a process to that of those it starts.
        writer = multiprocessing.get_context("spawn").Process(target=prepare, args=(index, sizes, Path(folder)))
        writer.start()
        writer.join()
        return measure(Path(folder))


def growth(sizes: tuple[int, int, int], only: str) -> Iterator[str]:
    """Each corpus at 1, 4 and 16 times its size: seconds and the largest process, and how they grow."""
    yield "| corpus | MB | seconds | exponent | largest process, peak MB | exponent |\n|---|---|---|---|---|---|"
    for index, corpus in enumerate(list_corpora(*sizes)):
        if only in corpus.name:
            runs = [run_corpus(index, tuple(size * factor for size in sizes)) for factor in GROWTH_FACTORS]
            columns = {key: [figures[key] for figures in runs] for key in ("mb", "seconds", "peak_mb")}
            cells = [" / ".join(f"{value:,.1f}" for value in columns["mb"])]
            for key in ("seconds", "peak_mb"):
                cells.append(" / ".join(f"{value:,.1f}" for value in columns[key]))
                cells.append(f"{growth_exponent(columns['mb'], columns[key]):.2f}")
            yield "| " + " | ".join([corpus.name, *cells]) + " |"


def _write_jsonl(path: Path, texts: Iterator[str]) -> None:
    with path.open("w") as file:
        file.writelines(json.dumps({"text": text}) + "\n" for text in texts)


def _chunks(texts: Iterator[str], size: int) -> Iterator[list[str]]:
    chunk: list[str] = []
    for text in texts:
        chunk.append(text)
        if len(chunk) == size:
            yield chunk
            chunk = []
    yield chunk


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--megabytes", type=int, default=2_000, help="of a corpus of many documents (%(default)s)")
    parser.add_argument("--text-megabytes", type=int, default=1_000, help="of a single text (%(default)s)")
    parser.add_argument("--tiny", type=int, default=100_000, help="documents of eight words (%(default)s)")
    parser.add_argument("--only", default="", help="the corpora whose name has this")
    parser.add_argument("--growth", action="store_true", help="each at 1, 4 and 16 times these sizes")
    options = parser.parse_args()
    sizes = (options.megabytes, options.text_megabytes, options.tiny)
    if options.growth:
        for line in growth(sizes, options.only):
            print(line, flush=True)
        return
    print("| corpus | MB | seconds | MB/s | stage's own process, peak MB | largest process, peak MB |")
    print("|---|---|---|---|---|---|", flush=True)
    for index, corpus in enumerate(list_corpora(*sizes)):
        if options.only in corpus.name:
            figures = run_corpus(index, sizes)
            cells = [f"{figures[key]:,.{digits}f}" for key, digits in COLUMNS.items()]
            print("| " + " | ".join([corpus.name, *cells]) + " |", flush=True)


if __name__ == "__main__":
    main()
