"""Judging answers on a local server: all requests one after the other, against `max_concurrency` at once.

Both ask through the pipeline's own judge and store. Server 1 is `transformers serve` with continuous batching and a
model that always replies the same; server 2 answers after a fixed delay, and so shows what our client costs itself;
server 3, with `--llama-server`, is llama.cpp's, built as the tests build it, with GPT-2's vocabulary from the network
or SCRATCHLM_MIRROR. `--growth` judges 1x, 4x and 16x the answers on server 2.
"""

import argparse
import asyncio
import json
import os
import socket
import subprocess
import sys
import tempfile
import time
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import httpx

from benchmarks.side_by_side import ROOT, Contestant, growth_exponent, run, run_in_turn, table
from scratchlm.artifacts import read_json
from scratchlm.judging.config import OpenAIConfig
from scratchlm.judging.judge import judge_items
from scratchlm.judging.reply_form import reply_request
from scratchlm.judging.rubric import read_rubric
from scratchlm.judging.server_judge import make_server_judge
from scratchlm.judging.verdicts import VerdictStore

SAMPLE = ROOT / "data/sample/instructions.json"
RUBRIC = ROOT / "rubrics/points-100.yaml"
# What a verdict's reason is made of: no token twice in a reply, so that a model can learn it by heart.
LETTERS = "zyxwvutsrqponmlkjihgfedcbaZYXWVUTQPNMLKJIHGFDBA"
TEXT_REPLY = "{reason}\nSCORE: 70"
JSON_REPLY = '{{"reason":"{reason}","score":70}}'  # for a server that honours a JSON schema
VOCAB_SIZE = 1_000
SHAPE, CONTEXT_LENGTH = (6, 8, 512), 1_024
CHAT_TEMPLATE = "{% for message in messages %}{{ message.content }}\n{% endfor %}>"
COLUMNS = {
    "seconds": "seconds",
    "judging": "of them judging",
    "per_second": "verdicts a second",
    "peak_mb": "client MB",
}
BATCHING = "--continuous-batching --cb-block-size=32 --cb-num-blocks=1024 --cb-max-batch-tokens=1024"
CONCURRENCIES = (1, 4, 8, 16, 32)
SLOTS = 8  # of server 3: requests that it computes at once
READY_SECONDS = 180


def judge(base_url: str, model: str, answers: int, concurrency: int) -> None:
    """A contestant: judge with an empty store, and print the seconds without start-up."""
    entries = read_json(SAMPLE)
    chosen = [entries[number % len(entries)] for number in range(answers)]
    items = [{"id": n, **entry, "response": f"{n}. {entry['output']}"} for n, entry in enumerate(chosen)]
    settings: dict[str, Any] = {
        "temperature": 0.0,
        "max_tokens": 64,
        "max_attempts": 5,
        "logprobs": False,
        "samples": 1,
    }
    settings |= {"max_concurrency": concurrency, "skip_verbatim": False, "prices": None, "max_cost": None}
    config = OpenAIConfig(base_url=base_url, model=model, **settings)
    with tempfile.TemporaryDirectory() as folder, VerdictStore(Path(folder) / "verdicts.sqlite") as store:
        judges = make_server_judge(config, read_rubric(RUBRIC), store)
        start = time.perf_counter()
        rows = judge_items(judges, items, store)
        seconds = time.perf_counter() - start
    assert [row["status"] for row in rows] == ["ok"] * answers
    print(json.dumps({"judging": seconds, "per_second": answers / seconds}))


def contestant(name: str, *arguments: object) -> Contestant:
    """A process of its own that calls `judge` with these arguments."""
    call = f"from benchmarks.judge import judge; judge(*{arguments!r})"
    return Contestant(name, [sys.executable, "-c", call], environment={"NO_PROXY": "127.0.0.1"})


async def answer_after(delay: float, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
    """One connection to server 2: every request is answered with a verdict, `delay` seconds after it came."""
    reply = {"choices": [{"message": {"content": '{"reason": "It is right.", "score": 70}'}}], "model": "delay"}
    body = json.dumps({**reply, "usage": {"prompt_tokens": 200, "completion_tokens": 12}}).encode()
    head = b"HTTP/1.1 200 OK\r\nContent-Type: application/json\r\nContent-Length: %d\r\n\r\n" % len(body)
    try:
        while request := await reader.readuntil(b"\r\n\r\n"):
            lines = request.decode("latin-1").lower().split("\r\n")
            length = next((int(line.split(":")[1]) for line in lines if line.startswith("content-length:")), 0)
            await reader.readexactly(length)
            await asyncio.sleep(delay if length else 0)
            writer.write(head + body)
            await writer.drain()
    except (asyncio.IncompleteReadError, ConnectionError):
        writer.close()


def serve_delayed(port: int, delay: float) -> None:
    """Server 2, until it is ended."""

    async def serve() -> None:
        server = await asyncio.start_server(lambda *ends: answer_after(delay, *ends), "127.0.0.1", port)
        await server.serve_forever()

    asyncio.run(serve())


def write_model(folder: Path, tokenizer_kind: str, reply: str, shape: Sequence[int]) -> Path:
    """A model directory that replies the same to everything, with GPT-2's tokenizer or a BPE made for the prompts."""
    from scratchlm.datasets.tokenizer_building import write_tokenizer
    from scratchlm.datasets.tokenizers import load_tokenizer
    from scratchlm.models.gpt import GPT, GPTConfig
    from scratchlm.models.storage import save_model
    from tests.tiny_model import teach

    tokenizer_folder, model_folder = folder / "tokenizer", folder / "model"
    rubric = read_rubric(RUBRIC)
    request = reply_request(rubric.maximum)
    prompts = [rubric.fill({**entry, "response": entry["output"]}, request) for entry in read_json(SAMPLE)]
    tokenizer_folder.mkdir()
    write_tokenizer(tokenizer_folder, tokenizer_kind, prompts, VOCAB_SIZE)
    tokenizer = load_tokenizer(tokenizer_folder)
    n_layer, n_head, n_embd = shape
    sizes = {"n_layer": n_layer, "n_head": n_head, "n_embd": n_embd, "context_length": CONTEXT_LENGTH}
    model = GPT(GPTConfig(vocab_size=tokenizer.vocab_size, dropout=0.0, **sizes))
    model.init_weights(seed=0)
    teach(model.eval(), [*tokenizer.encode(f">{reply}"), tokenizer.eot_id], learning_rate=0.03)
    save_model(model, model_folder, tokenizer=tokenizer_folder, card="For a benchmark.", chat_template=CHAT_TEMPLATE)
    return model_folder


@contextmanager
def running(command: Sequence[str | Path], port: int, log: Path, **environment: str) -> Iterator[str]:
    """A server's base URL once it answers; it is ended afterwards. The end of its log is shown if it does not start."""
    with log.open("w") as file:
        process = subprocess.Popen(command, cwd=ROOT, env={**os.environ, **environment}, stdout=file, stderr=file)
    try:
        deadline = time.monotonic() + READY_SECONDS
        while not _is_ready(port):
            if process.poll() is not None or time.monotonic() > deadline:
                sys.exit(f"the server did not start: {log.read_text()[-1000:]}")
            time.sleep(0.1)
        yield f"http://127.0.0.1:{port}/v1"
    finally:
        process.terminate()
        process.wait()


def _is_ready(port: int) -> bool:
    try:
        return httpx.get(f"http://127.0.0.1:{port}/health", trust_env=False).is_success
    except httpx.TransportError:
        return False


@contextmanager
def delayed_server(delay: float) -> Iterator[str]:
    """Server 2."""
    with tempfile.TemporaryDirectory() as folder:
        port = _free_port()
        call = f"from benchmarks.judge import serve_delayed; serve_delayed({port}, {delay})"
        with running([sys.executable, "-c", call], port, Path(folder) / "log") as base_url:
            yield base_url


@contextmanager
def transformers_server(folder: Path, shape: Sequence[int], reason: str) -> Iterator[tuple[str, str]]:
    """Server 1, warmed up, and the name of its model."""
    model, port = str(write_model(folder, "bpe", TEXT_REPLY.format(reason=reason), shape)), _free_port()
    transformers = Path(sys.executable).with_name("transformers")
    command = [transformers, "serve", model, "--host", "127.0.0.1", "--port", str(port), *BATCHING.split()]
    offline = {"HF_HUB_OFFLINE": "1", "HF_HOME": str(folder / "huggingface")}
    with running(command, port, folder / "log", **offline) as base_url:
        warm_up(base_url, model)
        yield base_url, model


@contextmanager
def llama_server(folder: Path, shape: Sequence[int], reason: str) -> Iterator[tuple[str, str]]:
    """Server 3, warmed up, and the name of its model."""
    from tests.interoperability import llama_cpp_package

    llama_cpp_package.build("llama-server")
    gguf, port = folder / "model.gguf", _free_port()
    model = write_model(folder, "gpt2", JSON_REPLY.format(reason=reason), shape)
    llama_cpp_package.convert(model, gguf)
    command = [llama_cpp_package.SERVER, "--model", gguf, "--alias", "judge", "--host", "127.0.0.1"]
    command += ["--port", str(port), "--parallel", str(SLOTS), "--ctx-size", str(SLOTS * CONTEXT_LENGTH)]
    with running(command, port, folder / "log") as base_url:
        warm_up(base_url, "judge")
        yield base_url, "judge"


def warm_up(base_url: str, model: str) -> None:
    """Judge some answers: the server's first requests take longer than those after them."""
    for number in CONCURRENCIES:
        run(contestant("warm up", base_url, model, 2 * number, number))


def _free_port() -> int:
    with socket.socket() as free:
        free.bind(("127.0.0.1", 0))
        return free.getsockname()[1]


def race(base_url: str, model: str, answers: int, concurrencies: Sequence[int], rounds: int) -> str:
    """The table of one server; the ratios are of the seconds of judging, without the start of the process."""
    contestants = [contestant(f"{number} at once", base_url, model, answers, number) for number in concurrencies]
    return "\n".join(table(run_in_turn(contestants, rounds), COLUMNS, ratio_of="judging"))


def growth(base_url: str, answers: int) -> str:
    """Seconds and memory of the client at 1x, 4x and 16x the answers, and how they grow."""
    sizes = [answers * factor for factor in (1, 4, 16)]
    runs = {f"{size:,} answers": [run(contestant("", base_url, "delay", size, 64))] for size in sizes}
    lines = list(table(runs, COLUMNS))
    for name in ("judging", "peak_mb"):
        exponent = growth_exponent(sizes, [figures[0][name] for figures in runs.values()])
        lines.append(f"\n{COLUMNS[name]}: exponent {exponent:.2f}")
    return "\n".join(lines)


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--answers", type=int, default=110)
    parser.add_argument("--rounds", type=int, default=3)
    parser.add_argument("--delay", type=float, default=0.05, help="seconds that server 2 takes for an answer")
    parser.add_argument("--shape", type=int, nargs=3, default=SHAPE, help="of the judge: layers, heads, columns")
    parser.add_argument(
        "--reason", type=int, default=26, help=f"letters of a reason, at most {len(LETTERS)} (%(default)s)"
    )
    parser.add_argument("--growth", action="store_true")
    parser.add_argument("--llama-server", action="store_true", help="server 3 too; minutes of compiling the first time")
    options = parser.parse_args()
    from benchmarks.limits import describe_machine  # imports torch, which is no part of the memory of a client

    print(describe_machine(), end="\n\n")
    with delayed_server(options.delay) as base_url:
        if options.growth:
            print(growth(base_url, options.answers))
            return
        print(f"A server that answers after {options.delay:g} s, {options.answers} answers", end="\n\n")
        print(race(base_url, "delay", options.answers, (1, 8, 64), options.rounds), end="\n\n")
    judge_model = (options.shape, LETTERS[: options.reason])
    with tempfile.TemporaryDirectory() as folder, transformers_server(Path(folder), *judge_model) as (base_url, model):
        print(f"transformers serve {BATCHING}, {options.answers} answers", end="\n\n")
        print(race(base_url, model, options.answers, CONCURRENCIES, options.rounds), end="\n\n")
    if options.llama_server:
        with tempfile.TemporaryDirectory() as folder, llama_server(Path(folder), *judge_model) as (base_url, model):
            print(f"llama.cpp's server, --parallel {SLOTS}, {options.answers} answers", end="\n\n")
            print(race(base_url, model, options.answers, CONCURRENCIES, options.rounds))


if __name__ == "__main__":
    main()
