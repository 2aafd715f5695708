"""Web text in Parquet to token shards, GPT-2's vocabulary, whole commands: nanoGPT's prepare.py and the stage.

`python -m benchmarks.shard_corpus --corpus FOLDER --nanogpt PATH`: a folder of Parquet files with a column `text`, of
which `--files` are read, and the checkout of karpathy/nanoGPT; GPT-2's vocabulary comes from SCRATCHLM_MIRROR or the
network. nanoGPT's script reads the local files in place of the hub, with one process a core. The documents of both must
have the same tokens; nanoGPT shuffles them, and its split is another. The limit is one core's tiktoken times the cores.
"""

import argparse
import hashlib
import os
import sys
import time
from collections import Counter
from collections.abc import Iterator, Sequence
from pathlib import Path
from tempfile import TemporaryDirectory

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq
import yaml

from benchmarks.limits import measure_limits, print_limits
from benchmarks.side_by_side import ROOT, Contestant, Figures, growth_exponent, run, run_in_turn, table
from scratchlm.artifacts import link_file, read_json
from scratchlm.checksums import MANIFEST, sha256_file, write_sealed
from scratchlm.datasets.documents import read_documents
from scratchlm.datasets.download import Download, fetch_all
from scratchlm.datasets.shards import TokenShards
from scratchlm.datasets.sources import GPT2_ENCODINGS
from scratchlm.datasets.tokenizer_building import write_tokenizer
from scratchlm.datasets.tokenizers import load_tokenizer
from scratchlm.params import read_yaml

COLUMNS = {
    "seconds": "seconds",
    "mb_per_second": "MB/s of text",
    "peak_mb": "peak memory of all processes, MB",
    "tokens": "tokens",
    "share": "% of limit",
}
ENGINES = ("tiktoken", "gigatoken")
GROWTH_FACTORS = (1, 4, 16)
LIMIT_DOCUMENTS = 1_000
CORES = len(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else os.cpu_count() or 1


def write_project(folder: Path, files: Sequence[Path], engine: str) -> Path:
    """What the stage reads: corpus, GPT-2's tokenizer, parameters."""
    corpus = folder / "data/raw/corpus"
    corpus.mkdir(parents=True)
    entries = []
    for file in files:
        link_file(file.resolve(), corpus / file.name)
        size, sha256 = file.stat().st_size, sha256_file(file)
        entries.append({"name": file.name, "url": file.name, "bytes": size, "sha256": sha256, "licence": ""})
    write_sealed(corpus / MANIFEST, {"files": entries})
    (folder / "data/tokenizer").mkdir()
    write_tokenizer(folder / "data/tokenizer", "gpt2", [], 0)
    params = {**read_yaml(ROOT / "recipes/sample.yaml")["shard_corpus"], "engine": engine}
    (folder / "params.yaml").write_text(yaml.safe_dump({"shard_corpus": params}))
    return folder


def ours(project: Path, engine: str) -> Contestant:
    """The stage's own command in a project folder without the shards of an earlier run."""

    def read(_: str) -> Figures:
        metrics = read_json(project / "metrics/shard_corpus.json")
        return {key: metrics[f"train_{key}"] + metrics[f"val_{key}"] for key in ("tokens", "text_bytes")}

    command = ["sh", "-c", 'rm -rf .work data/tokens && exec "$0" -m pipeline.shard_corpus', sys.executable]
    return Contestant(f"ours, {engine}", command, project, {"DVC_ROOT": str(project)}, read)


def nanogpt(peer: Path, corpus: Path, folder: Path) -> Contestant:
    """NanoGPT's script, which finds OpenAI's two files where tiktoken keeps what it fetched."""
    cache, output = folder / "openai", folder / "nanogpt"
    cache.mkdir()
    output.mkdir()
    sources = GPT2_ENCODINGS.values()
    names = {source: hashlib.sha1(source.urls[0].encode()).hexdigest() for source in sources}
    fetch_all([Download(source.urls, source.sha256, cache / names[source]) for source in sources], offline="")
    arguments = [peer.resolve(), corpus, output, CORES]
    command = [sys.executable, "-m", "benchmarks.shard_contestants", *map(str, arguments)]
    return Contestant("nanoGPT", command, environment={"TIKTOKEN_CACHE_DIR": str(cache)})


def tiktoken_mb_per_second(tokenizer: Path, file: Path) -> float:
    """What one core encodes in a second, document by document."""
    encode = load_tokenizer(tokenizer).encode_to_numpy
    texts = ["".join(document) for _, document in zip(range(LIMIT_DOCUMENTS), read_documents(file), strict=False)]
    start = time.perf_counter()
    for text in texts:
        encode(text)
    return sum(len(text.encode()) for text in texts) / 1e6 / (time.perf_counter() - start)


def count_documents(arrays: Sequence[np.ndarray], eot_id: int) -> Counter[bytes]:
    """How often each document, as its tokens, stands in arrays of documents that end with `eot_id`."""
    counts: Counter[bytes] = Counter()
    for array in arrays:
        ends = np.flatnonzero(array == eot_id)
        starts = [0, *(ends[:-1] + 1)]
        counts.update(array[start:end].astype("<u2").tobytes() for start, end in zip(starts, ends, strict=True))
    return counts


def compare(options: argparse.Namespace, files: list[Path], folder: Path) -> Iterator[str]:
    """The limits, the table, and whether the documents are the same."""
    projects = {engine: write_project(folder / engine, files, engine) for engine in ENGINES}
    contestants = [ours(project, engine) for engine, project in projects.items()]
    if options.nanogpt:
        corpus = projects["tiktoken"] / "data/raw/corpus"
        contestants.insert(0, nanogpt(options.nanogpt, corpus, folder))
    print_limits(measure_limits())
    limit = CORES * tiktoken_mb_per_second(projects["tiktoken"] / "data/tokenizer", files[0])
    yield f"- tiktoken's encode_to_numpy, one core times {CORES}: {limit:,.1f} MB/s\n"
    runs = run_in_turn(contestants, options.rounds)
    megabytes = runs["ours, tiktoken"][0]["text_bytes"] / 1e6
    for name, rows in runs.items():
        speeds = [megabytes / row["seconds"] for row in rows]
        pairs = zip(rows, speeds, strict=True)
        runs[name] = [{**row, "mb_per_second": speed, "share": 100 * speed / limit} for row, speed in pairs]
    yield from table(runs, COLUMNS)
    shards = {engine: TokenShards(project / "data/tokens") for engine, project in projects.items()}
    same = shards["tiktoken"].manifest == shards["gigatoken"].manifest
    yield f"\nBoth engines wrote the same bytes: {same}."
    if options.nanogpt:
        own = shards["tiktoken"]
        counts = count_documents([own.read(split, 0, own.token_count(split)) for split in own.shards], own.eot_id)
        written = [np.fromfile(folder / f"nanogpt/{split}.bin", "<u2") for split in ("train", "val")]
        yield f"nanoGPT's documents have the same tokens: {counts == count_documents(written, own.eot_id)}."


def growth(options: argparse.Namespace, files: list[Path], folder: Path) -> Iterator[str]:
    """Ours on 1, 4 and 16 times the text, a number added to each copy: whole process, and how it grows."""
    columns = {"seconds": "seconds", "peak_mb": "peak memory, MB"}
    yield "| engine | text | " + " | ".join(columns.values()) + " |"
    yield "|---" * (len(columns) + 2) + "|"
    for engine in ENGINES:
        runs: list[Figures] = []
        for factor in GROWTH_FACTORS:
            with TemporaryDirectory(dir=folder) as name:
                copies = [_write_copy(file, Path(name), copy) for copy in range(factor) for file in files]
                project = write_project(Path(name) / "project", copies, engine)
                runs.append(run(ours(project, engine)))
            cells = " | ".join(f"{runs[-1][key]:,.2f}" for key in columns)
            yield f"| {engine} | {runs[-1]['text_bytes'] / 1e6:,.0f} MB | {cells} |"
        exponents = (growth_exponent(GROWTH_FACTORS, [figures[key] for figures in runs]) for key in columns)
        yield f"| {engine} | exponent | " + " | ".join(f"{exponent:.2f}" for exponent in exponents) + " |"


def _write_copy(file: Path, folder: Path, copy: int) -> Path:
    path = folder / f"{copy:02d}-{file.name}"
    texts = (f"{''.join(document)}\n{copy}" for document in read_documents(file))
    pq.write_table(pa.table({"text": list(texts)}), path, compression="zstd")
    return path


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--corpus", type=Path, required=True, help="a folder of Parquet files")
    parser.add_argument("--nanogpt", type=Path, help="a checkout of karpathy/nanoGPT; without it, ours alone")
    parser.add_argument("--files", type=int, default=2, help="of the corpus (%(default)s)")
    parser.add_argument("--rounds", type=int, default=3)
    parser.add_argument("--growth", action="store_true", help="ours at 1, 4 and 16 times the text")
    options = parser.parse_args()
    files = sorted(options.corpus.glob("*.parquet"))[: options.files]
    with TemporaryDirectory() as folder:
        for line in (growth if options.growth else compare)(options, files, Path(folder)):
            print(line, flush=True)


if __name__ == "__main__":
    main()
