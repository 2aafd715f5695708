"""The processes that benchmarks/convert.py compares; each prints its time and memory once its imports are done.

`python -m benchmarks.convert_contestants ours SIZE`, `limit SIZE` or `book SIZE PEER`, beside `data/gpt2/SIZE`.
"""

import json
import os
import sys
import time
from collections.abc import Callable
from pathlib import Path

import psutil

CHECKPOINTS = Path("data/gpt2")
PIECE_BYTES = 2**20


def measure(job: Callable[[], None]) -> None:
    """Run what is left after the imports."""
    imports_mb = psutil.Process().memory_info().rss / 1e6
    start = time.perf_counter()
    job()
    print(json.dumps({"imports_mb": imports_mb, "seconds_after_imports": time.perf_counter() - start}))


def run_ours(size: str) -> None:
    """The stage convert_gpt2 itself."""
    from pipeline.convert_gpt2 import main

    sys.argv = ["convert_gpt2", size]
    measure(main)


def run_book(size: str, peer: str) -> None:
    """The book's loader and model of chapter 5, and a safetensors file of as many weights as ours has."""
    sys.path.insert(0, str(Path(peer) / "ch05/01_main-chapter-code"))
    os.environ.setdefault("TF_CPP_MIN_LOG_LEVEL", "3")
    from gpt_download import load_gpt2_params_from_tf_ckpt  # pyright: ignore[reportMissingImports]
    from gpt_generate import load_weights_into_gpt  # pyright: ignore[reportMissingImports]
    from previous_chapters import GPTModel  # pyright: ignore[reportMissingImports]
    from safetensors.torch import save_file

    def convert() -> None:
        settings = json.loads((CHECKPOINTS / size / "hparams.json").read_text())
        params = load_gpt2_params_from_tf_ckpt(str(CHECKPOINTS / size / "model.ckpt"), settings)
        config = {
            "vocab_size": settings["n_vocab"],
            "context_length": settings["n_ctx"],
            "emb_dim": settings["n_embd"],
            "n_heads": settings["n_head"],
            "n_layers": settings["n_layer"],
            "drop_rate": 0.0,
            "qkv_bias": True,
        }
        model = GPTModel(config)
        load_weights_into_gpt(model, params)
        state = {
            name: tensor
            for name, tensor in model.state_dict().items()
            if not name.endswith((".mask", "out_head.weight"))
        }
        save_file({name: tensor.contiguous() for name, tensor in state.items()}, "book.safetensors")

    measure(convert)


def run_limit(size: str) -> None:
    """Read the weights' bytes, write them to a file, and wait until that is on the disk."""

    def copy() -> None:
        with (
            (CHECKPOINTS / size / "model.ckpt.data-00000-of-00001").open("rb") as source,
            Path("copy").open("wb") as to,
        ):
            while piece := source.read(PIECE_BYTES):
                to.write(piece)
            to.flush()
            os.fsync(to.fileno())

    measure(copy)


if __name__ == "__main__":
    {"ours": run_ours, "book": run_book, "limit": run_limit}[sys.argv[1]](*sys.argv[2:])
