"""Limits of size, time and number, so that nobody can keep the service from the others."""

from __future__ import annotations

import asyncio
import math
import threading
import time
from collections import OrderedDict
from collections.abc import Callable
from contextlib import suppress

from starlette.datastructures import Headers
from starlette.exceptions import HTTPException
from starlette.types import ASGIApp, Message, Receive, Scope, Send

from dermquery.serve.security.identity import RefusedError
from dermquery.serve.security.paths import SOCKET, path_of
from dermquery.serve.security.problems import problem
from dermquery.serve.settings import ServeSettings

__all__ = ["BodyLimit", "Buckets", "TimeLimit", "too_many"]

_JOBS = "/api/v1/jobs"


class Buckets:
    """Token buckets by name: each holds ``capacity`` tokens and fills up evenly.

    Args:
        capacity: tokens of a full bucket, what may be taken at once.
        per_second: tokens that come back in a second.
        most: buckets kept; those not used longest are dropped first. They are full by then or belong to one of many
            addresses of a flood, which no limit per address can stop.
    """

    def __init__(
        self, capacity: float, per_second: float, *, most: int = 20_000, clock: Callable[[], float] = time.monotonic
    ) -> None:
        self._capacity, self._rate, self._most, self._clock = capacity, per_second, most, clock
        self._levels: OrderedDict[str, tuple[float, float]] = OrderedDict()
        self._lock = threading.Lock()

    def take(self, name: str, cost: float = 1) -> float:
        """Take ``cost`` tokens and return 0; or take nothing and return in how many seconds they will be there."""
        with self._lock:
            now = self._clock()
            level = self._level(name, now)
            if level < cost:
                return (cost - level) / self._rate
            self._levels[name] = (level - cost, now)
            self._levels.move_to_end(name)
            while len(self._levels) > self._most:
                self._levels.popitem(last=False)
            return 0.0

    def give_back(self, name: str, cost: float = 1) -> None:
        """Undo :meth:`take`."""
        with self._lock:
            now = self._clock()
            self._levels[name] = (min(self._capacity, self._level(name, now) + cost), now)

    def _level(self, name: str, now: float) -> float:
        level, then = self._levels.get(name, (self._capacity, now))
        return min(self._capacity, level + (now - then) * self._rate)


def too_many(wait: float, what: str = "requests") -> RefusedError:
    """The refusal of somebody who asks too often (429)."""
    seconds = max(1, math.ceil(wait))
    return RefusedError(
        429, "Too many requests", f"Too many {what}; try again in {seconds} s.", {"Retry-After": str(seconds)}
    )


class BodyLimit:
    """Refuses bodies that are too large, by what they announce and by what arrives; nothing more is read then."""

    def __init__(self, app: ASGIApp, settings: ServeSettings) -> None:
        self._app, self._settings = app, settings

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        if scope["type"] != "http":
            await self._app(scope, receive, send)
            return
        limit = self._settings.job_upload_bytes if path_of(scope).startswith(_JOBS) else self._settings.upload_bytes
        refusal = problem(
            413, "Too large", f"The body may have {limit} bytes ({limit / (1 << 20):.4g} MiB); send less.", limit=limit
        )
        announced = Headers(scope=scope).get("content-length", "0")
        if not announced.isdecimal() or int(announced) > limit:
            await refusal(scope, receive, send)
            return
        arrived, started = 0, False

        async def counted() -> Message:
            nonlocal arrived
            message = await receive()
            arrived += len(message.get("body", b""))
            if arrived > limit:
                raise HTTPException(413)
            return message

        async def unless_refused(message: Message) -> None:
            nonlocal started
            if arrived <= limit or started:
                started = True
                await send(message)

        try:
            await self._app(scope, counted, unless_refused)
        except Exception:
            if arrived <= limit or started:
                raise
        if arrived > limit and not started:
            await refusal(scope, receive, send)


class TimeLimit:
    """Answers with 503 if no answer has begun in time, with 408 if the request itself did not arrive in time."""

    def __init__(self, app: ASGIApp, settings: ServeSettings) -> None:
        self._app, self._seconds = app, settings.request_seconds
        self._late: set[asyncio.Task[None]] = set()

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        if scope["type"] != "http" or path_of(scope).startswith(SOCKET):
            await self._app(scope, receive, send)
            return
        begun, arrived, late = asyncio.Event(), False, False

        async def watched() -> Message:
            nonlocal arrived
            message = await receive()
            arrived = arrived or message["type"] == "http.disconnect" or not message.get("more_body", False)
            return message

        async def in_time(message: Message) -> None:
            if late:
                return
            begun.set()
            await send(message)

        task = asyncio.ensure_future(self._run(scope, watched, in_time))
        first = asyncio.ensure_future(begun.wait())
        try:
            await asyncio.wait({task, first}, timeout=self._seconds, return_when=asyncio.FIRST_COMPLETED)
            if begun.is_set() or task.done():
                await task
                return
            late = True
        finally:
            first.cancel()
            if not task.done():
                # Not awaited: a thread that computes cannot be stopped, and the client should not wait for it.
                task.cancel()
                self._late.add(task)
                task.add_done_callback(self._forget)
        await self._refusal(arrived=arrived)(scope, receive, send)

    async def _run(self, scope: Scope, receive: Receive, send: Send) -> None:
        await self._app(scope, receive, send)

    def _forget(self, task: asyncio.Task[None]) -> None:
        self._late.discard(task)
        with suppress(asyncio.CancelledError, Exception):
            task.result()

    def _refusal(self, *, arrived: bool) -> ASGIApp:
        if not arrived:
            detail = f"The request did not arrive within {self._seconds:g} s; send it again, or send less at once."
            return problem(408, "Too slow", detail)
        response = problem(
            503, "Took too long", f"No answer within {self._seconds:g} s; try again later, or ask for less at once."
        )
        response.headers["Retry-After"] = str(math.ceil(self._seconds))
        return response
