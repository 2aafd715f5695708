"""TensorFlow's checkpoint format, the tensor bundle, read without TensorFlow: its index, and tensors piece by piece.

The index is a LevelDB table (github.com/google/leveldb/blob/main/doc/table_format.md) whose values are the messages of
tensorflow/core/protobuf/tensor_bundle.proto. A file that breaks the format raises ValueError.
"""

import struct
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import BinaryIO

import google_crc32c

PIECE_BYTES = 2**20
MAGIC = 0xDB4775248B80FB57
FOOTER_BYTES = 48
UNCOMPRESSED = 0
LITTLE_ENDIAN = 0
TYPES = {1: "float32", 2: "float64", 3: "int32", 9: "int64", 14: "bfloat16", 19: "float16"}  # of tensorflow.DType

Message = dict[int, list[int | bytes]]


@dataclass(frozen=True)
class Entry:
    """What the index says of a tensor: its type and shape, and where in the data file its bytes are."""

    dtype: str
    shape: tuple[int, ...]
    offset: int
    size: int
    crc32c: int


def read_index(path: Path) -> dict[str, Entry]:
    """The tensors of a bundle by name; only bundles with one data file can be read."""
    table = path.read_bytes()
    if len(table) < FOOTER_BYTES or struct.unpack("<Q", table[-8:])[0] != MAGIC:
        raise ValueError("it does not end as a table does")
    try:
        footer, start = table[-FOOTER_BYTES:], 0
        for _ in range(2):  # the handle of the meta index, which is not needed
            _, start = _varint(footer, start)
        blocks = [_block(table, handle) for _, handle in _pairs(_block(table, footer[start:]))]
        values = {key.decode(): _message(value) for block in blocks for key, value in _pairs(block)}
        header = values.pop("")
        if _number(header, 1) != 1 or _number(header, 2) != LITTLE_ENDIAN:
            raise ValueError("it has several data files, or big-endian numbers")
        return {name: _entry(message) for name, message in values.items()}
    except (LookupError, struct.error) as error:
        raise ValueError(f"it is damaged ({type(error).__name__})") from None


def read_pieces(file: BinaryIO, entry: Entry) -> Iterator[bytes]:
    """The bytes of a tensor in pieces of up to a megabyte; ValueError after the last if the checksum is not theirs."""
    file.seek(entry.offset)
    crc, left = 0, entry.size
    while left:
        piece = file.read(min(left, PIECE_BYTES))
        if not piece:
            raise ValueError("the file ends within it")
        crc, left = google_crc32c.extend(crc, piece), left - len(piece)
        yield piece
    if _mask(crc) != entry.crc32c:
        raise ValueError("its bytes do not have its checksum")


def _entry(message: Message) -> Entry:
    sizes = [_number(_message(dim), 1) for shape in message.get(2, []) for dim in _message(shape).get(2, [])]
    if 7 in message:
        raise ValueError("it has a tensor in slices")
    number = _number(message, 1)
    return Entry(
        dtype=TYPES.get(number, f"number {number}"),
        shape=tuple(sizes),
        offset=_number(message, 4),
        size=_number(message, 5),
        crc32c=_number(message, 6),
    )


def _block(table: bytes, handle: bytes) -> bytes:
    """The entries of a block, after its checksum was compared."""
    offset, at = _varint(handle, 0)
    size, _ = _varint(handle, at)
    content, compression = table[offset : offset + size + 1], table[offset + size]
    if _mask(google_crc32c.value(content)) != struct.unpack_from("<I", table, offset + size + 1)[0]:
        raise ValueError("a block does not have its checksum")
    if compression != UNCOMPRESSED:
        raise ValueError("it is compressed")
    restarts = struct.unpack_from("<I", content, size - 4)[0]
    return content[: size - 4 * (restarts + 1)]


def _pairs(block: bytes) -> Iterator[tuple[bytes, bytes]]:
    """Keys and values; a key begins with so many bytes of the one before it."""
    key, at = b"", 0
    while at < len(block):
        shared, at = _varint(block, at)
        unshared, at = _varint(block, at)
        size, at = _varint(block, at)
        key = key[:shared] + block[at : at + unshared]
        yield key, block[at + unshared : at + unshared + size]
        at += unshared + size


def _message(data: int | bytes) -> Message:
    """The fields of a protobuf message by their numbers."""
    if isinstance(data, int):
        raise ValueError("a field has another type")
    fields: Message = {}
    at = 0
    while at < len(data):
        tag, at = _varint(data, at)
        match tag & 7:
            case 0:
                value, at = _varint(data, at)
            case 2:
                size, at = _varint(data, at)
                value, at = data[at : at + size], at + size
            case 5:
                value, at = struct.unpack_from("<I", data, at)[0], at + 4
            case wire_type:
                raise ValueError(f"a field has wire type {wire_type}")
        fields.setdefault(tag >> 3, []).append(value)
    return fields


def _number(message: Message, field: int) -> int:
    """The last value of a field; 0 where it is absent, as proto3 has it."""
    value = message.get(field, [0])[-1]
    if isinstance(value, bytes):
        raise ValueError("a field has another type")
    return value


def _varint(data: bytes, at: int) -> tuple[int, int]:
    """A number in base 128, lowest digits first, and where it ends."""
    value = shift = 0
    while True:
        value |= (data[at] & 127) << shift
        at += 1
        if data[at - 1] < 128:
            return value, at
        shift += 7


def _mask(crc: int) -> int:
    """The form in which LevelDB stores a checksum, so that none is computed over others."""
    return ((crc >> 15 | crc << 17) + 0xA282EAD8) & 0xFFFFFFFF
