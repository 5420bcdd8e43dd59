"""A bounded waiting line before a few workers: it refuses a crowd, which bounds the memory."""

from __future__ import annotations

import asyncio
import threading
from collections.abc import Callable
from concurrent.futures import Future, ThreadPoolExecutor
from typing import ParamSpec, TypeVar

__all__ = ["Busy", "Line"]

P = ParamSpec("P")
R = TypeVar("R")


class Busy(RuntimeError):  # noqa: N818 - the condition, not a defect
    """The waiting line is full; the work did not begin.

    Attributes:
        line: which one.
        retry_after: seconds to wait before the next attempt.
    """

    def __init__(self, line: str, inside: int, retry_after: int = 2) -> None:
        super().__init__(f"too many requests wait for {line} ({inside}); ask again in a moment")
        self.line, self.retry_after = line, retry_after


class Line:
    """Runs functions in a fixed number of threads, first come, first served.

    Args:
        name: of the work, in messages and thread names.
        workers: calls that run at once.
        waiting: calls that may wait besides; further ones are refused.
    """

    def __init__(self, name: str, workers: int, waiting: int) -> None:
        self.name, self.workers, self.waiting = name, workers, waiting
        self._pool = ThreadPoolExecutor(workers, thread_name_prefix=name)
        self._lock = threading.Lock()
        self._inside = 0

    def __len__(self) -> int:
        """How many calls run or wait."""
        return self._inside

    def submit(self, work: Callable[P, R], /, *args: P.args, **kwargs: P.kwargs) -> Future[R]:
        """Queue a call; cancelling the future before its turn frees the place.

        Raises:
            Busy: every place is taken.
        """
        with self._lock:
            if self._inside >= self.workers + self.waiting:
                raise Busy(self.name, self._inside)
            self._inside += 1
        try:
            future = self._pool.submit(work, *args, **kwargs)
        except BaseException:
            self._leave()
            raise
        future.add_done_callback(self._leave)
        return future

    def run(self, work: Callable[P, R], /, *args: P.args, **kwargs: P.kwargs) -> R:
        """Queue a call and wait for its result in this thread; errors as for :meth:`submit`."""
        return self.submit(work, *args, **kwargs).result()

    async def call(self, work: Callable[P, R], /, *args: P.args, **kwargs: P.kwargs) -> R:
        """Queue a call and await its result; cancelling the coroutine before its turn frees the place."""
        return await asyncio.wrap_future(self.submit(work, *args, **kwargs))

    def close(self) -> None:
        """Finish the calls that run and cancel those that wait."""
        self._pool.shutdown(wait=True, cancel_futures=True)

    def _leave(self, _future: object = None) -> None:
        with self._lock:
            self._inside -= 1
