"""Brings one file here: from the mirror or the network, resumed, verified, and renamed into place last."""

import fcntl
import hashlib
import os
import re
import shutil
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import Any
from urllib.parse import unquote, urlsplit

import httpx
from tenacity import Retrying, retry_if_exception_type, stop_after_attempt, wait_exponential_jitter
from tqdm import tqdm

from scratchlm.artifacts import atomic_file, read_json, sha256_file, write_json
from scratchlm.errors import UserError
from scratchlm.params import resolve_path
from scratchlm.workspace import work_root

ATTEMPTS = 4
WAIT = wait_exponential_jitter(initial=1, max=30)
TIMEOUT_SECONDS = 30.0
TRANSIENT_STATUSES = {408, 425, 429}


class _RefusedError(Exception):
    """This URL does not give the file, and asking again does not help."""


class _BrokenOffError(_RefusedError):
    """The transfer broke off; another attempt may complete it."""


def fetch(urls: Sequence[str], sha256: str | None, target: Path) -> str:
    """Bring the first of `urls` that can be had to `target`, whole and verified; returns its sha256.

    A URL is http(s), looked up below $SCRATCHLM_MIRROR as HOST/PATH before the network is asked, or a local path.
    UserError if none gives the file, or if a local file has another sha256; `target` is then as it was.
    """
    for url in urls:
        if (local := _local_file(url)) is not None:
            found = _verify_local(local, sha256)
            with atomic_file(target) as partial:
                shutil.copyfile(local, partial)
            return found
    failures = []
    for url in urls:
        try:
            with _download(url, sha256) as download:
                found = sha256_file(download)
                with atomic_file(target) as partial:
                    shutil.move(download, partial)
                return found
        except _RefusedError as error:
            failures.append(f"{url} ({error})")
    raise UserError(
        f"cannot fetch {', nor '.join(failures)}. Without a network, set SCRATCHLM_MIRROR to a folder that holds the "
        "file as HOST/PATH, or use the embedded sample (`source: sample`), which needs none."
    )


def _local_file(url: str) -> Path | None:
    """The file of a local path or of a mirrored URL; None if the network has to be asked."""
    scheme, separator, _ = url.partition("://")
    if not separator:
        return resolve_path(url)
    if scheme.lower() not in {"http", "https"}:
        raise UserError(f"the URL {url} is none of http and https; give one of these, or a path.")
    mirror = os.environ.get("SCRATCHLM_MIRROR")
    if not mirror:
        return None
    folder = resolve_path(mirror)
    if not folder.is_dir():
        raise UserError(f"SCRATCHLM_MIRROR is {mirror!r}, but {folder} is no folder; correct or unset it.")
    parts = urlsplit(url)
    name = unquote(parts.path).lstrip("/") + (f"?{parts.query}" if parts.query else "")
    file = folder / parts.netloc.rpartition("@")[2] / name
    return file if file.is_file() and ".." not in file.relative_to(folder).parts else None


def _verify_local(path: Path, sha256: str | None) -> str:
    if not path.is_file():
        raise UserError(f"{path} is no file; correct the path in params.yaml.")
    found = sha256_file(path)
    if sha256 not in (None, found):
        raise UserError(f"{path} has sha256 {found}, not {sha256}; put the right file there, or correct the sha256.")
    return found


@contextmanager
def _download(url: str, sha256: str | None) -> Iterator[Path]:
    """Yield the whole, verified file of a URL in `.work/downloads/`, where a transfer that broke off goes on."""
    staged = work_root() / "downloads" / hashlib.sha256(url.encode()).hexdigest()
    staged.parent.mkdir(parents=True, exist_ok=True)
    with staged.with_suffix(".lock").open("a") as lock:
        fcntl.flock(lock, fcntl.LOCK_EX)
        transfer = _Transfer(url, staged, sha256)
        for attempt in Retrying(
            retry=retry_if_exception_type(_BrokenOffError), stop=stop_after_attempt(ATTEMPTS), wait=WAIT, reraise=True
        ):
            with attempt:
                transfer.run()
        yield staged
        transfer.discard()


class _Transfer:
    """The bytes of one URL received so far, and beside them what the server said of the whole file."""

    def __init__(self, url: str, path: Path, sha256: str | None) -> None:
        self.url, self.path, self.sha256 = url, path, sha256
        self.record_path = path.with_suffix(".json")

    def run(self) -> None:
        """Receive what is missing, and check the whole."""
        record = read_json(self.record_path) if self.path.exists() and self.record_path.exists() else {}
        # Bytes that neither a validator nor a sha256 ties to the rest may be those of another version.
        start = self.path.stat().st_size if record.get("validator") or (record and self.sha256) else 0
        if start == 0 or start != record["bytes"]:
            self._receive(start, record)
        if self.sha256 is not None and (found := sha256_file(self.path)) != self.sha256:
            self.discard()
            raise (_BrokenOffError if start else _RefusedError)(f"sha256 {found}, not {self.sha256}")

    def discard(self) -> None:
        """Forget what was received."""
        self.path.unlink(missing_ok=True)
        self.record_path.unlink(missing_ok=True)

    def _receive(self, start: int, record: dict[str, Any]) -> None:
        headers = {"Accept-Encoding": "identity"}
        if start:
            headers["Range"] = f"bytes={start}-"
            if record["validator"]:
                headers["If-Range"] = record["validator"]
        try:
            with (
                httpx.Client(timeout=TIMEOUT_SECONDS, follow_redirects=True) as client,
                client.stream("GET", self.url, headers=headers) as response,
            ):
                self._check_status(response, start)
                if response.status_code == 206:
                    total = self._check_range(response, start, record)
                else:
                    total = self._start_anew(response)
                self._append(response, total)
        except (httpx.UnsupportedProtocol, httpx.TooManyRedirects, httpx.InvalidURL) as error:
            raise _RefusedError(str(error)) from None
        except httpx.TransportError as error:
            raise _BrokenOffError(str(error) or type(error).__name__) from None

    def _check_status(self, response: httpx.Response, start: int) -> None:
        status = f"HTTP {response.status_code} {response.reason_phrase}".rstrip()
        if response.status_code == 416 and start:
            self.discard()
            raise _BrokenOffError(status)
        if response.status_code in TRANSIENT_STATUSES or response.status_code >= 500:
            raise _BrokenOffError(status)
        if response.status_code != 200 and not (response.status_code == 206 and start):
            raise _RefusedError(status)
        if (encoding := response.headers.get("Content-Encoding", "identity")) != "identity":
            raise _RefusedError(f"the answer is encoded as {encoding}, though identity was asked for")

    def _check_range(self, response: httpx.Response, start: int, record: dict[str, Any]) -> int | None:
        """The size of the whole file, if the answer continues at `start` the file that was begun."""
        content_range = response.headers.get("Content-Range", "")
        match = re.fullmatch(r"bytes (\d+)-(\d+)/(\d+|\*)", content_range)
        total = int(match[3]) if match and match[3] != "*" else record["bytes"]
        continues = match is not None and int(match[1]) == start and record["bytes"] in (None, total)
        if not continues or _validator(response) not in (None, record["validator"]):
            self.discard()
            raise _BrokenOffError(f"bytes from {start} were asked for, the answer has Content-Range {content_range!r}")
        return total

    def _start_anew(self, response: httpx.Response) -> int | None:
        length = response.headers.get("Content-Length")
        total = int(length) if length is not None and length.isdecimal() else None
        self.path.write_bytes(b"")  # before the record: old bytes never stand beside a new validator
        write_json(self.record_path, {"url": self.url, "validator": _validator(response), "bytes": total})
        return total

    def _append(self, response: httpx.Response, total: int | None) -> None:
        name = unquote(urlsplit(self.url).path).rpartition("/")[2]
        with (
            self.path.open("ab") as file,
            tqdm(desc=name, total=total, initial=file.tell(), unit="B", unit_scale=True, disable=None) as bar,
        ):
            for chunk in response.iter_raw():
                file.write(chunk)
                bar.update(len(chunk))
            size = file.tell()
        if total is not None and size > total:
            self.discard()
        if total is not None and size != total:
            raise _BrokenOffError(f"{size:,} of {total:,} bytes came")


def _validator(response: httpx.Response) -> str | None:
    """What ties a later part to this answer (RFC 9110, If-Range): a strong ETag, else the date of the last change."""
    etag = response.headers.get("ETag", "")
    return etag if etag.startswith('"') else response.headers.get("Last-Modified")
