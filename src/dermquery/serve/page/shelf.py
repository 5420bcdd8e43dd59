"""Answers that open pages show, kept for their reports: an address carries a key and never what was asked."""

from __future__ import annotations

import secrets
import threading
import time
from collections import OrderedDict
from collections.abc import Callable

from dermquery.serve.service import Answer

__all__ = ["Shelf"]


class Shelf:
    """The last answers, each for its owner, forgotten some time after their last use. Safe to use from several threads.

    Args:
        most: how many.
        seconds: how long after the last use; as ``PreparedQueries``, because an answer holds its query's image.
        clock: seconds that only grow.
    """

    def __init__(self, most: int = 512, seconds: float = 1800.0, clock: Callable[[], float] = time.monotonic) -> None:
        self._most, self._seconds, self._clock = most, seconds, clock
        self._answers: OrderedDict[str, tuple[float, str, Answer]] = OrderedDict()  # the one used longest ago first
        self._lock = threading.Lock()

    def put(self, owner: str, answer: Answer) -> str:
        """Keep an answer; returns its key."""
        key = secrets.token_urlsafe(16)
        with self._lock:
            self._drop_old()
            self._answers[key] = (self._clock(), owner, answer)
            while len(self._answers) > self._most:
                self._answers.popitem(last=False)
        return key

    def get(self, owner: str, key: str) -> Answer | None:
        """An answer of this owner, or None."""
        with self._lock:
            self._drop_old()
            found = self._answers.get(key)
            if found is None or found[1] != owner:
                return None
            self._answers[key] = (self._clock(), *found[1:])
            self._answers.move_to_end(key)
            return found[2]

    def _drop_old(self) -> None:
        oldest = self._clock() - self._seconds
        while self._answers and next(iter(self._answers.values()))[0] < oldest:
            self._answers.popitem(last=False)
