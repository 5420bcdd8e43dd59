"""A real archive, and one that answers as a test says."""

from __future__ import annotations

import threading
from collections.abc import Callable, Iterator
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer

import pytest

from tests.orthanc import orthanc

__all__ = ["Answer", "Scripted", "orthanc", "scripted"]

Answer = tuple[int, dict[str, str], bytes]


class Scripted:
    """A server on loopback whose answers a function gives.

    Attributes:
        url: its address.
        asked: path and headers of every request.
        answer: called with the path of a request and how many were before it.
    """

    def __init__(self, url: str) -> None:
        self.url = url
        self.asked: list[tuple[str, dict[str, str]]] = []
        self.answer: Callable[[str, int], Answer] = lambda _path, _n: (204, {}, b"")


@pytest.fixture
def scripted() -> Iterator[Scripted]:
    class Handler(BaseHTTPRequestHandler):
        def do_GET(self) -> None:
            status, headers, body = found.answer(self.path, len(found.asked))
            found.asked.append((self.path, {name.lower(): value for name, value in self.headers.items()}))
            self.send_response(status)
            for name, value in {"Content-Length": str(len(body)), **headers}.items():
                self.send_header(name, value)
            self.end_headers()
            self.wfile.write(body)

        def log_message(self, *_: object) -> None:
            pass

    server = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
    found = Scripted(f"http://127.0.0.1:{server.server_port}/dicom-web")
    threading.Thread(target=server.serve_forever, args=(0.01,), daemon=True).start()
    yield found
    server.shutdown()
    server.server_close()
