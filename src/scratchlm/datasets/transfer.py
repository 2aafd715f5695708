"""One file over HTTP into a folder of parts: resumed by Range, held to a minimum speed, checked, tried again."""

import asyncio
import re
from pathlib import Path
from typing import Any
from urllib.parse import unquote, urlsplit

import httpx
from tenacity import AsyncRetrying, RetryCallState, retry_if_exception_type, wait_exponential_jitter
from tqdm import tqdm

from scratchlm.artifacts import read_json, write_json
from scratchlm.checksums import sha256_file
from scratchlm.disk import full_disk_named, require_space
from scratchlm.retry_after import parse_retry_after

ATTEMPTS = 4  # in a row that bring less than PROGRESS_BYTES
PROGRESS_BYTES = 1_000_000
PATIENCE_SECONDS = 30.0  # for the connection and the first PATIENCE_BYTES, then for each so many more
PATIENCE_BYTES = 32_768
LONGEST_WAIT_SECONDS = 300
TRANSIENT_STATUSES = {408, 425, 429}
WAIT = wait_exponential_jitter(initial=1, max=30)


class RefusedError(Exception):
    """This URL does not give the file, and asking again does not help."""


class _BrokenOffError(RefusedError):
    """The transfer broke off; another attempt may complete it, after the seconds that the server asks for."""

    def __init__(self, message: str, wait_seconds: float = 0.0) -> None:
        super().__init__(message)
        self.wait_seconds = wait_seconds


async def transfer(client: httpx.AsyncClient, url: str, path: Path, sha256: str | None) -> str:
    """Bring the file of a URL to `path`, from where an earlier transfer broke off; returns its sha256.

    RefusedError says in a few words why it cannot be had; what has come of it then waits for the next call.
    """
    part = _Part(url, path, sha256)
    async for attempt in AsyncRetrying(
        retry=retry_if_exception_type(_BrokenOffError),
        stop=lambda _: part.futile_attempts >= ATTEMPTS,
        wait=_seconds_to_wait,
        reraise=True,
    ):
        with attempt:
            await part.complete(client)
    return part.found


def forget(path: Path) -> None:
    """Remove what a transfer to `path` left there."""
    path.unlink(missing_ok=True)
    _record_path(path).unlink(missing_ok=True)


class _Part:
    """The bytes of one URL that have come so far, and beside them what the server said of the whole file."""

    def __init__(self, url: str, path: Path, sha256: str | None) -> None:
        self.url, self.path, self.sha256 = url, path, sha256
        self.futile_attempts = 0
        self.found = ""

    async def complete(self, client: httpx.AsyncClient) -> None:
        """Receive what is missing, and check the whole."""
        record = read_json(_record_path(self.path)) if self.path.exists() and _record_path(self.path).exists() else {}
        # Bytes that neither a validator nor a sha256 ties to the rest may be those of another version.
        start = self._size() if record.get("validator") or (record and self.sha256) else 0
        try:
            if start == 0 or start != record["bytes"]:
                await self._receive(client, start, record)
            await self._verify(resumed=start > 0)
        except _BrokenOffError:
            progressed = self._size() - start >= PROGRESS_BYTES
            self.futile_attempts = 0 if progressed else self.futile_attempts + 1
            raise

    async def _receive(self, client: httpx.AsyncClient, start: int, record: dict[str, Any]) -> None:
        headers = {"Accept-Encoding": "identity"}
        if start:
            headers["Range"] = f"bytes={start}-"
            if record["validator"]:
                headers["If-Range"] = record["validator"]
        try:
            async with (
                asyncio.timeout(PATIENCE_SECONDS) as patience,
                client.stream("GET", self.url, headers=headers) as response,
            ):
                self._check_answer(response, start)
                if response.status_code == 206:
                    total = self._check_range(response, start, record)
                else:
                    total = self._start_anew(response)
                require_space(self.path.parent, (total or 0) - self._size(), self.url)
                await self._append(response, total, patience)
        except TimeoutError:
            message = f"fewer than {PATIENCE_BYTES:,} bytes came in {PATIENCE_SECONDS:g} s"
            raise _BrokenOffError(message) from None
        except (httpx.UnsupportedProtocol, httpx.TooManyRedirects, httpx.InvalidURL) as error:
            raise RefusedError(str(error)) from None
        except httpx.TransportError as error:
            raise _BrokenOffError(str(error) or type(error).__name__) from None

    def _check_answer(self, response: httpx.Response, start: int) -> None:
        hops = [str(hop.url) for hop in [*response.history, response]]
        if hops[0].startswith("https:") and (plain := [hop for hop in hops if not hop.startswith("https:")]):
            raise RefusedError(f"redirected from https to {plain[0]}")
        status = f"HTTP {response.status_code} {response.reason_phrase}".rstrip()
        if response.status_code == 416 and start:
            forget(self.path)
            raise _BrokenOffError(status)
        if response.status_code in TRANSIENT_STATUSES or response.status_code >= 500:
            wait_seconds = parse_retry_after(response.headers.get("Retry-After", ""))
            if wait_seconds > LONGEST_WAIT_SECONDS:
                raise RefusedError(f"{status}, try again in {wait_seconds:,.0f} s")
            raise _BrokenOffError(status, wait_seconds)
        if response.status_code != 200 and not (response.status_code == 206 and start):
            raise RefusedError(status)
        if (encoding := response.headers.get("Content-Encoding", "identity")) != "identity":
            raise RefusedError(f"the answer is encoded as {encoding}, though identity was asked for")

    def _check_range(self, response: httpx.Response, start: int, record: dict[str, Any]) -> int | None:
        """The size of the whole file, if the answer continues at `start` the file that was begun."""
        content_range = response.headers.get("Content-Range", "")
        match = re.fullmatch(r"bytes (\d+)-(\d+)/(\d+|\*)", content_range)
        total = int(match[3]) if match and match[3] != "*" else record["bytes"]
        continues = match is not None and int(match[1]) == start and record["bytes"] in (None, total)
        if not continues or _validator(response) not in (None, record["validator"]):
            forget(self.path)
            raise _BrokenOffError(f"bytes from {start} were asked for, the answer has Content-Range {content_range!r}")
        return total

    def _start_anew(self, response: httpx.Response) -> int | None:
        length = response.headers.get("Content-Length")
        total = int(length) if length is not None and length.isdecimal() else None
        if total is None and self.sha256 is None and response.headers.get("Transfer-Encoding", "").lower() != "chunked":
            raise RefusedError("the answer has no Content-Length, and without a sha256 nothing tells if it is whole")
        self.path.write_bytes(b"")  # before the record: old bytes never stand beside a new validator
        write_json(_record_path(self.path), {"url": self.url, "validator": _validator(response), "bytes": total})
        return total

    async def _append(self, response: httpx.Response, total: int | None, patience: asyncio.Timeout) -> None:
        name = unquote(urlsplit(self.url).path).rpartition("/")[2]
        awaited = PATIENCE_BYTES
        try:
            with (
                full_disk_named(self.path, total),
                self.path.open("ab") as file,
                tqdm(
                    desc=name, total=total, initial=file.tell(), unit="B", unit_scale=True, leave=False, disable=None
                ) as bar,
            ):
                async for chunk in response.aiter_raw():
                    file.write(chunk)
                    file.flush()  # a kill loses nothing of what came
                    bar.update(len(chunk))
                    awaited -= len(chunk)
                    if awaited <= 0:
                        patience.reschedule(asyncio.get_running_loop().time() + PATIENCE_SECONDS)
                        awaited = PATIENCE_BYTES
        except OSError as error:
            raise OSError(error.errno, error.strerror, str(self.path)) from None
        if total is not None and (size := self._size()) != total:
            raise _BrokenOffError(f"{size:,} of {total:,} bytes came")

    async def _verify(self, resumed: bool) -> None:
        self.found = await asyncio.to_thread(sha256_file, self.path)
        if self.sha256 not in (None, self.found):
            forget(self.path)
            raise (_BrokenOffError if resumed else RefusedError)(f"sha256 {self.found}, not {self.sha256}")

    def _size(self) -> int:
        return self.path.stat().st_size if self.path.exists() else 0


def _record_path(path: Path) -> Path:
    return path.with_suffix(".json")


def _validator(response: httpx.Response) -> str | None:
    """What ties a later part to this answer (RFC 9110, If-Range): a strong ETag, else the date of the last change."""
    etag = response.headers.get("ETag", "")
    return etag if etag.startswith('"') else response.headers.get("Last-Modified")


def _seconds_to_wait(state: RetryCallState) -> float:
    """The growing wait between attempts, or what the server asks for where that is longer."""
    error = state.outcome.exception() if state.outcome else None
    return max(WAIT(state), error.wait_seconds if isinstance(error, _BrokenOffError) else 0.0)
