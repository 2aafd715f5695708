"""The files of a corpus, fetched source by source into one folder with a manifest."""

from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any
from urllib.parse import unquote, urlsplit

from pydantic import Field

from scratchlm.artifacts import atomic_directory, link_file
from scratchlm.checksums import MANIFEST, has_sha256, read_sealed, sha256_json, write_sealed
from scratchlm.datasets.documents import FILE_FIELDS, find_reader
from scratchlm.datasets.download import Download, fetch_all
from scratchlm.datasets.package_docs import write_package_docs
from scratchlm.datasets.sources import (
    OPENWEBTEXT_FILES,
    PACKAGE_DOCS,
    TEXTS,
    FileSource,
    Package,
    Source,
    find_source,
    openwebtext_source,
)
from scratchlm.errors import UserError
from scratchlm.params import Schema
from scratchlm.workspace import work_root


class CorpusConfig(Schema):
    """Which sources a corpus consists of: `package_docs`, `openwebtext`, texts by name, one's own files."""

    sources: list[FileSource | str] = Field(min_length=1)
    openwebtext_revision: str = Field(pattern="^[0-9a-f]{40}$")
    openwebtext_max_files: int = Field(ge=1, le=OPENWEBTEXT_FILES)


def fetch_corpus(config: CorpusConfig, directory: Path) -> dict[str, Any]:
    """Bring every file of the sources into `directory` and write their manifest there, last; returns the manifest.

    A killed run keeps the files that it had: they wait in `.work/corpus/`.
    """
    files = _list_sources(config)
    _bring({name: source for name, source in files.items() if not _is_whole(_waiting_file(name, source))})
    waiting = {name: _waiting_file(name, source) for name, source in files.items()}
    manifest = {"files": [read_sealed(_record(path), FILE_FIELDS) for path in waiting.values()]}
    with atomic_directory(directory) as partial:
        for name, path in waiting.items():
            link_file(path, partial / name)
        write_sealed(partial / MANIFEST, manifest)
    return manifest


def _list_sources(config: CorpusConfig) -> dict[str, Source | Package]:
    """Every file of the corpus by the name that it gets, in the order of the names."""
    files: dict[str, Source | Package] = {}
    for choice in config.sources:
        for name, source in _list_files(choice, config):
            if name in files:
                raise UserError(f"fetch_corpus.sources gives two files the name {name}; drop or rename one.")
            files[name] = source
    return dict(sorted(files.items()))


def _list_files(choice: FileSource | str, config: CorpusConfig) -> Iterator[tuple[str, Source | Package]]:
    if choice == "package_docs":
        for package in PACKAGE_DOCS:
            yield f"package_docs-{package.name}.jsonl", package
    elif choice == "openwebtext":
        for index in range(config.openwebtext_max_files):
            source = openwebtext_source(config.openwebtext_revision, index)
            yield f"openwebtext-{source.name}", source
    elif isinstance(choice, FileSource):
        name = Path(unquote(urlsplit(choice.url).path) if "://" in choice.url else choice.url).name
        if name == MANIFEST or not name.isprintable():
            raise UserError(
                f"fetch_corpus.sources has {choice.url!r}, whose name {name!r} no file may have; rename it."
            )
        find_reader(name)
        yield name, find_source(TEXTS, choice)
    elif choice in TEXTS:
        yield f"{choice}.txt", TEXTS[choice]
    else:
        names = ", ".join(["package_docs", "openwebtext", *TEXTS])
        raise UserError(f"fetch_corpus.sources has {choice!r}, which is none of {names}, nor {{url:, sha256:}}.")


def _bring(files: Mapping[str, Source | Package]) -> None:
    """Put files into `.work/corpus/`, each with its manifest entry beside it, written last."""

    def keep(target: Path, sha256: str) -> None:
        name, source = arriving[target]
        size = target.stat().st_size
        entry = {"name": name, "url": source.urls[0], "bytes": size, "sha256": sha256, "licence": source.licence}
        write_sealed(_record(target), entry)

    arriving = {_waiting_file(name, source): (name, source) for name, source in files.items()}
    downloads = []
    for target, (_, source) in arriving.items():
        if isinstance(source, Package):
            keep(target, write_package_docs(source, target))
        else:
            downloads.append(Download(source.urls, source.sha256, target))
    fetch_all(downloads, offline="fetch_corpus.sources: [package_docs]", arrived=keep)


def _is_whole(target: Path) -> bool:
    """Whether an earlier run left a file in `.work/corpus/`, and nothing has changed it since."""
    try:
        return has_sha256(target, read_sealed(_record(target), FILE_FIELDS)["sha256"])
    except UserError:
        return False


def _record(target: Path) -> Path:
    return target.with_name(f"{target.name}.json")


def _waiting_file(name: str, source: Source | Package) -> Path:
    return work_root() / "corpus" / f"{sha256_json([source.urls, source.sha256])[:16]}-{name}"
