"""One's own files in params.yaml: the entries of fetch_corpus.sources, with the sha256 of their bytes."""

import io
from collections.abc import Sequence
from pathlib import Path

from ruamel.yaml.comments import CommentedMap, CommentedSeq

from scratchlm.artifacts import write_text
from scratchlm.checksums import sha256_file
from scratchlm.datasets.corpus import CorpusConfig
from scratchlm.datasets.documents import find_reader
from scratchlm.errors import UserError
from scratchlm.params import project_root, read_params
from scratchlm.recipes import params_yaml


def add_corpus_files(paths: Sequence[Path]) -> list[dict[str, str]]:
    """Put files into fetch_corpus.sources of params.yaml, in place of former entries of theirs; returns the entries.

    A file below the project root is named relative to it. UserError names a file that is none or of unknown format.
    """
    file = project_root() / "params.yaml"
    read_params("fetch_corpus", CorpusConfig, file)
    entries = [_entry(path) for path in paths]
    yaml = params_yaml()
    params = yaml.load(file)
    urls = {entry["url"] for entry in entries}
    kept = [source for source in params["fetch_corpus"]["sources"] if _url(source) not in urls]
    params["fetch_corpus"]["sources"] = CommentedSeq([*kept, *map(_on_one_line, entries)])
    with io.StringIO() as text:
        yaml.dump(params, text)
        write_text(file, text.getvalue())
    return entries


def _entry(path: Path) -> dict[str, str]:
    find_reader(path.name)
    if not path.is_file():
        raise UserError(f"{path} is no file; name the files of a corpus one by one, such as my/*.jsonl.")
    resolved, root = path.resolve(), project_root().resolve()
    url = resolved.relative_to(root) if resolved.is_relative_to(root) else resolved
    return {"url": str(url), "sha256": sha256_file(path)}


def _url(source: str | dict[str, str]) -> str | None:
    return None if isinstance(source, str) else source["url"]


def _on_one_line(entry: dict[str, str]) -> CommentedMap:
    mapping = CommentedMap(entry)
    mapping.fa.set_flow_style()
    return mapping
