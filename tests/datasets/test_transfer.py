"""A transfer from a real server: it ends with the whole, verified file, or with one line and nothing at the target."""

import asyncio
import hashlib
import random
import re
import socket
import time
from pathlib import Path

import httpx
import pytest
from tenacity import wait_none

from scratchlm.datasets import transfer
from scratchlm.datasets.download import fetch
from scratchlm.errors import UserError
from tests.file_server import Answer, FileServer
from tests.full_files import files_up_to

CONTENT = random.Random(0).randbytes(20_000)
SHA256 = hashlib.sha256(CONTENT).hexdigest()
HALF = len(CONTENT) // 2
PATH = "/files/data%20set.bin"


@pytest.fixture
def url(file_server: FileServer) -> str:
    file_server.files[PATH] = CONTENT
    return file_server.url + PATH


@pytest.fixture
def target(project: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """Where the file goes, in a project whose transfers neither rest between attempts nor wait long."""
    monkeypatch.setattr(transfer, "WAIT", wait_none())
    monkeypatch.setattr(transfer, "PATIENCE_SECONDS", 0.5)
    monkeypatch.setattr(transfer, "PATIENCE_BYTES", 200)
    return project / "data/raw/file.bin"


def bring(url: str, target: Path, sha256: str | None = SHA256) -> str:
    return fetch([url], sha256, target, offline="source: sample")


def refused(url: str, target: Path, sha256: str | None = SHA256) -> str:
    """The one line of a fetch that fails, after which nothing stands at the target."""
    with pytest.raises(UserError) as error:
        bring(url, target, sha256)
    assert list(target.parent.glob("*")) == []
    assert "\n" not in str(error.value)
    return str(error.value)


def staged(project: Path) -> list[Path]:
    return [path for path in (project / ".work/downloads").glob("*") if path.suffix != ".lock"]


CUT = Answer(cut=HALF)
SILENT = Answer(hold=True)
DRIPPING = Answer(pause=0.01)
TOO_LONG = Answer(headers={"Content-Length": str(len(CONTENT) + 1)})
TOO_SHORT = Answer(headers={"Content-Length": str(len(CONTENT) - 1)})
UNSIZED = Answer(headers={"Content-Length": None})


def ranged(content_range: str | None) -> Answer:
    return Answer(headers={"Content-Range": content_range})


PASSING_FAULTS: dict[str, list[Answer]] = {
    "none": [],
    "cut": [CUT],
    "cut before the first byte": [Answer(cut=0)],
    "cut again and again": [CUT, Answer(cut=1), Answer(cut=0)],
    "Content-Length too long": [TOO_LONG],
    "200 for 206": [CUT, Answer(ignore_range=True)],
    "busy": [Answer(status=503), Answer(status=429), Answer(status=408)],
    "silent": [CUT, SILENT],
    "silent after a part": [Answer(cut=HALF, hold=True)],
    "dripping": [DRIPPING],
    "dripping after a part": [CUT, DRIPPING],
    "redirected": [Answer(status=302, headers={"Location": PATH})],
    "redirected after a part": [CUT, Answer(status=307, headers={"Location": PATH})],
    "no Content-Length": [UNSIZED],
    "chunked": [Answer(chunked=True)],
    "chunked and cut": [Answer(chunked=True, cut=HALF)],
}


@pytest.mark.parametrize("script", PASSING_FAULTS.values(), ids=PASSING_FAULTS)
def test_what_goes_wrong_for_a_time_ends_with_the_verified_file(
    file_server: FileServer, url: str, target: Path, project: Path, script: list[Answer]
):
    file_server.script = list(script)
    assert bring(url, target) == SHA256
    assert target.read_bytes() == CONTENT
    assert file_server.script == []
    assert list(target.parent.iterdir()) == [target]
    assert staged(project) == []


LASTING_FAULTS: dict[str, tuple[Answer, str]] = {
    "forbidden": (Answer(status=403), "HTTP 403 Forbidden"),
    "206 for 200": (Answer(status=206), "HTTP 206 Partial Content"),
    "busy": (Answer(status=503), "HTTP 503 Service Unavailable"),
    "busy for long": (Answer(status=503, headers={"Retry-After": "301"}), "HTTP 503 .*, try again in 301 s"),
    "Content-Length too long": (TOO_LONG, "peer closed connection|HTTP 416"),
    "Content-Length too short": (TOO_SHORT, f"sha256 [0-9a-f]{{64}}, not {SHA256}"),
    "redirected to itself": (Answer(status=302, headers={"Location": PATH}), "maximum allowed redirects"),
    "redirected to file:": (Answer(status=302, headers={"Location": "file:///etc/passwd"}), "unsupported protocol"),
    "redirected to ftp:": (Answer(status=302, headers={"Location": "ftp://127.0.0.1/file"}), "unsupported protocol"),
    "encoded": (Answer(headers={"Content-Encoding": "gzip"}), "encoded as gzip"),
    "silent": (SILENT, "fewer than 200 bytes came in 0.5 s"),
    "dripping": (DRIPPING, "fewer than 200 bytes came in 0.5 s"),
    "cut": (Answer(cut=0), "peer closed connection"),
}


@pytest.mark.parametrize(("answer", "line"), LASTING_FAULTS.values(), ids=LASTING_FAULTS)
def test_what_stays_wrong_ends_with_one_line_that_names_it(
    file_server: FileServer, url: str, target: Path, answer: Answer, line: str
):
    file_server.script = [answer] * 100
    assert re.match(f"cannot fetch {url} \\(.*({line})", refused(url, target))


@pytest.mark.parametrize(("etag", "sha256"), [('"v1"', SHA256), ('"v1"', None), (None, SHA256)])
def test_a_validator_or_the_hash_ties_the_rest_to_the_part(
    file_server: FileServer, url: str, target: Path, etag: str | None, sha256: str | None
):
    file_server.etag, file_server.script = etag, [CUT]
    assert bring(url, target, sha256) == SHA256
    assert file_server.requests == [(PATH, None, None), (PATH, f"bytes={HALF}-", etag)]


def test_wherever_a_transfer_is_cut_the_rest_continues_it(file_server: FileServer, url: str, target: Path):
    for offset in [1, len(CONTENT) - 1, *random.Random(1).sample(range(2, len(CONTENT) - 1), 8)]:
        file_server.script, file_server.requests = [Answer(cut=offset)], []
        assert bring(url, target) == SHA256
        assert target.read_bytes() == CONTENT
        assert [request.range for request in file_server.requests] == [None, f"bytes={offset}-"]
        target.unlink()


@pytest.mark.parametrize(
    "lie",
    [
        ranged(f"bytes {HALF + 7}-19999/20000"),
        ranged(f"bytes {HALF}-19999/30000"),
        ranged("bytes */20000"),
        ranged(None),
        Answer(headers={"ETag": '"v2"'}),
        Answer(status=416),
    ],
    ids=["elsewhere", "of another size", "of no range", "unnamed", "of another version", "of nothing"],
)
def test_an_answer_that_does_not_continue_the_part_is_not_appended(
    file_server: FileServer, url: str, target: Path, lie: Answer
):
    file_server.script = [CUT, lie]
    assert bring(url, target, None) == SHA256
    assert [request.range for request in file_server.requests] == [None, f"bytes={HALF}-", None]


def test_attempts_that_bring_enough_are_not_counted(
    file_server: FileServer, url: str, target: Path, monkeypatch: pytest.MonkeyPatch
):
    monkeypatch.setattr(transfer, "PROGRESS_BYTES", 500)
    file_server.script = [Answer(cut=500)] * 30
    assert bring(url, target) == SHA256
    assert len(file_server.requests) == 31


def test_attempts_that_bring_little_are_counted(file_server: FileServer, url: str, target: Path):
    file_server.script = [Answer(cut=500)] * 30
    refused(url, target)
    assert len(file_server.requests) == transfer.ATTEMPTS


def test_a_slow_transfer_may_take_its_time(
    file_server: FileServer, url: str, target: Path, monkeypatch: pytest.MonkeyPatch
):
    monkeypatch.setattr(transfer, "PATIENCE_BYTES", 10)
    file_server.files[PATH] = CONTENT[:1000]
    file_server.script = [Answer(pause=0.001)]
    start = time.monotonic()
    assert bring(url, target, None) == hashlib.sha256(CONTENT[:1000]).hexdigest()
    assert time.monotonic() - start > transfer.PATIENCE_SECONDS
    assert len(file_server.requests) == 1


def test_the_next_run_goes_on_where_the_last_one_gave_up(file_server: FileServer, url: str, target: Path):
    file_server.script = [CUT, *[Answer(status=503)] * 3]
    assert "HTTP 503" in refused(url, target)
    assert bring(url, target) == SHA256
    assert file_server.requests[-1].range == f"bytes={HALF}-"


@pytest.mark.parametrize("etag", ['"v2"', None])
def test_a_file_that_changed_meanwhile_starts_anew(file_server: FileServer, url: str, target: Path, etag: str | None):
    file_server.etag = etag and '"v1"'
    file_server.files[PATH] = CONTENT[::-1]
    file_server.script = [CUT, *[Answer(status=503)] * 3]
    refused(url, target)
    file_server.etag, file_server.files[PATH] = etag, CONTENT
    assert bring(url, target) == SHA256
    assert target.read_bytes() == CONTENT


@pytest.mark.parametrize("size", [len(CONTENT), HALF, 100])
def test_a_part_larger_than_the_file_is_dropped(file_server: FileServer, url: str, target: Path, size: int):
    file_server.script = [Answer(cut=HALF, chunked=True), *[Answer(status=503)] * 3]  # its whole size stays unknown
    refused(url, target)
    file_server.files[PATH] = CONTENT[:size]
    expected = hashlib.sha256(CONTENT[:size]).hexdigest()
    assert bring(url, target, expected) == expected


def test_without_validator_and_hash_a_cut_transfer_starts_anew(file_server: FileServer, url: str, target: Path):
    file_server.etag, file_server.script = None, [CUT]
    assert bring(url, target, None) == SHA256
    assert [request.range for request in file_server.requests] == [None, None]


def test_without_size_and_hash_nobody_can_tell_that_a_file_is_whole(file_server: FileServer, url: str, target: Path):
    file_server.script = [Answer(headers={"Content-Length": None}, cut=HALF)]
    assert "nothing tells if it is whole" in refused(url, target, None)
    file_server.script = [Answer(chunked=True, cut=HALF)]
    assert bring(url, target, None) == SHA256


def test_wrong_bytes_are_forgotten(file_server: FileServer, url: str, target: Path, project: Path):
    file_server.files[PATH] = CONTENT + b"!"
    assert f"not {SHA256}" in refused(url, target)
    assert staged(project) == []


def test_a_missing_file_is_asked_for_once(file_server: FileServer, target: Path):
    url = f"{file_server.url}/absent.bin"
    assert refused(url, target).startswith(f"cannot fetch {url} (HTTP 404 Not Found).")
    assert len(file_server.requests) == 1


def test_a_server_that_asks_to_wait_is_obeyed(file_server: FileServer, url: str, target: Path):
    file_server.script = [Answer(status=429, headers={"Retry-After": "1"})]
    start = time.monotonic()
    assert bring(url, target) == SHA256
    assert time.monotonic() - start >= 1


@pytest.mark.parametrize("host", ["127.0.0.1", "no-such-host.invalid"])
def test_without_network_the_line_names_url_variable_and_what_works(target: Path, host: str):
    with socket.socket() as unused:
        unused.bind(("127.0.0.1", 0))
        url = f"http://{host}:{unused.getsockname()[1]}/file.bin"
        message = refused(url, target)
    for part in (url, "SCRATCHLM_MIRROR", "use `source: sample`"):
        assert part in message


def test_a_file_that_does_not_fit_on_the_disk_is_refused_before_a_byte_is_written(
    file_server: FileServer, url: str, target: Path, project: Path
):
    file_server.script = [Answer(headers={"Content-Length": str(10**18)})]
    message = refused(url, target)
    assert message.startswith(f"{url} needs {10**18:,} bytes in {project}/.work/downloads, where ")
    assert len(file_server.requests) == 1
    assert bring(url, target) == SHA256


def test_a_disk_that_gets_full_is_named_and_the_next_run_goes_on(
    file_server: FileServer, url: str, target: Path, project: Path
):
    message = rf"{project}/.work/downloads/\w+ needs [\d,]+ bytes: File too large"
    with files_up_to(HALF), pytest.raises(UserError, match=message):
        bring(url, target)
    assert not target.parent.exists()
    assert bring(url, target) == SHA256
    assert file_server.requests[1].range == f"bytes={HALF}-"


def test_https_is_never_left(tmp_path: Path):
    """No server here speaks TLS: the answers come from httpx' own stand-in for one."""

    def answer(request: httpx.Request) -> httpx.Response:
        leaves = request.url.path == "/there"
        return httpx.Response(302, headers={"Location": "http://a/here"}) if leaves else httpx.Response(200)

    async def run() -> None:
        async with httpx.AsyncClient(transport=httpx.MockTransport(answer), follow_redirects=True) as client:
            await transfer.transfer(client, "https://a/there", tmp_path / "part", SHA256)

    with pytest.raises(transfer.RefusedError, match="redirected from https to http://a/here"):
        asyncio.run(run())
