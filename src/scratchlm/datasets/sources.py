"""What can be downloaded: plain tables of name, URLs (the later ones are backups), sha256 and licence."""

from collections.abc import Mapping
from dataclasses import dataclass
from urllib.parse import urlsplit

from pydantic import Field, field_validator

from scratchlm.errors import UserError
from scratchlm.params import Schema


@dataclass(frozen=True)
class Source:
    """One file: where it is, what its bytes hash to (None: no trusted hash is published) and whose it is."""

    name: str
    urls: tuple[str, ...]
    sha256: str | None
    licence: str


class FileSource(Schema):
    """One's own file: an http(s) URL or a path (relative: to the project root), and the sha256 of its bytes."""

    url: str = Field(min_length=1)
    sha256: str = Field(pattern="^[0-9a-f]{64}$")

    @field_validator("url")
    @classmethod
    def _check_syntax(cls, url: str) -> str:
        try:
            urlsplit(url)
        except ValueError as error:
            raise ValueError(f"should be a URL or a path: {error}") from None
        return url


def find_source(table: Mapping[str, Source], choice: FileSource | str) -> Source:
    """The source that a parameter names in a table, or one's own file; UserError lists the names there are."""
    if isinstance(choice, FileSource):
        return Source("file", (choice.url,), choice.sha256, "unknown")
    if choice not in table:
        raise UserError(f"source {choice!r} is none of {', '.join(table)}; name one, or give {{url:, sha256:}}.")
    return table[choice]


def _table(*sources: Source) -> dict[str, Source]:
    return {source.name: source for source in sources}


# Where a branch can move on, the backup URL names the commit whose bytes have the sha256.
_BOOK = "https://raw.githubusercontent.com/rasbt/LLMs-from-scratch"
_BOOK_COMMIT = "28c65cdfbc3338e2e040016eea4b7fdf556e4d57"
_CHAR_RNN = "https://raw.githubusercontent.com/karpathy/char-rnn"
_CHAR_RNN_COMMIT = "6f9487a6fe5b420b7ca9afb0d7c078e37c1d1b4e"


SMS_SPAM = _table(
    Source(
        name="sample",
        urls=("data/sample/sms_spam.tsv",),
        sha256="0950c9fe06132bf36203101cf003e9fe12f865c41a8f734c899bb8f6c66b4817",
        licence="Apache-2.0 (written for this project)",
    ),
    Source(
        name="uci",
        urls=("https://archive.ics.uci.edu/static/public/228/sms+spam+collection.zip",),
        sha256="1587ea43e58e82b14ff1f5425c88e17f8496bfcdb67a583dbff9eefaf9963ce3",
        licence="CC BY 4.0 (UCI 228, doi 10.24432/C5CC84)",
    ),
)

INSTRUCTIONS = _table(
    Source(
        name="sample",
        urls=("data/sample/instructions.json",),
        sha256="5d596807017cff7954ac253e9f266f6151803b3d708554b31044209de18c83cc",
        licence="Apache-2.0 (written for this project)",
    ),
    Source(
        name="book",
        urls=(
            f"{_BOOK}/main/ch07/01_main-chapter-code/instruction-data.json",
            f"{_BOOK}/{_BOOK_COMMIT}/ch07/01_main-chapter-code/instruction-data.json",
        ),
        sha256="7e09a9af353722ca15c18bc580f093f9c39d3178335a75177319cb1e1d163944",
        licence="Apache-2.0 (rasbt/LLMs-from-scratch)",
    ),
)

PREFERENCES = _table(
    Source(
        name="sample",
        urls=("data/sample/preferences.json",),
        sha256="eb642a2b8bd44d9a6c8f038d1f2ecb8e4267b957fcbb17f3f45865c35a620284",
        licence="Apache-2.0 (written for this project)",
    ),
    Source(
        name="book",
        urls=(
            f"{_BOOK}/main/ch07/04_preference-tuning-with-dpo/instruction-data-with-preference.json",
            f"{_BOOK}/{_BOOK_COMMIT}/ch07/04_preference-tuning-with-dpo/instruction-data-with-preference.json",
        ),
        sha256="305315abf14f65fa42c01a0877572f832606571c2a7d49f152ac1d758b16756e",
        licence="Apache-2.0 (rasbt/LLMs-from-scratch)",
    ),
)

TEXTS = _table(
    Source(
        name="tinyshakespeare",
        urls=(
            f"{_CHAR_RNN}/master/data/tinyshakespeare/input.txt",
            f"{_CHAR_RNN}/{_CHAR_RNN_COMMIT}/data/tinyshakespeare/input.txt",
        ),
        sha256="86c4e6aa9db7c042ec79f339dcb96d42b0075e16b8fc2e86bf0ca57e2dc565ed",
        licence="public domain",
    ),
    # Project Gutenberg rebuilds its text files now and then; these are the bytes dated October 10, 2023.
    Source(
        name="sherlock_holmes",
        urls=("https://www.gutenberg.org/cache/epub/1661/pg1661.txt",),
        sha256="a3218ac048b5b939f4972527a5486e3631a3619e7e1adfb8412fcbdd3d08c034",
        licence="public domain in the USA; Project Gutenberg licence inside",
    ),
    Source(
        name="the_verdict",
        urls=(
            f"{_BOOK}/main/ch02/01_main-chapter-code/the-verdict.txt",
            f"{_BOOK}/{_BOOK_COMMIT}/ch02/01_main-chapter-code/the-verdict.txt",
        ),
        sha256="b41e41a68f0398a3154ae69e2e4c0e2694e17fe0d66730536837f1b01935b31f",
        licence="public domain (Edith Wharton, 1908)",
    ),
)

OPENWEBTEXT_FILES = 80  # of some 300 MB each


def openwebtext_source(revision: str, index: int) -> Source:
    """One Parquet file of Skylion007/openwebtext at a git revision of the Hugging Face hub."""
    name = f"train-{index:05d}-of-{OPENWEBTEXT_FILES:05d}.parquet"
    url = f"https://huggingface.co/datasets/Skylion007/openwebtext/resolve/{revision}/plain_text/{name}"
    return Source(name, (url,), None, "CC0 packaging, the texts are their authors'")


@dataclass(frozen=True)
class Package:
    """An installed distribution, and the sha256 of the JSONL file of its docstrings."""

    name: str
    version: str
    sha256: str
    licence: str

    @property
    def urls(self) -> tuple[str, ...]:
        """Where the package comes from, for the record."""
        return (f"https://pypi.org/project/{self.name}/{self.version}/",)


PACKAGE_DOCS = (
    Package(
        name="numpy",
        version="2.4.6",
        sha256="48a780ee79b32814ab1e54b191c1c339d3ab5bada588270e11ded96ba1f4f5ad",
        licence="BSD-3-Clause",
    ),
    Package(
        name="pandas",
        version="3.1.1",
        sha256="b1b266ba10dc991b8cd6bd52c242340a26d10fc50db2bb6b53ff352848e02025",
        licence="BSD-3-Clause",
    ),
    Package(
        name="matplotlib",
        version="3.11.2",
        sha256="8d743739dfea1277ae3900ab387e891cc0cf29c887ddc97a535787b9d22cbe7f",
        licence="Matplotlib licence (PSF-based)",
    ),
    Package(
        name="networkx",
        version="3.6.1",
        sha256="aaaaa5807f40c8188369db73af005139d5c4379eb2f222baeda5b80f33729771",
        licence="BSD-3-Clause",
    ),
    Package(
        name="sympy",
        version="1.14.0",
        sha256="bdadeab214dea7a6d514e2acfb6db36015a779d5be8398cb578c2201b8e2f408",
        licence="BSD-3-Clause",
    ),
)

_GPT2_LICENCE = "modified MIT (openai/gpt-2)"
_GPT2_ENCODINGS = "https://openaipublic.blob.core.windows.net/gpt-2/encodings/main"

GPT2_ENCODINGS = _table(
    Source(
        name="encoder.json",
        urls=(f"{_GPT2_ENCODINGS}/encoder.json",),
        sha256="196139668be63f3b5d6574427317ae82f612a97c5d1cdaf36ed2256dbf636783",
        licence=_GPT2_LICENCE,
    ),
    Source(
        name="vocab.bpe",
        urls=(f"{_GPT2_ENCODINGS}/vocab.bpe",),
        sha256="1ce1664773c50f3e0cc8842619a93edc4624525b728b188a9e0be33b7726adc5",
        licence=_GPT2_LICENCE,
    ),
)

GPT2_SIZES = ("124M", "355M", "774M", "1558M")
GPT2_FILES = (
    "checkpoint",
    "encoder.json",
    "hparams.json",
    "model.ckpt.data-00000-of-00001",
    "model.ckpt.index",
    "model.ckpt.meta",
    "vocab.bpe",
)
_GPT2_HOSTS = (
    "https://openaipublic.blob.core.windows.net/gpt-2/models",
    "https://f001.backblazeb2.com/file/LLMs-from-scratch/gpt2",
)
_GPT2_SHA256 = {
    "124M/checkpoint": "dd1b025d2e155283f5e300ce95bf6d5b6bc0f7fe010db73daa6975eb896ab9cb",
    "124M/encoder.json": "196139668be63f3b5d6574427317ae82f612a97c5d1cdaf36ed2256dbf636783",
    "124M/hparams.json": "d9d56e4121c427164e0c55c6f03c08e1daf9002b9b672825112d19097b680318",
    "124M/model.ckpt.index": "71916f763f9746f9b2a06b12d91996cf1084ae008d0424543d39391c5f2dc687",
    "124M/model.ckpt.meta": "4668c448fa11531fd6700460487f73e82d3272960cea942252f8744bf225c77b",
    "124M/vocab.bpe": "1ce1664773c50f3e0cc8842619a93edc4624525b728b188a9e0be33b7726adc5",
}

# GPT2_CHECKPOINTS[size][file name]
GPT2_CHECKPOINTS = {
    size: _table(
        *(
            Source(
                name=file,
                urls=tuple(f"{host}/{size}/{file}" for host in _GPT2_HOSTS),
                sha256=_GPT2_SHA256.get(f"{size}/{file}"),
                licence=_GPT2_LICENCE,
            )
            for file in GPT2_FILES
        )
    )
    for size in GPT2_SIZES
}
