"""Random checkpoints have the layout of OpenAI's."""

from pathlib import Path

import numpy as np
import pytest

from benchmarks.make_gpt2_checkpoint import CONFIGS, make_checkpoint, random_parameters
from scratchlm.artifacts import read_json
from scratchlm.checksums import MANIFEST
from scratchlm.datasets.sources import GPT2_FILES
from scratchlm.models.gpt2_checkpoint import check_values, read_hparams, tensor_shapes
from scratchlm.models.gpt_config import GPTConfig
from scratchlm.models.tensor_bundle import Entry, read_index

OPENAI = Path("openaipublic.blob.core.windows.net/gpt-2/models/124M")
INDEX = "model.ckpt.index"


def layout(index: Path) -> dict[str, tuple[str, tuple[int, ...], int, int]]:
    """All that an index says, but for the checksums of the values."""

    def without_checksum(entry: Entry) -> tuple[str, tuple[int, ...], int, int]:
        return entry.dtype, entry.shape, entry.offset, entry.size

    return {name: without_checksum(entry) for name, entry in read_index(index).items()}


def test_the_sizes_are_openais(mirror: Path):
    assert read_hparams(mirror / OPENAI) == CONFIGS["124M"]
    genuine = {name: shape for name, (_, shape, _, _) in layout(mirror / OPENAI / INDEX).items()}
    assert tensor_shapes(CONFIGS["124M"]) == genuine
    parameters = {name: sum(map(np.prod, tensor_shapes(config).values())) for name, config in CONFIGS.items()}
    assert parameters == {"124M": 124_439_808, "355M": 354_823_168, "774M": 774_030_080, "1558M": 1_557_611_200}


def test_a_checkpoint_is_whole_and_the_same_each_time(tmp_path: Path, mirror: Path):
    config = GPTConfig(n_layer=2, n_head=2, n_embd=16, context_length=8, vocab_size=50)
    for name in ("once", "again"):
        make_checkpoint(config, tmp_path / name, vocabulary=mirror / OPENAI)
    assert sorted(file.name for file in (tmp_path / "once").iterdir()) == sorted([*GPT2_FILES, MANIFEST])
    check_values(tmp_path / "once", config)
    for name in GPT2_FILES:
        assert (tmp_path / "once" / name).read_bytes() == (tmp_path / "again" / name).read_bytes(), name


def test_weights_have_outlier_channels():
    values = dict(random_parameters(GPTConfig(n_layer=1, n_head=2, n_embd=64, context_length=8, vocab_size=500)))
    assert all(array.dtype == np.float32 for array in values.values())
    typical = np.median(values["ln_f.weight"])
    assert (values["ln_f.weight"] > 5 * typical).sum() == 3


@pytest.mark.slow
def test_at_124m_the_layout_is_the_genuine_one(tmp_path: Path, mirror: Path):
    make_checkpoint(CONFIGS["124M"], tmp_path / "124M", vocabulary=None)
    made, genuine = tmp_path / "124M", mirror / OPENAI
    assert len(layout(genuine / INDEX)) == 148
    assert layout(made / INDEX) == layout(genuine / INDEX)
    assert (made / INDEX).stat().st_size == (genuine / INDEX).stat().st_size
    for name in ("checkpoint", "encoder.json", "vocab.bpe"):
        assert (made / name).read_bytes() == (genuine / name).read_bytes(), name
    assert read_json(made / "hparams.json") == read_json(genuine / "hparams.json")
