"""A random checkpoint of OpenAI's layout and a size of GPT-2: `python -m benchmarks.make_gpt2_checkpoint 124M`.

TensorFlow writes it, with the weights of a trained GPT-2 in scale: outlier channels, and logits near 100.
"""

import argparse
import shutil
from collections.abc import Iterator
from pathlib import Path

import numpy as np

from scratchlm.artifacts import atomic_directory
from scratchlm.checksums import write_manifest
from scratchlm.datasets.download import Download, fetch_all
from scratchlm.datasets.sources import GPT2_ENCODINGS
from scratchlm.models.gpt2_checkpoint import write_gpt2
from scratchlm.models.gpt_config import GPTConfig, parameter_shapes

CONFIGS = {
    size: GPTConfig(n_layer=n_layer, n_head=n_head, n_embd=n_embd, context_length=1_024, vocab_size=50_257)
    for size, n_layer, n_head, n_embd in (
        ("124M", 12, 12, 768),
        ("355M", 24, 16, 1_024),
        ("774M", 36, 20, 1_280),
        ("1558M", 48, 25, 1_600),
    )
}
OUTLIERS = [5, 7, 11]  # channels of the residual stream


def make_checkpoint(config: GPTConfig, folder: Path, vocabulary: Path | None) -> None:
    """Write OpenAI's seven files and their manifest.

    `vocabulary` has encoder.json and vocab.bpe, else mirror or network have them.
    """
    with atomic_directory(folder) as partial:
        if vocabulary is None:
            sources = GPT2_ENCODINGS.values()
            downloads = [Download(source.urls, source.sha256, partial / source.name) for source in sources]
            fetch_all(downloads, offline="--vocabulary FOLDER")
        else:
            for name in GPT2_ENCODINGS:
                shutil.copyfile(vocabulary / name, partial / name)
        write_gpt2(config, random_parameters(config), partial)
        write_manifest(partial)


def random_parameters(config: GPTConfig) -> Iterator[tuple[str, np.ndarray]]:
    """Names and values of the parameters of a GPT, drawn from one seed."""
    rng = np.random.default_rng(0)
    for name, shape in parameter_shapes(config).items():
        if name.endswith("bias"):
            values = rng.normal(0, 0.1, shape)
        elif "ln_" in name:
            values = rng.uniform(0.2, 0.6, shape)
            values[OUTLIERS] *= 15
        else:
            values = rng.standard_normal(shape, dtype=np.float32)
            values *= 0.13
            if name.startswith("w"):
                values[:, OUTLIERS] += 2
        if name == "ln_f.weight":
            values *= 10
        yield name, values.astype(np.float32, copy=False)


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("size", choices=CONFIGS)
    parser.add_argument("--folder", type=Path, help="where to write it; data/gpt2/random-SIZE by default")
    parser.add_argument("--vocabulary", type=Path, help="a folder with OpenAI's encoder.json and vocab.bpe")
    arguments = parser.parse_args()
    folder = arguments.folder or Path(f"data/gpt2/random-{arguments.size}")
    make_checkpoint(CONFIGS[arguments.size], folder, arguments.vocabulary)
    print(folder)


if __name__ == "__main__":
    main()
