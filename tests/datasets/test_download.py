"""fetch() and fetch_all(): from paths, mirrors, backups, several files and processes at once."""

import hashlib
import os
import pty
import random
import re
import signal
import subprocess
import sys
import termios
import threading
import time
from collections.abc import Callable
from contextlib import suppress
from pathlib import Path

import pytest
from tenacity import wait_none

from scratchlm.checksums import sha256_file
from scratchlm.datasets import download, transfer
from scratchlm.datasets.download import CONNECTIONS, Download, fetch, fetch_all
from scratchlm.errors import UserError
from tests.file_server import Answer, FileServer

CONTENT = random.Random(0).randbytes(20_000)
SHA256 = hashlib.sha256(CONTENT).hexdigest()
PATH = "/files/data%20set.bin"
OFFLINE = "source: sample"


@pytest.fixture(autouse=True)
def _hurry(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(transfer, "WAIT", wait_none())


@pytest.fixture
def url(file_server: FileServer) -> str:
    file_server.files[PATH] = CONTENT
    return file_server.url + PATH


@pytest.fixture
def target(project: Path) -> Path:
    return project / "data/raw/file.bin"


@pytest.fixture
def mirrored(project: Path, url: str, monkeypatch: pytest.MonkeyPatch) -> Callable[[bytes], Path]:
    """Puts a file where the mirror should hold that of the URL."""

    def put(content: bytes) -> Path:
        path = project / "mirror" / url.removeprefix("http://").replace("%20", " ")
        path.parent.mkdir(parents=True)
        path.write_bytes(content)
        monkeypatch.setenv("SCRATCHLM_MIRROR", "mirror")
        return path

    return put


def refused(target: Path, *urls: str, sha256: str | None = SHA256) -> str:
    """The message of a fetch that fails, after which nothing stands at the target."""
    with pytest.raises(UserError) as error:
        fetch(urls, sha256, target, offline=OFFLINE)
    assert list(target.parent.glob("*")) == []
    return str(error.value)


def several(file_server: FileServer, project: Path, count: int) -> list[Download]:
    """So many files of the server, each with bytes of its own; of every second one the sha256 is not known."""
    downloads = []
    for number in range(count):
        content = random.Random(number).randbytes(20_000)
        file_server.files[f"/{number}.bin"] = content
        sha256 = hashlib.sha256(content).hexdigest() if number % 2 else None
        downloads.append(Download([f"{file_server.url}/{number}.bin"], sha256, project / f"data/{number}.bin"))
    return downloads


def fetching(url: str, sha256: str | None, target: Path) -> list[str]:
    """A command that fetches a file in a process of its own."""
    call = f"fetch([{url!r}], {sha256!r}, Path({str(target)!r}), offline='')"
    return [sys.executable, "-c", f"from pathlib import Path; from scratchlm.datasets.download import fetch; {call}"]


def test_a_path_is_taken_from_the_project_root_and_verified(target: Path, project: Path):
    (project / "own.bin").write_bytes(CONTENT)
    assert fetch(["own.bin"], SHA256, target, offline=OFFLINE) == SHA256
    assert target.read_bytes() == CONTENT
    target.unlink()
    assert "own.bin has sha256" in refused(target, "own.bin", sha256="0" * 64)
    assert "other.bin is no file" in refused(target, "other.bin")
    assert "none of http and https" in refused(target, "ftp://127.0.0.1/own.bin")


@pytest.mark.parametrize("sha256", [SHA256, None])
def test_a_mirrored_file_is_taken_without_asking_the_network(
    file_server: FileServer, url: str, mirrored: Callable[[bytes], Path], target: Path, sha256: str | None
):
    mirrored(CONTENT)
    assert fetch(["http://127.0.0.1:1/primary.bin", url], sha256, target, offline=OFFLINE) == SHA256
    assert target.read_bytes() == CONTENT
    assert file_server.requests == []


def test_a_mirrored_file_with_wrong_bytes_is_an_error_that_names_it(
    file_server: FileServer, url: str, mirrored: Callable[[bytes], Path], target: Path
):
    path = mirrored(CONTENT[1:])
    assert refused(target, url).startswith(f"{path} has sha256 {sha256_file(path)}, not {SHA256}")
    assert file_server.requests == []


def test_what_the_mirror_lacks_comes_from_the_network(
    url: str, target: Path, project: Path, monkeypatch: pytest.MonkeyPatch
):
    (project / "mirror").mkdir()
    monkeypatch.setenv("SCRATCHLM_MIRROR", "mirror")
    assert fetch([url], SHA256, target, offline=OFFLINE) == SHA256


def test_a_mirror_that_is_no_folder_is_an_error(url: str, target: Path, monkeypatch: pytest.MonkeyPatch):
    monkeypatch.setenv("SCRATCHLM_MIRROR", "nowhere")
    assert "SCRATCHLM_MIRROR is 'nowhere'" in refused(target, url)


@pytest.mark.parametrize("url", ["http://../../own.bin", "http://host/../../own.bin", "http://%2Fetc/passwd"])
def test_no_url_leads_out_of_the_mirror(project: Path, monkeypatch: pytest.MonkeyPatch, url: str):
    (project / "own.bin").write_bytes(CONTENT)
    (project / "mirror/host").mkdir(parents=True)
    monkeypatch.setenv("SCRATCHLM_MIRROR", "mirror")
    assert download._local_file(url) is None


def test_a_mirror_may_be_a_server_and_the_host_is_asked_for_what_it_lacks(
    file_server: FileServer, url: str, target: Path, monkeypatch: pytest.MonkeyPatch
):
    monkeypatch.setenv("SCRATCHLM_MIRROR", f"{file_server.url}/mirror/")
    file_server.files["/mirror/example.org/a%20b.bin?version=2"] = CONTENT
    urls = ["https://user:secret@example.org/a%20b.bin?version=2"]
    assert fetch(urls, SHA256, target, offline=OFFLINE) == SHA256
    target.unlink()
    assert fetch([url], SHA256, target, offline=OFFLINE) == SHA256
    assert [request.path for request in file_server.requests[1:]] == [f"/mirror/{url[7:]}", PATH]


def test_the_backup_is_asked_when_the_first_url_fails(file_server: FileServer, url: str, target: Path):
    assert fetch([f"{file_server.url}/absent.bin", url], SHA256, target, offline=OFFLINE) == SHA256
    file_server.files["/wrong.bin"] = CONTENT[::-1]
    target.unlink()
    assert fetch([f"{file_server.url}/wrong.bin", url], SHA256, target, offline=OFFLINE) == SHA256
    assert target.read_bytes() == CONTENT


def test_when_all_urls_fail_one_line_names_each_with_its_reason(file_server: FileServer, target: Path):
    first, second = (f"{file_server.url}/{name}.bin" for name in ("first", "second"))
    file_server.files["/second.bin"] = b"wrong"
    message = refused(target, first, second)
    wrong = hashlib.sha256(b"wrong").hexdigest()
    assert message.startswith(
        f"cannot fetch {first} (HTTP 404 Not Found), nor {second} (sha256 {wrong}, not {SHA256}). "
    )
    assert message.endswith("HOST/PATH, or use `source: sample`, which needs none.")


def test_a_failed_fetch_leaves_the_file_that_was_there(file_server: FileServer, url: str, target: Path):
    fetch([url], SHA256, target, offline=OFFLINE)
    with pytest.raises(UserError):
        fetch([url], "0" * 64, target, offline=OFFLINE)
    assert target.read_bytes() == CONTENT


def test_what_is_whole_but_could_not_take_its_place_is_not_asked_for_again(
    file_server: FileServer, url: str, target: Path, project: Path
):
    (project / "data").write_bytes(b"in the way")
    with pytest.raises(OSError, match="data"):
        fetch([url], SHA256, target, offline=OFFLINE)
    (project / "data").unlink()
    assert fetch([url], SHA256, target, offline=OFFLINE) == SHA256
    assert len(file_server.requests) == 1


def test_several_files_come_at_once_but_not_all(
    file_server: FileServer, project: Path, capfd: pytest.CaptureFixture[str]
):
    downloads = several(file_server, project, 12)
    file_server.script = [Answer(delay=0.1)] * 12
    hashes = fetch_all(downloads, offline=OFFLINE)
    assert hashes == {each.target: sha256_file(each.target) for each in downloads}
    assert [each.target.read_bytes() for each in downloads] == list(file_server.files.values())
    assert 1 < file_server.most_busy <= CONNECTIONS
    assert capfd.readouterr().err == "", "bars are for terminals"


def test_files_from_paths_and_from_the_network_mix_in_any_order(file_server: FileServer, project: Path):
    own = project / "own.bin"
    own.write_bytes(CONTENT)
    downloads = [*several(file_server, project, 3), Download([str(own)], SHA256, project / "data/own.bin")]
    first = fetch_all(downloads, offline=OFFLINE)
    assert fetch_all(downloads[::-1], offline=OFFLINE) == first


def test_the_first_failure_stops_the_rest_and_what_arrived_is_kept(file_server: FileServer, project: Path):
    downloads = several(file_server, project, 20)
    failing, held = "/6.bin", ["/5.bin", "/7.bin", "/8.bin"]
    file_server.script = [Answer(path=failing, status=404, delay=1)]
    file_server.script += [Answer(path=path, cut=10_000, hold=True) for path in held]
    arrived = {}
    with pytest.raises(UserError, match=rf"{failing} \(HTTP 404 Not Found\)"):
        fetch_all(downloads, offline=OFFLINE, arrived=arrived.__setitem__)
    assert arrived == {each.target: sha256_file(each.target) for each in downloads[:5]}
    assert set((project / "data").iterdir()) == set(arrived)
    assert {request.path for request in file_server.requests} == {f"/{number}.bin" for number in range(9)}
    file_server.requests.clear()
    fetch_all([each for each in downloads if each.target not in arrived], offline=OFFLINE)
    ranges = {request.path: request.range for request in file_server.requests}
    assert ranges == {f"/{number}.bin": None for number in range(5, 20)} | dict.fromkeys(held, "bytes=10000-")


def test_a_file_that_is_wanted_twice_arrives_twice(file_server: FileServer, url: str, project: Path):
    file_server.script = [Answer(delay=0.05)] * 3
    downloads = [Download([url], SHA256, project / f"{number}.bin") for number in range(3)]
    fetch_all(downloads, offline=OFFLINE)
    assert [each.target.read_bytes() == CONTENT for each in downloads] == [True] * 3
    assert file_server.most_busy == 1


def test_of_two_processes_that_want_one_file_the_second_waits_and_takes_it(
    file_server: FileServer, url: str, target: Path
):
    file_server.script = [Answer(delay=2.0)]
    command = fetching(url, SHA256, target)
    processes = [subprocess.Popen(command, stderr=subprocess.PIPE, text=True) for _ in range(2)]
    messages = [process.communicate(timeout=60)[1] for process in processes]
    assert [process.returncode for process in processes] == [0, 0]
    assert target.read_bytes() == CONTENT
    assert len(file_server.requests) == 1
    assert sorted(messages) == ["", f"{url} is being fetched already; waiting for that to end\n"]


def test_a_signal_that_does_not_wake_the_main_thread_is_heard_soon(
    file_server: FileServer, url: str, target: Path, project: Path
):
    file_server.script = [Answer(cut=10_000, hold=True)]
    # The signal goes to a thread that waits; as one that comes just before the loop waits, it interrupts no waiting.
    preamble = "import signal, threading; threading.Thread(target=threading.Event().wait, daemon=True).start(); "
    preamble += "signal.pthread_sigmask(signal.SIG_BLOCK, {signal.SIGINT}); "
    python, option, call = fetching(url, SHA256, target)
    with subprocess.Popen([python, option, preamble + call], stderr=subprocess.DEVNULL) as process:
        while 10_000 not in [file.stat().st_size for file in project.glob(".work/downloads/*")]:
            time.sleep(0.05)
        process.send_signal(signal.SIGINT)
        assert process.wait(timeout=10) != 0
    assert not target.exists()


def test_a_terminal_shows_name_size_speed_and_time_left(file_server: FileServer, url: str, target: Path):
    file_server.files[PATH] = CONTENT[:2000]
    file_server.script = [Answer(pause=0.0005)]
    terminal, standard_error = pty.openpty()
    termios.tcsetwinsize(terminal, (24, 100))
    with subprocess.Popen(fetching(url, None, target), stderr=standard_error) as process:
        os.close(standard_error)
        shown = b""
        with suppress(OSError):  # the terminal is gone
            while chunk := os.read(terminal, 1000):
                shown += chunk
    os.close(terminal)
    assert process.returncode == 0
    assert re.search(rb"data set.bin: +\d+%.*/2.00k \[\d\d:\d\d<\d\d:\d\d, .*B/s\]", shown)


def test_two_copies_to_one_target_do_not_meet(project: Path, target: Path):
    own = project / "own.bin"
    own.write_bytes(bytes(5_000_000))
    errors = []

    def copy() -> None:
        try:
            fetch([str(own)], None, target, offline=OFFLINE)
        except OSError as error:
            errors.append(error)

    threads = [threading.Thread(target=copy) for _ in range(8)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert errors == []
    assert target.read_bytes() == own.read_bytes()
