"""A real server on loopback over a small base, and its client."""

from __future__ import annotations

import functools
import threading
import time
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import httpx
import pytest
import uvicorn
from fastapi import FastAPI

from dermquery.client import Client
from dermquery.data.case import Case
from dermquery.data.decoding import Decoders
from dermquery.serve.app import create_app
from dermquery.serve.server import server_options
from dermquery.serve.service import SearchService
from dermquery.serve.settings import ServeSettings
from dermquery.store.casebase import CaseBase
from tests.store.conftest import make_cases
from tests.store.encoder import ProjectionEncoder
from tests.waiting import until

# A busy machine answers late, and that is no failure: httpx would give up after five seconds.
for part in ("connect", "read", "write", "pool"):
    setattr(httpx._config.DEFAULT_TIMEOUT_CONFIG, part, 300.0)
# Every client reads the certificates of all authorities anew, also for plain HTTP on loopback.
httpx._transports.default.create_ssl_context = functools.cache(httpx._config.create_ssl_context)  # type: ignore[attr-defined]


def _start_one(self: Decoders) -> None:
    """Of the decoders of a service, the one that the first image takes; most tests need no other."""
    self._all[-1].start()


Decoders.start = _start_one  # type: ignore[method-assign]


@dataclass(frozen=True)
class Served:
    """A service that runs in a thread of this process."""

    url: str
    app: FastAPI
    base: CaseBase
    state: Path
    cases: Sequence[Case]

    @property
    def service(self) -> SearchService:
        service: SearchService = self.app.state.service
        return service


@contextmanager
def serving(
    base: CaseBase, state: Path, cases: Sequence[Case] = (), *, page: bool = False, **changes: Any
) -> Iterator[Served]:
    """Run a service until the block ends; it is ready when the block begins. A process can have one with the page."""
    values = {"rate_per_minute": 10_000_000, "port": 0, **changes}
    settings = ServeSettings(base=str(base.uri), state=state, **values)
    app = create_app(settings, base, page=page)
    options = server_options(settings)
    server = uvicorn.Server(uvicorn.Config(app, **options, log_level="error"))  # type: ignore[arg-type]
    thread = threading.Thread(target=server.run, daemon=True)
    thread.start()
    try:
        while not server.started:
            assert thread.is_alive(), "the server ended before it began"
            time.sleep(0.01)
        port = server.servers[0].sockets[0].getsockname()[1]
        served = Served(f"http://127.0.0.1:{port}", app, base, state, cases)
        until(lambda: served.service.warmed)
        with Client(served.url) as client:
            until(client.ready)
        yield served
    finally:
        server.should_exit = True
        thread.join(30)


@pytest.fixture(scope="session")
def served(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Served]:
    """The shipped demo model over two dozen drawn lesions; no test may change its cases."""
    folder = tmp_path_factory.mktemp("served")
    cases = make_cases(folder / "cases", 24)
    base = CaseBase.create(folder / "base", "demo")
    base.add(cases)
    with serving(base, folder / "state", cases) as running:
        yield running


@pytest.fixture(scope="session")
def client(served: Served) -> Iterator[Client]:
    with Client(served.url) as made:
        yield made


@pytest.fixture
def own(tmp_path: Path) -> Iterator[Served]:
    """A service of this test's own, over a dozen cases and an encoder that needs no weights."""
    cases = make_cases(tmp_path / "cases", 12)
    base = CaseBase.create(tmp_path / "base", ProjectionEncoder())
    base.add(cases)
    with serving(base, tmp_path / "state", cases) as running:
        yield running


@pytest.fixture
def own_client(own: Served) -> Iterator[Client]:
    with Client(own.url) as made:
        yield made


@pytest.fixture(scope="session")
def shared(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Served]:
    """A service with the same encoder that many examples use; each puts in cases of its own and takes them out."""
    folder = tmp_path_factory.mktemp("shared")
    cases = make_cases(folder / "cases", 4)
    base = CaseBase.create(folder / "base", ProjectionEncoder())
    base.add(cases)
    with serving(base, folder / "state", cases) as running:
        yield running
