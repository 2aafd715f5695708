"""fetch() against a real HTTP server: what arrives is whole and verified, or nothing stands at the target."""

import hashlib
import re
import socket
import threading
import time
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path

import pytest
from tenacity import wait_none

from scratchlm.artifacts import sha256_file
from scratchlm.datasets import download
from scratchlm.datasets.download import fetch
from scratchlm.errors import UserError

CONTENT = bytes(range(256)) * 400
SHA256 = hashlib.sha256(CONTENT).hexdigest()


@dataclass
class Site:
    """A server of one file; each answer cuts, fails or lies as its next entry of `faults` says."""

    url: str = ""
    content: bytes = CONTENT
    etag: str | None = '"v1"'
    faults: list[str] = field(default_factory=list)
    ranges: list[str | None] = field(default_factory=list)
    conditions: list[str | None] = field(default_factory=list)
    busy: int = 0
    most_busy: int = 0

    def answer(self, request: BaseHTTPRequestHandler) -> None:
        fault = self.faults.pop(0) if self.faults else ""
        asked = request.headers["Range"]
        self.ranges.append(asked)
        self.conditions.append(request.headers["If-Range"])
        if fault == "slow":
            self.linger()
        if fault.isdigit():
            return self.send(request, int(fault), b"")
        if fault.startswith("redirect "):
            return self.send(request, 302, b"", Location=fault.removeprefix("redirect "))
        continues = asked and fault != "ignore range" and request.headers["If-Range"] in (None, self.etag)
        start = int(re.fullmatch(r"bytes=(\d+)-", asked)[1]) if continues else 0  # type: ignore[index]
        body = self.content[start:]
        if not continues:
            return self.send(request, 200, body, cut=fault == "cut")
        first = start + 7 if fault == "shifted" else start
        content_range = f"bytes {first}-{len(self.content) - 1}/{len(self.content)}"
        return self.send(request, 206, body, cut=fault == "cut", **{"Content-Range": content_range})

    def linger(self) -> None:
        self.busy += 1
        self.most_busy = max(self.busy, self.most_busy)
        time.sleep(0.05)
        self.busy -= 1

    def send(
        self, request: BaseHTTPRequestHandler, status: int, body: bytes, cut: bool = False, **headers: str
    ) -> None:
        request.send_response(status)
        for name, value in ({"Content-Length": str(len(body))} | headers).items():
            request.send_header(name, value)
        if self.etag:
            request.send_header("ETag", self.etag)
        request.end_headers()
        request.wfile.write(body[: len(body) // 2] if cut else body)


def serve(site: Site) -> ThreadingHTTPServer:
    class Handler(BaseHTTPRequestHandler):
        def do_GET(self) -> None:
            site.answer(self)

        def log_message(self, *arguments: object) -> None:
            pass

    server = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
    threading.Thread(target=server.serve_forever, kwargs={"poll_interval": 0.01}, daemon=True).start()
    site.url = f"http://127.0.0.1:{server.server_port}/files/data%20set.bin"
    return server


@pytest.fixture
def site() -> Iterator[Site]:
    site = Site()
    server = serve(site)
    yield site
    server.shutdown()
    server.server_close()


@pytest.fixture(autouse=True)
def project(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    monkeypatch.setenv("DVC_ROOT", str(tmp_path))
    monkeypatch.delenv("SCRATCHLM_MIRROR", raising=False)
    monkeypatch.setattr(download, "WAIT", wait_none())
    return tmp_path


@pytest.fixture
def target(project: Path) -> Path:
    return project / "data/raw/file.bin"


@pytest.fixture
def mirrored(project: Path, site: Site, monkeypatch: pytest.MonkeyPatch) -> Callable[[bytes], Path]:
    """Puts a file where the mirror should hold that of the site."""

    def put(content: bytes) -> Path:
        path = project / "mirror" / site.url.removeprefix("http://").replace("%20", " ")
        path.parent.mkdir(parents=True)
        path.write_bytes(content)
        monkeypatch.setenv("SCRATCHLM_MIRROR", "mirror")
        return path

    return put


def staged(project: Path) -> list[Path]:
    return [path for path in (project / ".work/downloads").glob("*") if path.suffix != ".lock"]


def refused(target: Path, *urls: str, sha256: str | None = SHA256) -> str:
    """The message of a fetch that fails, after which nothing stands at the target."""
    with pytest.raises(UserError) as error:
        fetch(urls, sha256, target)
    assert not target.exists()
    return str(error.value)


@pytest.mark.parametrize("sha256", [SHA256, None])
def test_a_file_arrives_whole_and_leaves_no_partial_file(site: Site, target: Path, project: Path, sha256: str | None):
    assert fetch([site.url], sha256, target) == SHA256
    assert target.read_bytes() == CONTENT
    assert list(target.parent.iterdir()) == [target]
    assert staged(project) == []


@pytest.mark.parametrize(("etag", "sha256"), [('"v1"', SHA256), ('"v1"', None), (None, SHA256)])
def test_a_cut_transfer_goes_on_where_it_stopped(site: Site, target: Path, etag: str | None, sha256: str | None):
    site.etag, site.faults = etag, ["cut", "503", "cut"]
    assert fetch([site.url], sha256, target) == SHA256
    assert site.ranges == [None, "bytes=51200-", "bytes=51200-", "bytes=76800-"]
    assert site.conditions == [None, etag, etag, etag]


def test_the_next_run_goes_on_where_the_last_one_gave_up(site: Site, target: Path):
    site.faults = ["cut", "503", "503", "503"]
    assert "HTTP 503" in refused(target, site.url)
    assert fetch([site.url], SHA256, target) == SHA256
    assert site.ranges[-1] == "bytes=51200-"


def test_without_validator_and_hash_a_cut_transfer_starts_anew(site: Site, target: Path):
    site.etag, site.faults = None, ["cut"]
    assert fetch([site.url], None, target) == SHA256
    assert site.ranges == [None, None]


@pytest.mark.parametrize("etag", ['"v2"', None])
def test_a_file_that_changed_meanwhile_starts_anew(site: Site, target: Path, etag: str | None):
    site.etag, site.content, site.faults = etag and '"v1"', CONTENT[::-1], ["cut", "503", "503", "503"]
    refused(target, site.url)
    site.etag, site.content = etag, CONTENT
    assert fetch([site.url], SHA256, target) == SHA256
    assert target.read_bytes() == CONTENT


@pytest.mark.parametrize(("fault", "requests"), [("ignore range", 2), ("shifted", 3), ("416", 3)])
def test_an_answer_that_does_not_continue_the_file_is_not_appended(site: Site, target: Path, fault: str, requests: int):
    site.faults = ["cut", fault]
    assert fetch([site.url], SHA256, target) == SHA256
    assert site.ranges == [None, "bytes=51200-", None][:requests]


def test_wrong_bytes_never_reach_the_target(site: Site, target: Path, project: Path):
    site.content = CONTENT + b"!"
    assert f"not {SHA256}" in refused(target, site.url)
    assert staged(project) == []


def test_a_failed_fetch_leaves_the_file_that_was_there(site: Site, target: Path):
    fetch([site.url], SHA256, target)
    site.faults = ["404"]
    with pytest.raises(UserError):
        fetch([site.url], SHA256, target)
    assert target.read_bytes() == CONTENT


def test_the_backup_is_asked_when_the_first_url_fails(site: Site, target: Path):
    site.faults = ["404"]
    assert fetch([site.url, f"{site.url}?backup"], SHA256, target) == SHA256
    assert len(site.ranges) == 2


def test_a_missing_file_is_asked_for_once_and_named(site: Site, target: Path):
    site.faults = ["404"]
    assert refused(target, site.url).startswith(f"cannot fetch {site.url} (HTTP 404 Not Found).")
    assert len(site.ranges) == 1


@pytest.mark.parametrize("elsewhere", ["file:///etc/passwd", "ftp://127.0.0.1/file"])
def test_a_redirect_leads_to_http_only(site: Site, target: Path, elsewhere: str):
    site.faults = [f"redirect {elsewhere}"]
    assert "protocol" in refused(target, site.url)
    site.faults = [f"redirect {site.url}"]
    assert fetch([site.url], SHA256, target) == SHA256


def test_without_network_the_error_names_url_variable_and_sample(target: Path):
    with socket.socket() as unused:
        unused.bind(("127.0.0.1", 0))
        url = f"http://127.0.0.1:{unused.getsockname()[1]}/file.bin"
        message = refused(target, url)
    for part in (url, "SCRATCHLM_MIRROR", "`source: sample`"):
        assert part in message


@pytest.mark.parametrize("sha256", [SHA256, None])
def test_a_mirrored_file_is_taken_without_asking_the_network(
    site: Site, mirrored: Callable[[bytes], Path], target: Path, sha256: str | None
):
    mirrored(CONTENT)
    assert fetch(["http://127.0.0.1:1/primary.bin", site.url], sha256, target) == SHA256
    assert site.ranges == []


def test_a_mirrored_file_with_wrong_bytes_is_an_error_that_names_it(
    site: Site, mirrored: Callable[[bytes], Path], target: Path
):
    path = mirrored(CONTENT[1:])
    assert refused(target, site.url).startswith(f"{path} has sha256 {sha256_file(path)}, not {SHA256}")
    assert site.ranges == []


def test_what_the_mirror_lacks_comes_from_the_network(site: Site, target: Path, project: Path, monkeypatch):
    (project / "mirror").mkdir()
    monkeypatch.setenv("SCRATCHLM_MIRROR", "mirror")
    assert fetch([site.url], SHA256, target) == SHA256


def test_a_mirror_that_is_no_folder_is_an_error(site: Site, target: Path, monkeypatch: pytest.MonkeyPatch):
    monkeypatch.setenv("SCRATCHLM_MIRROR", "nowhere")
    assert "SCRATCHLM_MIRROR is 'nowhere'" in refused(target, site.url)


def test_a_path_is_taken_from_the_project_root_and_verified(target: Path, project: Path):
    (project / "own.bin").write_bytes(CONTENT)
    assert fetch(["own.bin"], SHA256, target) == SHA256
    target.unlink()
    assert "own.bin has sha256" in refused(target, "own.bin", sha256="0" * 64)
    assert "other.bin is no file" in refused(target, "other.bin")
    assert "none of http and https" in refused(target, "ftp://127.0.0.1/own.bin")


def test_concurrent_fetches_of_one_url_wait_for_each_other(site: Site, project: Path):
    site.faults = ["slow"] * 3
    targets = [project / f"{number}.bin" for number in range(3)]
    threads = [threading.Thread(target=fetch, args=([site.url], SHA256, target)) for target in targets]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert [target.read_bytes() == CONTENT for target in targets] == [True] * 3
    assert site.most_busy == 1
