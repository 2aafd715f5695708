"""Zip files: some that unpack to too much, to another place or under a password."""

import io
import random
import zipfile
from pathlib import Path

from scratchlm.datasets.sms_spam_reading import extract_sms_spam
from tests.faults.hostile_formats.format import Format, Make, Read, named_file
from tests.faults.mutations import mutate


def _zip(name: str, content: bytes, method: int = zipfile.ZIP_DEFLATED) -> bytes:
    archive = io.BytesIO()
    with zipfile.ZipFile(archive, "w", method) as members:
        members.writestr(name, content)
    return archive.getvalue()


def _prepare_zip(folder: Path) -> Make:
    member = "SMSSpamCollection"
    text = b"ham\tsee you\nspam\tWIN\n" * 40
    good = [_zip(member, text), _zip(member, text, zipfile.ZIP_STORED), _zip(member, text, zipfile.ZIP_LZMA)]
    bomb = _zip(member, bytes(2**28))
    special = [bomb, _zip("../../canary", text), _zip("/tmp/canary", text), _zip("../SMSSpamCollection", text)]
    special += [good[0].replace(b"\x14\0\0\0", b"\x14\0\x01\0"), good[0] + bomb]

    def make(place: Path, number: int, rng: random.Random) -> Read:
        content = special[number] if number < len(special) else mutate(rng.choice(good), rng)
        if number % 2:  # only what begins as an archive is read as one
            content = b"PK\x03\x04" + content[4:]
        return named_file(content, place / "download", lambda path: extract_sms_spam(path, place / "sms_spam.tsv"))

    return make


ZIP = Format("zip", _prepare_zip, frozenset({"sms_spam.tsv"}))
