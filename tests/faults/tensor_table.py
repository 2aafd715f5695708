"""TensorFlow bundles made by hand, so that any number in an index can be wrong under a checksum that is right."""

import struct
from collections.abc import Mapping

import google_crc32c
import numpy as np

from scratchlm.models.tensor_bundle import FOOTER_BYTES, MAGIC


def write_varint(number: int) -> bytes:
    """A number in base 128, lowest digits first."""
    digits = bytearray()
    while number > 127:
        digits.append(number & 127 | 128)
        number >>= 7
    return bytes([*digits, number])


def masked_crc(content: bytes) -> int:
    """The checksum as LevelDB stores it."""
    crc = google_crc32c.value(content)
    return ((crc >> 15 | crc << 17) + 0xA282EAD8) & 0xFFFFFFFF


def bundle(arrays: Mapping[str, np.ndarray]) -> tuple[dict[bytes, bytes], bytes]:
    """The entries of the index of some float32 arrays, and the bytes of the data file."""
    entries, data = {b"": b"\x08\x01"}, b""  # one data file, little-endian
    for name in sorted(arrays, key=str.encode):
        content = arrays[name].astype("<f4").tobytes()
        sizes = b"".join(_bytes_field(2, b"\x08" + write_varint(size)) for size in arrays[name].shape)
        entry = b"\x08\x01" + _bytes_field(2, sizes)
        entry += (b"\x20" + write_varint(len(data)) if data else b"") + b"\x28" + write_varint(len(content))
        entries[name.encode()] = entry + b"\x35" + struct.pack("<I", masked_crc(content))
        data += content
    return entries, data


def table(entries: Mapping[bytes, bytes]) -> bytes:
    """A LevelDB table of one block."""
    content = _block(entries)
    handle = write_varint(0) + write_varint(len(content) - 5)
    index = _block({b"\xff": handle})
    end = write_varint(0) * 2 + write_varint(len(content)) + write_varint(len(index) - 5)
    return content + index + end.ljust(FOOTER_BYTES - 8, b"\0") + struct.pack("<Q", MAGIC)


def seal(content: bytes) -> bytes:
    """The bytes of a block, uncompressed, with its checksum."""
    return content + b"\0" + struct.pack("<I", masked_crc(content + b"\0"))


def _block(entries: Mapping[bytes, bytes]) -> bytes:
    pairs = [
        write_varint(0) + write_varint(len(key)) + write_varint(len(value)) + key + value
        for key, value in entries.items()
    ]
    return seal(b"".join(pairs) + struct.pack("<II", 0, 1))


def _bytes_field(number: int, content: bytes) -> bytes:
    return bytes([number << 3 | 2]) + write_varint(len(content)) + content
