"""Limits of size, time and number."""

from __future__ import annotations

import asyncio
import threading
from collections.abc import Awaitable, Callable, Iterator
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from dermquery.serve.security.limits import Buckets, TimeLimit
from dermquery.serve.settings import ServeSettings
from tests.loops import run_alone
from tests.serve.security.app import Service, make_service

LIMIT = 2048


@pytest.fixture
def service(tmp_path: Path) -> Service:
    return make_service(tmp_path, upload_bytes=LIMIT, job_upload_bytes=2 * LIMIT)


def in_parts(size: int, part: int = 100) -> Iterator[bytes]:
    """A body whose length is not announced."""
    for at in range(0, size, part):
        yield b"x" * min(part, size - at)


@pytest.mark.parametrize("size", [0, 1, LIMIT, LIMIT + 1, 10 * LIMIT])
@pytest.mark.parametrize("announced", [True, False])
@pytest.mark.parametrize(("path", "limit"), [("/api/v1/body", LIMIT), ("/api/v1/jobs", 2 * LIMIT)])
def test_bodies(service: Service, path: str, limit: int, size: int, announced: bool) -> None:
    answer = service.client().post(path, content=b"x" * size if announced else in_parts(size))
    if size <= limit:
        assert answer.json() == {"bytes": size}
    else:
        assert answer.status_code == 413
        assert answer.headers["content-type"] == "application/problem+json"
        assert f"may have {limit} bytes" in answer.json()["detail"]


def test_forms(service: Service) -> None:
    client = service.client()
    assert client.post("/api/v1/form", files={"file": b"x" * 1000}).json() == {"bytes": 1000}
    assert client.post("/api/v1/form", files={"file": b"x" * LIMIT}).status_code == 413


def test_nothing_is_read_beyond_the_limit(service: Service) -> None:
    read: list[int] = []

    def endless() -> Iterator[bytes]:
        while len(read) < 10_000:
            read.append(1)
            yield b"x" * 100

    assert service.client().post("/api/v1/body", content=endless()).status_code == 413


@pytest.mark.parametrize("announced", ["-1", "1e3", "x", "0x10", "99999999999999999999"])
def test_lengths_that_are_none(service: Service, announced: str) -> None:
    answer = service.client().post("/api/v1/body", content=b"x", headers={"Content-Length": announced})
    assert answer.status_code == 413


def test_late_answers_through_the_chain(tmp_path: Path) -> None:
    client = make_service(tmp_path, request_seconds=0.3).client()
    answer = client.get("/api/v1/slow", params={"seconds": 3600})
    assert answer.status_code == 503
    assert answer.headers["content-type"] == "application/problem+json"
    assert answer.headers["retry-after"] == "1"
    assert answer.headers["x-content-type-options"] == "nosniff"


class VirtualLoop(asyncio.SelectorEventLoop):
    """An event loop whose time jumps to the next event, so that nothing here depends on how fast the machine is."""

    _selector: Any  # asyncio's own

    def __init__(self) -> None:
        super().__init__()
        self._now, select = 0.0, self._selector.select

        def jump(timeout: float | None = None) -> Any:
            events = select(0)
            if not events and timeout:
                self._now += timeout
            return events

        self._selector.select = jump

    def time(self) -> float:
        return self._now


async def exchange(app: Any, parts: list[tuple[float, bytes]], seconds: float) -> tuple[list[Any], float]:
    """Send a body in parts, each after a while, through the time limit; gives what came back and how long it took."""
    sent: list[Any] = []
    left = list(parts)

    async def receive() -> dict[str, Any]:
        if not left:
            await asyncio.sleep(1e9)
        wait, body = left.pop(0)
        await asyncio.sleep(wait)
        return {"type": "http.request", "body": body, "more_body": bool(left)}

    async def send(message: Any) -> None:
        sent.append(message)

    scope = {"type": "http", "path": "/", "method": "POST", "headers": [(b"transfer-encoding", b"chunked")]}
    limit = TimeLimit(app, ServeSettings(base="b", state=Path("unused"), request_seconds=seconds))
    clock = asyncio.get_running_loop().time
    begun = clock()
    await limit(scope, receive, send)
    return sent, clock() - begun


def run(app: Any, parts: list[tuple[float, bytes]], seconds: float) -> tuple[int, float]:
    sent, took = run_alone(exchange(app, parts, seconds), loop=VirtualLoop)
    status: int = sent[0]["status"]
    return status, took


def app_that(before: Callable[[Any], Awaitable[None]], *, after: float = 0) -> Any:
    async def app(_: Any, receive: Any, send: Any) -> None:
        await before(receive)
        await send({"type": "http.response.start", "status": 200, "headers": []})
        await asyncio.sleep(after)
        await send({"type": "http.response.body", "body": b"done"})

    return app


async def read_all(receive: Any) -> None:
    while (await receive())["more_body"]:
        pass


def thinking(seconds: float) -> Callable[[Any], Awaitable[None]]:
    async def read_and_think(receive: Any) -> None:
        await read_all(receive)
        await asyncio.sleep(seconds)

    return read_and_think


@pytest.mark.parametrize(
    ("parts", "think", "after", "expected"),
    [
        pytest.param([(0, b"x")], 29, 0, (200, 29), id="in time"),
        pytest.param([(0, b"x")], 31, 0, (503, 30), id="late"),
        pytest.param([(0, b"x")], 29, 500, (200, 529), id="what has begun may go on"),
        pytest.param([(29, b"x")], 29, 0, (200, 58), id="the answer to a slow body has its own time"),
        pytest.param([(31, b"x")], 0, 0, (408, 30), id="a body that does not come"),
        pytest.param([(1, b"x")] * 100, 0, 0, (408, pytest.approx(30, abs=0.01)), id="a body that trickles"),
        pytest.param([(1, b"x" * 200_000)] * 100, 0, 0, (200, 100), id="a large body on a slow line"),
    ],
)
def test_time(parts: list[tuple[float, bytes]], think: float, after: float, expected: tuple[int, float]) -> None:
    assert run(app_that(thinking(think), after=after), parts, 30) == expected


def test_an_answer_that_begins_before_its_body_is_read_has_time() -> None:
    async def early(_: Any, receive: Any, send: Any) -> None:
        await send({"type": "http.response.start", "status": 200, "headers": []})
        await read_all(receive)
        await send({"type": "http.response.body", "body": b"done"})

    sent, took = run_alone(exchange(early, [(9, b"x")] * 9, 10), loop=VirtualLoop)
    assert ([message["type"] for message in sent], took) == (["http.response.start", "http.response.body"], 81)


def test_a_thread_that_cannot_be_stopped_keeps_nobody_waiting() -> None:
    from starlette.concurrency import run_in_threadpool

    answered = threading.Event()

    async def compute(_: Any) -> None:
        assert await run_in_threadpool(answered.wait, 20), "the refusal waited for the thread"

    async def both() -> list[Any]:
        sent, _ = await exchange(app_that(compute), [(0, b"")], 0.2)
        answered.set()
        await asyncio.sleep(0.2)
        return sent

    sent = run_alone(both())
    assert (sent[0]["status"], len(sent)) == (408, 2), "a late answer goes nowhere"


def test_errors_pass_through() -> None:
    async def fail(_: Any) -> None:
        raise RuntimeError("a defect")

    with pytest.raises(RuntimeError, match="a defect"):
        run(app_that(fail), [(0, b"")], 5)


class Clock:
    now = 0.0

    def __call__(self) -> float:
        return self.now


@given(
    capacity=st.integers(1, 20),
    rate=st.floats(0.1, 10),
    steps=st.lists(st.tuples(st.floats(0, 5), st.floats(0.1, 1)), max_size=60),
)
def test_never_more_than_the_rate_and_never_less(capacity: int, rate: float, steps: list[tuple[float, float]]) -> None:
    """What is let through in any time is at most a full bucket and what flowed in; and a wait that is kept suffices."""
    clock = Clock()
    buckets = Buckets(capacity, rate, clock=clock)
    taken = 0.0
    for pause, cost in steps:
        clock.now += pause
        wait = buckets.take("x", cost)
        if wait:
            clock.now += wait * (1 + 1e-9) + 1e-9
            assert buckets.take("x", cost) == 0
        taken += cost
        assert taken <= capacity + rate * clock.now + 1e-6


def test_buckets_are_apart() -> None:
    buckets = Buckets(2, 1, clock=Clock())
    assert [buckets.take("a") > 0 for _ in range(3)] == [False, False, True]
    assert buckets.take("b") == 0


def test_a_flood_of_addresses_does_not_fill_the_memory() -> None:
    buckets = Buckets(1, 1, most=100, clock=Clock())
    for i in range(1000):
        buckets.take(f"address {i}")
    assert len(buckets._levels) == 100
