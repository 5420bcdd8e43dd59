"""A bounded waiting line before a few workers, shared fairly: it refuses a crowd, which bounds the memory.

Whoever asks has a turn after everybody else who asks, however much they ask for, and never every worker. A full line
makes room for somebody who holds less of it than others by sending away the last one of whoever holds most.
"""

from __future__ import annotations

import asyncio
import contextvars
import threading
import time
from collections import Counter, OrderedDict, deque
from collections.abc import Callable, Iterator
from concurrent.futures import Future, ThreadPoolExecutor
from contextlib import contextmanager
from dataclasses import dataclass
from typing import Any, ParamSpec, TypeVar

__all__ = ["Busy", "Line", "asking", "who_asks"]

P = ParamSpec("P")
R = TypeVar("R")

_ASKS: contextvars.ContextVar[str] = contextvars.ContextVar("asks", default="")


@contextmanager
def asking(owner: str) -> Iterator[None]:
    """Whatever is done within counts as asked for by a principal or address; without, by the service itself."""
    token = _ASKS.set(owner)
    try:
        yield
    finally:
        _ASKS.reset(token)


def who_asks() -> str:
    """The principal or address that :func:`asking` named last; empty for the service itself."""
    return _ASKS.get()


class Busy(RuntimeError):  # noqa: N818 - the condition, not a defect
    """The waiting line is full; the work did not begin.

    Attributes:
        line: which one.
        retry_after: seconds to wait before the next attempt.
    """

    def __init__(self, line: str, inside: int, retry_after: int = 2) -> None:
        super().__init__(f"too many requests wait for {line} ({inside}); ask again in a moment")
        self.line, self.retry_after = line, retry_after


@dataclass(frozen=True, eq=False)
class _Call:
    owner: str
    future: Future[Any]
    work: Callable[[], Any]
    since: float


class Line:
    """Runs functions in a fixed number of threads, in turn for each who asks.

    Args:
        name: of the work, in messages and thread names.
        workers: calls that run at once; of several, one principal has all but one at most. The service itself may
            have all.
        waiting: calls that may wait besides; further ones are refused.
    """

    def __init__(self, name: str, workers: int, waiting: int) -> None:
        self.name, self.workers, self.waiting = name, workers, waiting
        self._each = max(1, workers - 1)
        self._pool = ThreadPoolExecutor(workers, thread_name_prefix=name)
        self._lock = threading.RLock()
        self._queues: OrderedDict[str, deque[_Call]] = OrderedDict()  # whose turn is next first
        self._running: Counter[str] = Counter()
        self._closed = False

    def __len__(self) -> int:
        """How many calls run or wait."""
        with self._lock:
            return self._running.total() + sum(map(len, self._queues.values()))

    def waited(self) -> float:
        """Seconds for which somebody waits who has nothing running; 0 if nobody does."""
        with self._lock:
            since = [calls[0].since for owner, calls in self._queues.items() if not self._running[owner]]
        return time.monotonic() - min(since) if since else 0.0

    def submit(self, work: Callable[P, R], /, *args: P.args, **kwargs: P.kwargs) -> Future[R]:
        """Queue a call; cancelling the future before its turn frees the place.

        The work, and what it submits to other lines, counts as asked for by whoever asks now.

        Raises:
            Busy: every place is taken.
        """
        context, future = contextvars.copy_context(), Future[R]()
        call = _Call(who_asks(), future, lambda: context.run(work, *args, **kwargs), time.monotonic())
        with self._lock:
            if self._closed:
                raise Busy(self.name, len(self))
            if len(self) >= self.workers + self.waiting:
                self._make_room(call.owner)
            self._queues.setdefault(call.owner, deque()).append(call)
            self._start()
        future.add_done_callback(lambda _: self._drop(call))
        return future

    def run(self, work: Callable[P, R], /, *args: P.args, **kwargs: P.kwargs) -> R:
        """Queue a call and wait for its result in this thread; errors as for :meth:`submit`."""
        return self.submit(work, *args, **kwargs).result()

    async def call(self, work: Callable[P, R], /, *args: P.args, **kwargs: P.kwargs) -> R:
        """Queue a call and await its result; cancelling the coroutine before its turn frees the place."""
        return await asyncio.wrap_future(self.submit(work, *args, **kwargs))

    def close(self) -> None:
        """Finish the calls that run and cancel those that wait."""
        with self._lock:
            self._closed = True
            waiting = [call for calls in self._queues.values() for call in calls]
        for call in waiting:
            call.future.cancel()
        self._pool.shutdown(wait=True)

    def _make_room(self, owner: str) -> None:
        """Send away the last call of whoever holds most, or refuse ``owner``, who holds as much."""
        held = self._running + Counter({name: len(calls) for name, calls in self._queues.items()})
        most, n = max(((name, held[name]) for name in self._queues), key=lambda pair: pair[1], default=(owner, 0))
        if n <= held[owner] + 1:
            raise Busy(self.name, len(self))
        last = self._queues[most].pop()
        self._tidy(most)
        last.future.set_exception(Busy(self.name, held.total()))

    def _start(self) -> None:
        """Begin what may begin; the caller holds the lock."""
        while self._running.total() < self.workers:
            owner = next((name for name in self._queues if not name or self._running[name] < self._each), None)
            if owner is None:
                return
            call = self._queues[owner].popleft()
            self._queues.move_to_end(owner)
            self._tidy(owner)
            if call.future.set_running_or_notify_cancel():
                self._running[owner] += 1
                self._pool.submit(self._run, call)

    def _run(self, call: _Call) -> None:
        try:
            result = call.work()
        except BaseException as error:
            self._leave(call)
            call.future.set_exception(error)
        else:
            self._leave(call)
            call.future.set_result(result)

    def _leave(self, call: _Call) -> None:
        with self._lock:
            self._running[call.owner] -= 1
            self._running += Counter()  # forgets those at zero
            if not self._closed:
                self._start()

    def _drop(self, call: _Call) -> None:
        """Forget a call that was cancelled before its turn."""
        with self._lock:
            if call.owner in self._queues and call in self._queues[call.owner]:
                self._queues[call.owner].remove(call)
                self._tidy(call.owner)

    def _tidy(self, owner: str) -> None:
        if not self._queues[owner]:
            del self._queues[owner]
