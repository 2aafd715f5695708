"""Manifests, sealed objects and records beside files notice every change."""

import json
from collections.abc import Callable
from pathlib import Path

import pytest

from scratchlm.checksums import (
    MANIFEST,
    read_sealed,
    sha256_json,
    verify_manifest,
    verify_sha256,
    write_manifest,
    write_sealed,
    write_sha256,
)
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


def test_the_manifest_of_another_directory_is_named_with_the_file_that_it_lists(tmp_path: Path):
    for name in ("ours", "theirs"):
        (tmp_path / name).mkdir()
        (tmp_path / name / f"{name}.bin").write_bytes(name.encode())
        write_manifest(tmp_path / name)
    (tmp_path / "theirs" / MANIFEST).replace(tmp_path / "ours" / MANIFEST)
    with pytest.raises(UserError, match=r"theirs\.bin is missing, though its manifest\.json lists it"):
        verify_manifest(tmp_path / "ours")


def test_the_hash_of_a_json_value_ignores_the_order_of_keys():
    assert sha256_json({"a": 1, "b": 2}) == sha256_json(json.loads('{"b": 2, "a": 1}'))


def test_every_altered_byte_of_a_sealed_object_is_noticed(tmp_path: Path):
    path = tmp_path / MANIFEST
    write_sealed(path, {"dtype": "uint16", "tokens": 70, "text": "caf\u00e9"})
    whole = path.read_bytes()
    assert read_sealed(path, {"tokens": int}) == {"dtype": "uint16", "tokens": 70, "text": "caf\u00e9"}
    for place, byte in enumerate(whole):
        for bit in range(8):
            path.write_bytes(whole[:place] + bytes([byte ^ 1 << bit]) + whole[place + 1 :])
            with pytest.raises(UserError, match=MANIFEST):
                read_sealed(path, {"tokens": int})
        path.write_bytes(whole[:place])
        with pytest.raises(UserError, match=MANIFEST):
            read_sealed(path, {"tokens": int})


def test_a_file_that_stands_alone_has_its_sha256_beside_it(tmp_path: Path):
    path = tmp_path / "a.tsv"
    path.write_text("ham\thi\n")
    write_sha256(path)
    verify_sha256(path)
    path.write_text("ham\tho\n")
    with pytest.raises(UserError, match=r"a.tsv has sha256 .*, which is not the one in .*a.tsv.sha256"):
        verify_sha256(path)
    path.with_name("a.tsv.sha256").unlink()
    with pytest.raises(UserError, match=r"a.tsv.sha256 is missing"):
        verify_sha256(path)
