"""The server in a process of its own: connections on which nothing arrives, and its end."""

from __future__ import annotations

import socket
import threading
import time
from collections.abc import Iterator
from pathlib import Path

import pytest

from dermquery.serve import server
from dermquery.serve.security.addresses import is_in
from dermquery.serve.settings import ServeSettings
from dermquery.store.casebase import CaseBase
from tests.attacks.__main__ import _is_open
from tests.attacks.images import LARGE, SIDE
from tests.attacks.target import Target, attacked
from tests.serve.conftest import Served, serving
from tests.store.encoder import ProjectionEncoder
from tests.waiting import until


@pytest.fixture
def target(tmp_path: Path) -> Iterator[Target]:
    with attacked(tmp_path) as running:
        yield running


def connections(port: int, address: str, number: int, sent: bytes) -> list[socket.socket]:
    made = []
    for _ in range(number):
        connection = socket.socket()
        connection.bind((address, 0))
        connection.settimeout(5)
        connection.connect(("127.0.0.1", port))
        try:
            connection.sendall(sent)
        except OSError:  # closed already
            continue
        made.append(connection)
    return made


@pytest.fixture
def patient(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[Served]:
    monkeypatch.setattr(server, "_SECONDS_TO_ASK", 0.5)
    base = CaseBase.create(tmp_path / "base", ProjectionEncoder())
    with serving(base, tmp_path / "state") as running:
        yield running


@pytest.mark.parametrize("sent", [b"", b"GET", b"GET /healthz HTTP/1.1\r\nHost: 127.0.0.1\r\nX-Slow: "])
def test_a_connection_on_which_no_request_arrives_is_closed(patient: Served, sent: bytes) -> None:
    port = int(patient.url.rpartition(":")[2])
    held = connections(port, "127.0.0.1", 3, sent)
    assert all(map(_is_open, held))
    until(lambda: not any(map(_is_open, held)))


def _whole(held: socket.socket) -> bytes:
    """An answer of JSON, whose head and body may arrive apart."""
    found = b""
    while not found.endswith(b"}"):
        found += held.recv(1000)
    return found


def test_the_next_request_of_a_connection_has_its_time_too(patient: Served) -> None:
    port = int(patient.url.rpartition(":")[2])
    request = b"GET /healthz HTTP/1.1\r\nHost: 127.0.0.1\r\n\r\n"
    (held,) = connections(port, "127.0.0.1", 1, request)
    assert _whole(held).startswith(b"HTTP/1.1 200")
    time.sleep(0.8)  # an idle connection is another matter: it may stay for a while
    held.sendall(request)
    assert _whole(held).startswith(b"HTTP/1.1 200")
    held.sendall(b"GET /heal")
    until(lambda: not _is_open(held))


def test_one_address_has_not_every_connection(patient: Served, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(server, "_SECONDS_TO_ASK", 600)  # none is closed because it says nothing
    port = int(patient.url.rpartition(":")[2])
    held = connections(port, "127.0.0.2", 100, b"GET")
    until(lambda: sum(map(_is_open, held)) <= 64)
    (other,) = connections(port, "127.0.0.3", 1, b"GET /healthz HTTP/1.1\r\nHost: 127.0.0.1\r\n\r\n")
    assert other.recv(1000).startswith(b"HTTP/1.1 200")


def test_a_proxy_that_is_trusted_shares_them_itself(tmp_path: Path) -> None:
    options = server.server_options(ServeSettings(base=".", state=tmp_path, trusted_proxies=("10.0.0.0/8", "::1")))
    assert [str(network) for network in options["http"].trusted] == ["10.0.0.0/8", "::1/128"]  # type: ignore[attr-defined]
    for address, is_one in (("10.1.2.3", True), ("11.1.2.3", False), ("::1", True), ("", False), ("x", False)):
        assert is_in(address, options["http"].trusted) is is_one  # type: ignore[attr-defined]


def test_it_ends_within_seconds_whatever_is_running(target: Target) -> None:
    """Images that are being decoded, an upload that stalls, a half request, and a client that does not read."""
    slow = LARGE["PNG"](SIDE)
    for _ in range(4):
        threading.Thread(target=target.search, args=("attacker", slow), daemon=True).start()
    key = f"X-API-Key: {target.keys['curator']}\r\n"
    head = f"Host: 127.0.0.1\r\n{key}Content-Type: multipart/form-data; boundary=b\r\nContent-Length: 1000\r\n\r\n"
    held = connections(target.port, "127.0.0.1", 3, f"POST /api/v1/jobs HTTP/1.1\r\n{head}--b".encode())
    held += connections(target.port, "127.0.0.1", 3, b"GET /heal")
    held += connections(target.port, "127.0.0.1", 3, b"GET /api/v1/openapi.json HTTP/1.1\r\nHost: 127.0.0.1\r\n\r\n")
    time.sleep(0.5)
    assert target.end() < 10, "as docs/deployment.md promises"
    for connection in held:
        connection.close()
