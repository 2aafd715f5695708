"""Bundles that TensorFlow wrote are read as TensorFlow reads them, and damaged ones are not."""

from pathlib import Path

import numpy as np
import pytest

from scratchlm.models.tensor_bundle import Entry, read_index, read_pieces

DATA = "model.ckpt.data-00000-of-00001"
INDEX = "model.ckpt.index"


def save(directory: Path, tensors: dict[str, np.ndarray]) -> None:
    """Write a bundle with TensorFlow."""
    import tensorflow

    tensorflow.raw_ops.SaveV2(
        prefix=str(directory / "model.ckpt"),
        tensor_names=list(tensors),
        shape_and_slices=[""] * len(tensors),
        tensors=list(map(tensorflow.constant, tensors.values())),
    )


def read(directory: Path, entry: Entry) -> bytes:
    with (directory / DATA).open("rb") as file:
        return b"".join(read_pieces(file, entry))


def test_names_types_shapes_and_values_are_tensorflows(tmp_path: Path):
    rng = np.random.default_rng(0)
    tensors = {
        "model/h10/attn/c_attn/w": rng.normal(size=(1, 300, 901)).astype("float32"),  # more than a piece
        "model/h1/attn/c_attn/w": rng.normal(size=(2, 3)).astype("float16"),
        "scalar": np.array(3, "int64"),
        "empty": np.zeros((0, 4), "float64"),
        "\u00fcber": np.arange(300, dtype="int32"),
    }
    save(tmp_path, tensors)
    entries = read_index(tmp_path / INDEX)
    assert list(entries) == sorted(tensors, key=str.encode)
    for name, array in tensors.items():
        entry = entries[name]
        assert (entry.dtype, entry.shape, entry.size) == (array.dtype.name, array.shape, array.nbytes)
        assert read(tmp_path, entry) == array.tobytes()


def test_an_index_of_several_blocks_is_read_whole(tmp_path: Path):
    rng = np.random.default_rng(0)
    tensors = {rng.bytes(40).hex(): np.array([number], "float32") for number in range(4_000)}
    save(tmp_path, tensors)
    assert (tmp_path / INDEX).stat().st_size > 300_000, "a block has 262,144 bytes"
    entries = read_index(tmp_path / INDEX)
    assert entries.keys() == tensors.keys()
    assert all(read(tmp_path, entries[name]) == array.tobytes() for name, array in tensors.items())


def test_every_altered_byte_of_an_index_is_noticed_or_without_effect(tmp_path: Path):
    save(tmp_path, {f"h{number}/w": np.ones((2, 3), "float32") for number in range(12)})
    path = tmp_path / INDEX
    whole, entries = path.read_bytes(), read_index(path)
    refused = 0
    for place, byte in enumerate(whole):
        path.write_bytes(whole[:place] + bytes([byte ^ 4]) + whole[place + 1 :])
        try:
            assert read_index(path) == entries
        except ValueError:
            refused += 1
    assert refused > len(whole) - 64, "the meta index and the end of the footer's padding mean nothing"
    for length in range(len(whole)):
        path.write_bytes(whole[:length])
        with pytest.raises(ValueError):
            read_index(path)


def test_a_flipped_bit_and_a_missing_end_are_noticed(tmp_path: Path):
    save(tmp_path, {"w": np.ones(1_000, "float32")})
    (entry,) = read_index(tmp_path / INDEX).values()
    data = bytearray((tmp_path / DATA).read_bytes())
    data[2_000] ^= 1
    (tmp_path / DATA).write_bytes(data)
    with pytest.raises(ValueError, match="its bytes do not have its checksum"):
        read(tmp_path, entry)
    (tmp_path / DATA).write_bytes(data[:3_000])
    with pytest.raises(ValueError, match="the file ends within it"):
        read(tmp_path, entry)


def test_a_bundle_of_several_files_is_refused(tmp_path: Path):
    import tensorflow

    for part in ("a", "b"):
        (tmp_path / part).mkdir()
        save(tmp_path / part, {part: np.ones(1, "float32")})
    prefixes = [str(tmp_path / part / "model.ckpt") for part in ("a", "b")]
    tensorflow.raw_ops.MergeV2Checkpoints(
        checkpoint_prefixes=prefixes, destination_prefix=str(tmp_path / "model.ckpt"), delete_old_dirs=False
    )
    with pytest.raises(ValueError, match="several data files"):
        read_index(tmp_path / INDEX)


def test_openais_own_bytes_have_the_checksums_of_openais_own_index(mirror: Path, shared: Path):
    """Of the weights, the mirror has the first three megabytes."""
    folder = Path("openaipublic.blob.core.windows.net/gpt-2/models/124M")
    entries = read_index(mirror / folder / INDEX)
    first, second = list(entries.values())[:2]
    broken = shared / "mirror-broken" / folder
    values = np.frombuffer(read(broken, first), "<f4")
    assert values.shape == first.shape == (2_304,)
    assert 0.1 < values.std() < 1
    with pytest.raises(ValueError, match="the file ends within it"):
        read(broken, second)
