"""Brings files here: from the mirror, else the network, several at once, verified, each renamed into place last."""

import asyncio
import fcntl
import hashlib
import os
import shutil
import sys
from collections.abc import AsyncIterator, Callable, Iterator, Sequence
from contextlib import asynccontextmanager, contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import TextIO
from urllib.parse import SplitResult, unquote, urlsplit

import httpx
from tqdm import tqdm

from scratchlm.artifacts import atomic_file
from scratchlm.checksums import has_sha256, sha256_file
from scratchlm.datasets.transfer import RefusedError, forget, transfer
from scratchlm.disk import require_space
from scratchlm.errors import UserError
from scratchlm.params import resolve_path
from scratchlm.workspace import work_root

MIRROR = "SCRATCHLM_MIRROR"
CONNECTIONS = 4  # at once
POLL_SECONDS = 0.2
PULSE_SECONDS = 0.5


@dataclass(frozen=True)
class Download:
    """A file to bring: its URL or local path (and backups of it), its sha256 if that is known, where it goes."""

    urls: Sequence[str]
    sha256: str | None
    target: Path


def fetch(urls: Sequence[str], sha256: str | None, target: Path, *, offline: str) -> str:
    """Bring one file to `target` as `fetch_all` does; returns its sha256."""
    return fetch_all([Download(urls, sha256, target)], offline=offline)[target]


def fetch_all(
    downloads: Sequence[Download], *, offline: str, arrived: Callable[[Path, str], None] | None = None
) -> dict[Path, str]:
    """Bring every file to its target, whole and verified, and call `arrived` then; returns the sha256 by target.

    A URL is http(s) and looked up as HOST/PATH below $SCRATCHLM_MIRROR, a folder or itself a URL, before its host is
    asked. `offline` is the choice that needs no network, for the message. UserError for the first file that cannot be
    had from any of its URLs, or that a folder holds with another sha256: its target is as it was, no other file is
    begun, and what has come of those under way waits in `.work/downloads/`.
    """
    hashes = {}
    with tqdm(desc="files", total=len(downloads), unit="file", disable=None if len(downloads) > 1 else True) as bar:

        def record(target: Path, sha256: str) -> None:
            if arrived:
                arrived(target, sha256)
            hashes[target] = sha256
            bar.update()

        absent = []
        for download in downloads:
            if (local := _find_local(download)) is None:
                absent.append(download)
            else:
                record(download.target, _copy(local, download))
        if absent:
            asyncio.run(_download_all(absent, offline, record))
    return hashes


def _find_local(download: Download) -> Path | None:
    """The first of its files that stands here, by a path or in the mirror; None if the network has to be asked."""
    return next((path for url in download.urls if (path := _local_file(url)) is not None), None)


def _local_file(url: str) -> Path | None:
    scheme, separator, _ = url.partition("://")
    if not separator:
        return resolve_path(url)
    if scheme.lower() not in {"http", "https"}:
        raise UserError(f"the URL {url} is none of http and https; give one of these, or a path.")
    mirror = os.environ.get(MIRROR)
    if not mirror or _is_url(mirror):
        return None
    folder = resolve_path(mirror)
    if not folder.is_dir():
        raise UserError(f"{MIRROR} is {mirror!r}, but {folder} is no folder; correct or unset it.")
    parts = urlsplit(url)
    name = unquote(parts.path).lstrip("/") + (f"?{parts.query}" if parts.query else "")
    file = folder / _host(parts) / name
    return file if file.is_file() and ".." not in file.relative_to(folder).parts else None


def _copy(path: Path, download: Download) -> str:
    if not path.is_file():
        raise UserError(f"{path} is no file; correct the path in params.yaml.")
    with _lock_file(str(download.target.absolute())) as lock:
        fcntl.flock(lock, fcntl.LOCK_EX)
        with atomic_file(download.target) as partial:
            require_space(partial.parent, path.stat().st_size, str(path))
            shutil.copyfile(path, partial)
            found = sha256_file(partial)
            if download.sha256 not in (None, found):
                raise UserError(
                    f"{path} has sha256 {found}, not {download.sha256}; put the right file there, or correct the "
                    "sha256."
                )
    return found


async def _download_all(downloads: Sequence[Download], offline: str, arrived: Callable[[Path, str], None]) -> None:
    connections = asyncio.Semaphore(CONNECTIONS)

    async def bring(download: Download) -> None:
        async with connections:
            arrived(download.target, await _download(client, download, offline))

    pulse = asyncio.create_task(_beat())
    try:
        # No timeout of its own: a transfer limits connecting, waiting and dripping with one rule.
        async with httpx.AsyncClient(timeout=None, follow_redirects=True) as client, asyncio.TaskGroup() as group:
            for download in downloads:
                group.create_task(bring(download))
    except BaseExceptionGroup as failures:
        raise failures.exceptions[0] from None
    finally:
        pulse.cancel()


async def _beat() -> None:
    """Wake the loop now and then: a signal that comes just before it waits is heard when that ends, not sooner."""
    while True:
        await asyncio.sleep(PULSE_SECONDS)


async def _download(client: httpx.AsyncClient, download: Download, offline: str) -> str:
    failures = []
    for url in [*_mirrored(download.urls), *download.urls]:
        async with _staged(url) as staged:
            if download.sha256 and await asyncio.to_thread(has_sha256, download.target, download.sha256):
                return download.sha256  # another process was first
            try:
                found = await transfer(client, url, staged, download.sha256)
            except RefusedError as error:
                failures.append(f"{url} ({error})")
                continue
            await asyncio.to_thread(_publish, staged, download.target)
            return found
    raise UserError(
        f"cannot fetch {', nor '.join(failures)}. Without a network, set {MIRROR} to a folder that holds the file as "
        f"HOST/PATH, or use `{offline}`, which needs none."
    )


def _mirrored(urls: Sequence[str]) -> list[str]:
    """The URLs below a mirror that is itself a URL."""
    mirror = os.environ.get(MIRROR, "")
    parts = [urlsplit(url) for url in urls if _is_url(mirror)]
    return [mirror.rstrip("/") + part._replace(scheme="", netloc=_host(part)).geturl()[1:] for part in parts]


def _host(parts: SplitResult) -> str:
    """The host and its port, without a user's name and password."""
    return parts.netloc.rpartition("@")[2]


def _is_url(text: str) -> bool:
    return text.lower().startswith(("http://", "https://"))


def _publish(staged: Path, target: Path) -> None:
    with atomic_file(target) as partial:
        shutil.move(staged, partial)
    forget(staged)


@asynccontextmanager
async def _staged(url: str) -> AsyncIterator[Path]:
    """Yield where the parts of a URL's file are gathered, once no other process gathers them."""
    with _lock_file(url) as lock:
        if not _try_lock(lock):
            tqdm.write(f"{url} is being fetched already; waiting for that to end", file=sys.stderr)
        while not _try_lock(lock):
            await asyncio.sleep(POLL_SECONDS)
        yield Path(lock.name).with_suffix("")


@contextmanager
def _lock_file(key: str) -> Iterator[TextIO]:
    folder = work_root() / "downloads"
    folder.mkdir(parents=True, exist_ok=True)
    with (folder / f"{hashlib.sha256(key.encode()).hexdigest()}.lock").open("a") as lock:
        yield lock


def _try_lock(file: TextIO) -> bool:
    try:
        fcntl.flock(file, fcntl.LOCK_EX | fcntl.LOCK_NB)
    except BlockingIOError:
        return False
    return True
