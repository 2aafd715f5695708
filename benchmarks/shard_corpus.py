"""Web text in Parquet to token shards, GPT-2's vocabulary, whole commands: nanoGPT's prepare.py, litgpt's, the stage.

`python -m benchmarks.shard_corpus --corpus FOLDER --nanogpt PATH --litgpt PATH`: a folder of Parquet files with a
column `text`, of which `--files` are read, and checkouts of karpathy/nanoGPT and Lightning-AI/litgpt; GPT-2's
vocabulary comes from SCRATCHLM_MIRROR or the network. The peers read the local files in place of the hub, with one
process a core; litgpt's is `prepare_data` of its data module OpenWebText, run by `--litgpt-python`. All must have the
same documents as tokens; the peers shuffle them, and split them otherwise. The limit is one core's tiktoken times the
cores.
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
from benchmarks.shard_contestants import SPLITS, read_litgpt
from benchmarks.side_by_side import ROOT, Contestant, Figures, growth_exponent, run, run_in_turn, spread, table
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
    arguments = ["nanogpt", peer.resolve(), corpus, output, CORES]
    command = [sys.executable, "-m", "benchmarks.shard_contestants", *map(str, arguments)]
    return Contestant("nanoGPT", command, environment={"TIKTOKEN_CACHE_DIR": str(cache)})


def litgpt(peer: Path, python: Path, project: Path, folder: Path) -> Contestant:
    """Litgpt's data module, with the stage's tokenizer: its tokenizer.json is as litgpt's own class reads it."""
    arguments = [
        "litgpt",
        peer.resolve(),
        project / "data/raw/corpus",
        folder / "litgpt",
        CORES,
        project / "data/tokenizer",
    ]
    # The interpreter's path is not resolved: a virtual environment is found by that of its link.
    command = [python.absolute(), "-m", "benchmarks.shard_contestants", *map(str, arguments)]
    return Contestant("litgpt", command)


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
    contestants: list[Contestant] = []
    if options.nanogpt:
        contestants.append(nanogpt(options.nanogpt, projects["tiktoken"] / "data/raw/corpus", folder))
    if options.litgpt:
        contestants.append(litgpt(options.litgpt, options.litgpt_python, projects["tiktoken"], folder))
    contestants += [ours(project, engine) for engine, project in projects.items()]
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
    own = shards["tiktoken"]
    counts = count_documents([own.read(split, 0, own.token_count(split)) for split in own.shards], own.eot_id)
    if options.nanogpt:
        written = [np.fromfile(folder / f"nanogpt/{split}.bin", "<u2") for split in SPLITS]
        yield f"nanoGPT's documents have the same tokens: {counts == count_documents(written, own.eot_id)}."
    if options.litgpt:
        written = list(read_litgpt(folder / "litgpt"))
        yield f"litgpt's documents have the same tokens: {counts == count_documents(written, own.eot_id)}."
        yield f"litgpt's seconds after its imports: {spread([row['seconds_after_imports'] for row in runs['litgpt']])}."


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
    parser.add_argument("--nanogpt", type=Path, help="a checkout of karpathy/nanoGPT; without peers, ours alone")
    parser.add_argument("--litgpt", type=Path, help="a checkout of Lightning-AI/litgpt")
    parser.add_argument(
        "--litgpt-python",
        type=Path,
        default=Path(sys.executable),
        help="of an environment with what litgpt imports, litdata and datasets (this one)",
    )
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
