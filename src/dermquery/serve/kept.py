"""The one store for what the service keeps in memory for a while: bounded in number and bytes, and expiring."""

from __future__ import annotations

import math
import threading
import time
from collections import OrderedDict
from collections.abc import Callable, Hashable
from dataclasses import dataclass
from typing import Any, Generic, TypeVar

__all__ = ["Kept"]

K = TypeVar("K", bound=Hashable)
V = TypeVar("V")


@dataclass(slots=True)
class _Entry(Generic[V]):
    value: V
    put_at: float
    used_at: float


class Kept(Generic[K, V]):
    """The entries used last. Safe to use from several threads.

    A bound that is exceeded drops the entries that were not used for the longest time; the newest entry always stays.
    Where an entry belongs to somebody, the owner is part of its key, so that nobody else finds it.

    Attributes:
        lock: hold it to make several calls one step.

    Args:
        most: entries.
        idle: seconds without use after which an entry expires.
        lifetime: seconds after :meth:`put` at which an entry expires in any case.
        most_bytes: sum of the values' sizes by ``size``.
        most_each: entries of one owner, which ``owner`` names for a value.
        clock: seconds that only grow.
    """

    def __init__(
        self,
        most: float = math.inf,
        *,
        idle: float = math.inf,
        lifetime: float = math.inf,
        most_bytes: float = math.inf,
        size: Callable[[V], int] = lambda _: 0,
        most_each: float = math.inf,
        owner: Callable[[V], Any] = lambda _: None,
        clock: Callable[[], float] = time.monotonic,
    ) -> None:
        self.lock = threading.RLock()
        self._most, self._idle, self._lifetime, self._clock = most, idle, lifetime, clock
        self._most_bytes, self._size, self._most_each, self._owner = most_bytes, size, most_each, owner
        self._entries: OrderedDict[K, _Entry[V]] = OrderedDict()  # the one used longest ago first
        self._bytes = 0
        self._next = math.inf  # nothing expires before

    def put(self, key: K, value: V) -> V:
        """Keep a value, in place of the key's old one; returns it."""
        with self.lock:
            now = self._drop_expired()
            self.pop(key)
            self._entries[key] = entry = _Entry(value, now, now)
            self._bytes += self._size(value)
            self._next = min(self._next, self._expiry(entry))
            self._make_room(value)
        return value

    def get(self, key: K, *, touch: bool = True) -> V | None:
        """The value of a key, or None; ``touch`` counts as use of it."""
        with self.lock:
            now = self._drop_expired()
            entry = self._entries.get(key)
            if entry is None:
                return None
            if touch:
                entry.used_at = now
                self._entries.move_to_end(key)
            return entry.value

    def pop(self, key: K) -> None:
        """Drop a key if it is there."""
        with self.lock:
            if (entry := self._entries.pop(key, None)) is not None:
                self._bytes -= self._size(entry.value)

    def clear(self) -> None:
        """Drop everything."""
        with self.lock:
            self._entries.clear()
            self._bytes = 0

    def __len__(self) -> int:
        with self.lock:
            self._drop_expired()
            return len(self._entries)

    def _make_room(self, newest: V) -> None:
        if self._most_each < len(self._entries):
            owner = self._owner(newest)
            own = [key for key, entry in self._entries.items() if self._owner(entry.value) == owner]
            for key in own[: max(0, len(own) - int(self._most_each))]:
                self.pop(key)
        while len(self._entries) > 1 and (len(self._entries) > self._most or self._bytes > self._most_bytes):
            self.pop(next(iter(self._entries)))

    def _expiry(self, entry: _Entry[V]) -> float:
        return min(entry.used_at + self._idle, entry.put_at + self._lifetime)

    def _drop_expired(self) -> float:
        """Drop what has expired; returns the time."""
        now = self._clock()
        if now > self._next:
            for key in [key for key, entry in self._entries.items() if self._expiry(entry) < now]:
                self.pop(key)
            self._next = min(map(self._expiry, self._entries.values()), default=math.inf)
        return now
