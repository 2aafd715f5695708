"""A proxy before a chat server: it answers some requests wrongly, by a plan that its seed gives, and counts all."""

import json
import random
import socket
import struct
import threading
import time
from dataclasses import dataclass
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import Any

import httpx

RETRY_AFTER_SECONDS = 0.3
# What may happen to a request. The server behind is asked only in `cut` and `torn`, whose answers do not arrive whole.
FAULTS = ("429", "503", "hang", "dead", "html", "empty", "no choices", "cut", "torn")
FORWARDED = {None, "cut", "torn"}
BODIES = {"html": b"<html>Bad gateway</html>", "empty": b"", "no choices": b'{"choices": []}'}


@dataclass
class Exchange:
    """One request: the first message of its conversation, its fault, when it came, and whether the answer was sent."""

    prompt: str
    fault: str | None
    seconds: float
    delivered: bool = False


class FaultProxy(ThreadingHTTPServer):
    """Answers the first requests of each conversation as `plan` says, and hands those after them to `upstream`.

    A conversation whose first message holds one of the `refused` texts is always answered with status 400.
    """

    daemon_threads = True
    request_queue_size = 64

    def __init__(self, upstream: str, seed: int, most_faults: int) -> None:
        super().__init__(("127.0.0.1", 0), _Handler)
        self.upstream = upstream.removesuffix("/v1")
        self.refused: set[str] = set()
        self.exchanges: list[Exchange] = []
        self.lock = threading.Lock()
        self.closing = threading.Event()
        self._seed, self._most_faults = seed, most_faults
        self._begun: dict[str, int] = {}
        self._thread = threading.Thread(target=self.serve_forever, kwargs={"poll_interval": 0.01})

    def __enter__(self) -> "FaultProxy":
        self._thread.start()
        return self

    def __exit__(self, *_: object) -> None:
        self.closing.set()
        self.shutdown()
        self._thread.join()
        self.server_close()

    @property
    def base_url(self) -> str:
        return f"http://127.0.0.1:{self.server_port}/v1"

    def plan(self, prompt: str) -> list[str]:
        """The faults of a conversation, in their order."""
        draw = random.Random(f"{self._seed} {prompt}")
        weights = [0.4 if fault == "hang" else 1 for fault in FAULTS]  # each costs the client its patience
        return draw.choices(FAULTS, weights, k=draw.randint(0, self._most_faults))

    def of(self, prompt: str) -> list[Exchange]:
        """The exchanges of a conversation."""
        return [exchange for exchange in self.exchanges if exchange.prompt == prompt]

    def begin(self, prompt: str) -> Exchange:
        """A request that has just come, and what is to happen to it."""
        plan = self.plan(prompt)
        with self.lock:
            number = self._begun[prompt] = self._begun.get(prompt, -1) + 1
            fault = plan[number] if number < len(plan) else None
            if any(text in prompt for text in self.refused):
                fault = "400"
            self.exchanges.append(exchange := Exchange(prompt, fault, time.monotonic()))
        return exchange

    def handle_error(self, request: object, client_address: object) -> None:
        """A client that gave up is what this is about."""


class _Handler(BaseHTTPRequestHandler):
    server: FaultProxy

    def do_POST(self) -> None:
        body = self.rfile.read(int(self.headers["Content-Length"]))
        exchange = self.server.begin(json.loads(body)["messages"][0]["content"])
        fault = exchange.fault
        if fault == "hang":
            self.server.closing.wait(60)
        elif fault == "dead":
            self._reset()
        elif fault in BODIES:
            self._send(200, BODIES[fault])
        elif fault not in FORWARDED:
            wait = {"Retry-After": f"{RETRY_AFTER_SECONDS}"} if fault == "429" else {}
            self._send(int(fault or 0), b'{"error": {"message": "by plan"}}', **wait)
        else:
            answer = self._forward(body)
            whole = answer.content
            if fault == "cut":
                self._send(answer.status_code, whole[: len(whole) // 2])
            elif fault == "torn":
                self._send(answer.status_code, whole[: len(whole) // 2], length=len(whole))
                self._reset()
            else:
                exchange.delivered = True  # before the client can have it
                self._send(answer.status_code, whole)

    def _forward(self, body: bytes) -> httpx.Response:
        headers = {"Content-Type": "application/json"}
        return httpx.post(self.server.upstream + self.path, content=body, headers=headers, timeout=60, trust_env=False)

    def _send(self, status: int, body: bytes, length: int | None = None, **headers: str) -> None:
        self.send_response(status)
        for name, value in {"Content-Type": "application/json", **headers}.items():
            self.send_header(name, value)
        self.send_header("Content-Length", str(len(body) if length is None else length))
        self.end_headers()
        self.wfile.write(body)
        self.wfile.flush()

    def _reset(self) -> None:
        """End the connection as a server that dies does."""
        self.connection.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, struct.pack("ii", 1, 0))
        self.connection.close()

    def log_message(self, format: str, *args: Any) -> None:  # noqa: A002 (the name in the base class)
        pass
