"""What becomes of a file on its way: bits, lengths, ends and pieces of it change, by a random generator."""

import json
import random
import struct
from collections.abc import Callable, Sequence

HUGE = (0xFF, 0xFFFF, 0x7FFFFFFF, 0xFFFFFFFF, 0x7FFFFFFFFFFFFFFF, 0xFFFFFFFFFFFFFFFF)
TEXTS = (b"\0", b"\xff\xfe", b"\xed\xa0\x80", b"\n", b'"', b"[" * 3_000, b"{" * 3_000, b"9" * 5_000, b"1e999", b"NaN")
TEXTS += (b"-1", b"null", b'"\\ud800"', b"../../canary", b"!!python/object/apply:os.system [touch canary]\n", b"\t")

Mutation = Callable[[bytes, random.Random], bytes]


def mutate(content: bytes, rng: random.Random, others: Sequence[Mutation] = ()) -> bytes:
    """One to four changes of a file; `others` are those that only its format knows."""
    for _ in range(rng.randint(1, 4)):
        content = rng.choice([*MUTATIONS, *others])(content, rng)
    return content


def flip_bit(content: bytes, rng: random.Random) -> bytes:
    """One bit of it the other way round."""
    changed = bytearray(content or b"\0")
    changed[rng.randrange(len(changed))] ^= 1 << rng.randrange(8)
    return bytes(changed)


def truncate(content: bytes, rng: random.Random) -> bytes:
    """Its beginning."""
    return content[: rng.randrange(len(content) + 1)]


def set_length(content: bytes, rng: random.Random) -> bytes:
    """A huge or an empty number over some bytes, in either order."""
    form = rng.choice(["<I", "<Q", ">I", ">Q", "<H", "<B"])
    number = struct.pack(form, rng.choice([0, *HUGE]) & (256 ** struct.calcsize(form) - 1))
    start = rng.randrange(len(content) + 1)
    return content[:start] + number + content[start + len(number) :]


def insert_text(content: bytes, rng: random.Random) -> bytes:
    """What parsers of texts do not like, somewhere in it."""
    start = rng.randrange(len(content) + 1)
    return content[:start] + rng.choice(TEXTS) + content[start:]


def replace_number(content: bytes, rng: random.Random) -> bytes:
    """A digit becomes a huge, a negative, or no number."""
    digits = [place for place, byte in enumerate(content[:100_000]) if 0x30 <= byte <= 0x39]
    if not digits:
        return flip_bit(content, rng)
    place = rng.choice(digits)
    return content[:place] + rng.choice([b"99999999999999999999", b"-1", b"1e400", b"0", b"x"]) + content[place + 1 :]


def repeat_piece(content: bytes, rng: random.Random) -> bytes:
    """A piece of it twice: keys and members that stand there already."""
    start = rng.randrange(len(content) + 1)
    end = min(len(content), start + rng.choice([1, 20, 300]))
    return content[:end] + content[start:end] + content[end:]


def remove_piece(content: bytes, rng: random.Random) -> bytes:
    """A piece of it is not there."""
    start = rng.randrange(len(content) + 1)
    return content[:start] + content[start + rng.choice([1, 4, 30]) :]


def random_bytes(content: bytes, rng: random.Random) -> bytes:
    """Noise in the place of a piece."""
    start = rng.randrange(len(content) + 1)
    return content[:start] + rng.randbytes(rng.choice([1, 8, 100])) + content[start + 8 :]


def swap_values(content: bytes, rng: random.Random) -> bytes:
    """Give an entry of a JSON object another value, or another key."""
    try:
        value = json.loads(content)
    except (ValueError, RecursionError):
        return content
    if isinstance(value, dict) and value:
        key = rng.choice(list(value))
        value[key] = rng.choice([0, -1, 2**40, 1.5, "0", None, [], {}, True, value[rng.choice(list(value))]])
    return json.dumps(value).encode()


MUTATIONS: tuple[Mutation, ...] = (
    flip_bit,
    truncate,
    set_length,
    insert_text,
    replace_number,
    repeat_piece,
    remove_piece,
    random_bytes,
)
