"""Manifests notice every change."""

import json
from collections.abc import Callable
from pathlib import Path

import pytest

from scratchlm.checksums import sha256_json, verify_manifest, write_manifest
from scratchlm.errors import UserError


def flip(path: Path) -> None:
    path.write_bytes(bytes([path.read_bytes()[0] ^ 1]) + path.read_bytes()[1:])


CHANGES = {
    "flipped bit": flip,
    "truncated": lambda path: path.write_bytes(path.read_bytes()[:-1]),
    "deleted": lambda path: path.unlink(),
}


@pytest.mark.parametrize("change", CHANGES.values(), ids=CHANGES)
def test_a_manifest_names_the_file_that_changed(tmp_path: Path, change: Callable[[Path], None]):
    for name in ("a.bin", "b.bin"):
        (tmp_path / name).write_bytes(name.encode())
    write_manifest(tmp_path)
    verify_manifest(tmp_path)
    change(tmp_path / "b.bin")
    with pytest.raises(UserError, match=r"b\.bin"):
        verify_manifest(tmp_path)


def test_the_hash_of_a_json_value_ignores_the_order_of_keys():
    assert sha256_json({"a": 1, "b": 2}) == sha256_json(json.loads('{"b": 2, "a": 1}'))
