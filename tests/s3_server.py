"""An S3 of moto on 127.0.0.1: `python -m tests.s3_server BUCKET [UPLOADS]` prints its URL.

After so many uploads it takes no more, and answers none until its standard input is closed.
"""

import sys
import threading
from collections.abc import Callable, Iterable
from typing import Any

from moto.moto_server.werkzeug_app import DomainDispatcherApplication, MotoRequestHandler, create_backend_app
from werkzeug.serving import make_server
from werkzeug.test import Client

Application = Callable[[dict[str, Any], Callable[..., Any]], Iterable[bytes]]


class LimitedUploads:
    """An S3 application that holds back what is uploaded after the first `limit` objects until it is `released`."""

    def __init__(self, application: Application, limit: int | None) -> None:
        self.application, self.limit = application, limit
        self.released = threading.Event()
        self._uploads, self._lock = 0, threading.Lock()

    def __call__(self, environ: dict[str, Any], start_response: Callable[..., Any]) -> Iterable[bytes]:
        """One request."""
        if environ["REQUEST_METHOD"] == "PUT":
            with self._lock:
                self._uploads += 1
                beyond = self.limit is not None and self._uploads > self.limit
            if beyond and not self.released.is_set():
                self.released.wait()
                start_response("503 Slow Down", [])
                return []
        return self.application(environ, start_response)


def main() -> None:
    bucket, *limit = sys.argv[1:]
    moto = DomainDispatcherApplication(create_backend_app)
    Client(moto).put(f"/{bucket}", base_url="http://127.0.0.1")
    application = LimitedUploads(moto, int(limit[0]) if limit else None)
    server = make_server("127.0.0.1", 0, application, threaded=True, request_handler=MotoRequestHandler)
    threading.Thread(target=server.serve_forever, daemon=True).start()
    print(f"http://127.0.0.1:{server.server_port}", flush=True)
    sys.stdin.readline()  # a line, or the end of the test
    application.released.set()
    sys.stdin.read()


if __name__ == "__main__":
    main()
