"""Limits of size, time and rate, so that nobody can block the service for others."""

from __future__ import annotations

import asyncio
import logging
import math
import time
from collections.abc import Callable

from starlette.datastructures import Headers
from starlette.exceptions import HTTPException
from starlette.types import ASGIApp, Message, Receive, Scope, Send

from dermquery.serve.kept import Kept
from dermquery.serve.layer import Layer
from dermquery.serve.security.identity import RefusedError
from dermquery.serve.security.paths import path_of
from dermquery.serve.settings import ServeSettings

__all__ = ["BodyLimit", "Buckets", "TimeLimit", "too_many"]

_JOBS = "/api/v1/jobs"
_PACE = 100_000  # bytes of a body that extend its time by a second
_log = logging.getLogger("dermquery.serve")


class Buckets:
    """Token buckets by name: each holds ``capacity`` tokens and refills evenly.

    Args:
        capacity: tokens of a full bucket.
        per_second: tokens that return in a second.
        most: buckets kept. The ones dropped are full again, or belong to a flood of addresses, which no limit per
            address can stop.
    """

    def __init__(
        self, capacity: float, per_second: float, *, most: int = 20_000, clock: Callable[[], float] = time.monotonic
    ) -> None:
        self._capacity, self._rate, self._clock = capacity, per_second, clock
        self._levels = Kept[str, tuple[float, float]](
            most, clock=clock
        )  # tokens, and the time at which there were so many

    def take(self, name: str, cost: float = 1) -> float:
        """Take ``cost`` tokens and return 0, or take none and return the seconds until there are enough."""
        with self._levels.lock:
            now = self._clock()
            level = self._level(name, now)
            if level < cost:
                return (cost - level) / self._rate
            self._levels.put(name, (level - cost, now))
            return 0.0

    def _level(self, name: str, now: float) -> float:
        level, then = self._levels.get(name, touch=False) or (self._capacity, now)
        return min(self._capacity, level + (now - then) * self._rate)


def too_many(wait: float, what: str = "requests") -> RefusedError:
    """The refusal of a principal or address that asks too often (429)."""
    seconds = max(1, math.ceil(wait))
    return RefusedError(
        429, "Too many requests", f"Too many {what}; try again in {seconds} s.", {"Retry-After": str(seconds)}
    )


class BodyLimit(Layer):
    """Refuses bodies that are too large, by their announced or actual length, and reads no further."""

    def __init__(self, app: ASGIApp, settings: ServeSettings) -> None:
        super().__init__(app)
        self._settings = settings

    async def request(self, scope: Scope, receive: Receive, send: Send) -> None:
        limit = self._settings.job_upload_bytes if path_of(scope).startswith(_JOBS) else self._settings.upload_bytes
        words = f"The body may have {limit} bytes ({limit / (1 << 20):.4g} MiB); send less at once."
        too_large = RefusedError(413, "Too large", words).answer()
        announced = Headers(scope=scope).get("content-length", "0")
        if not announced.isdecimal() or int(announced) > limit:
            await too_large(scope, receive, send)
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
            await too_large(scope, receive, send)


class TimeLimit(Layer):
    """Answers 408 if a request does not arrive in time, and 503 if its answer does not begin in time.

    A body earns more time as it arrives: a large one gets through a slow line, and a trickle runs out of time. An
    answer that has begun may take as long as it needs.
    """

    def __init__(self, app: ASGIApp, settings: ServeSettings) -> None:
        super().__init__(app)
        self._seconds = settings.request_seconds
        self._late: set[asyncio.Task[None]] = set()

    async def request(self, scope: Scope, receive: Receive, send: Send) -> None:
        headers, clock = Headers(scope=scope), asyncio.get_running_loop().time
        arrived = headers.get("content-length", "0") == "0" and "transfer-encoding" not in headers
        over, limit = False, asyncio.timeout(self._seconds)

        async def timed_receive() -> Message:
            nonlocal arrived
            message = await receive()
            if not arrived and not over and not limit.expired() and (until := limit.when()) is not None:
                arrived = message["type"] == "http.disconnect" or not message.get("more_body", False)
                earned = len(message.get("body", b"")) / _PACE
                limit.reschedule(clock() + self._seconds if arrived else until + earned)
            return message

        async def timed_send(message: Message) -> None:
            if not over and not limit.expired():
                limit.reschedule(None)
                await send(message)

        answering = asyncio.ensure_future(self._app(scope, timed_receive, timed_send))
        try:
            async with limit:
                await asyncio.shield(answering)
        except TimeoutError:
            if not limit.expired():
                raise
        finally:
            over = True
            if not answering.done():
                # Not awaited: a computing thread cannot be stopped, and nobody should wait for it.
                answering.cancel()
                self._late.add(answering)
                answering.add_done_callback(self._forget)
        if limit.expired():
            await self._refusal(arrived=arrived).answer()(scope, receive, send)

    def _refusal(self, *, arrived: bool) -> RefusedError:
        limit = f"{self._seconds:g} s"
        if not arrived:
            return RefusedError(408, "Too slow", f"The request did not arrive within {limit}; send less at once.")
        wait = {"Retry-After": str(math.ceil(self._seconds))}
        return RefusedError(503, "Took too long", f"No answer within {limit}; try again later, or ask for less.", wait)

    def _forget(self, task: asyncio.Task[None]) -> None:
        self._late.discard(task)
        if not task.cancelled() and (error := task.exception()) is not None:
            _log.warning("a request failed after its time was up: %s", type(error).__qualname__)
