"""The one store of the service against a model that looks at everything each time."""

from __future__ import annotations

import math
import threading
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass

from hypothesis import settings
from hypothesis import strategies as st
from hypothesis.stateful import RuleBasedStateMachine, initialize, invariant, rule

from dermquery.serve.kept import Kept


class Clock:
    now = 0.0

    def __call__(self) -> float:
        return self.now


@dataclass(frozen=True)
class Value:
    owner: str
    size: int


@dataclass
class Row:
    key: str
    value: Value
    put_at: float
    used_at: float


KEYS, BOUND = st.sampled_from("abcdefgh"), st.none() | st.integers(1, 5)
VALUES = st.builds(Value, st.sampled_from(["ann", "bob"]), st.integers(0, 10))


class KeptMachine(RuleBasedStateMachine):
    """Every bound together, at times that are whole numbers, so that limits are met exactly."""

    @initialize(most=BOUND, each=BOUND, most_bytes=st.none() | st.integers(0, 30), idle=BOUND, lifetime=BOUND)
    def begin(
        self, most: int | None, each: int | None, most_bytes: int | None, idle: int | None, lifetime: int | None
    ) -> None:
        self.bounds = [math.inf if bound is None else bound for bound in (most, each, most_bytes, idle, lifetime)]
        most_, each_, bytes_, idle_, lifetime_ = self.bounds
        self.clock, self.rows = Clock(), list[Row]()
        self.kept = Kept[str, Value](
            most_, idle=idle_, lifetime=lifetime_, most_bytes=bytes_, size=lambda value: value.size,
            most_each=each_, owner=lambda value: value.owner, clock=self.clock,
        )  # fmt: skip

    @rule(seconds=st.integers(1, 4))
    def wait(self, seconds: int) -> None:
        self.clock.now += seconds
        self._expire()

    @rule(key=KEYS, value=VALUES)
    def put(self, key: str, value: Value) -> None:
        most, each, most_bytes, *_ = self.bounds
        assert self.kept.put(key, value) is value
        self.rows = [row for row in self.rows if row.key != key]
        self.rows.append(Row(key, value, self.clock.now, self.clock.now))
        while sum(row.value.owner == value.owner for row in self.rows) > each:
            self.rows.remove(min(self._by_use(), key=lambda row: row.value.owner != value.owner))
        while len(self.rows) > 1 and (len(self.rows) > most or sum(row.value.size for row in self.rows) > most_bytes):
            self.rows.remove(self._by_use()[0])

    @rule(key=KEYS, touch=st.booleans())
    def get(self, key: str, touch: bool) -> None:
        row = next((row for row in self.rows if row.key == key), None)
        assert self.kept.get(key, touch=touch) == (row and row.value)
        if row and touch:
            row.used_at = self.clock.now
            self.rows.remove(row)
            self.rows.append(row)

    @rule(key=KEYS)
    def pop(self, key: str) -> None:
        self.kept.pop(key)
        self.rows = [row for row in self.rows if row.key != key]

    @rule()
    def clear(self) -> None:
        self.kept.clear()
        self.rows.clear()

    @invariant()
    def holds_the_same(self) -> None:
        if hasattr(self, "kept"):
            assert {key: self.kept.get(key, touch=False) for key in "abcdefgh"} == {
                key: next((row.value for row in self.rows if row.key == key), None) for key in "abcdefgh"
            }
            assert len(self.kept) == len(self.rows)

    def _by_use(self) -> list[Row]:
        """The rows, the one used longest ago first; of those used at one time, the one touched first."""
        return sorted(self.rows, key=lambda row: row.used_at)

    def _expire(self) -> None:
        idle, lifetime = self.bounds[3:]
        now = self.clock.now
        self.rows = [row for row in self.rows if now - row.used_at <= idle and now - row.put_at <= lifetime]


TestKept = KeptMachine.TestCase
TestKept.settings = settings(max_examples=50, stateful_step_count=40, deadline=None)


def test_what_expires_leaves_the_memory_with_the_next_use_of_any_key() -> None:
    clock = Clock()
    kept = Kept[tuple[str, str], Value](idle=1800, clock=clock)
    used, unused = Value("ann", 1), Value("ann", 2)
    kept.put(("ann", "used"), used)
    kept.put(("ann", "unused"), unused)
    clock.now = 1700
    assert kept.get(("ann", "used")) is used
    assert kept.get(("bob", "unused")) is None, "a stranger's try is no use of it"
    clock.now = 1801
    kept.get(("ann", "anything"))
    assert ("ann", "unused") not in kept._entries, "an image that nobody uses must not stay in memory"
    assert kept.get(("ann", "used")) is used
    clock.now += 1801
    assert kept.get(("ann", "used")) is None


def test_the_bounds_hold_while_threads_share_it() -> None:
    kept = Kept[int, Value](20, most_bytes=100, size=lambda value: value.size)
    together = threading.Barrier(4)

    def use(start: int) -> None:
        together.wait(10)
        for number in range(start, start + 2000):
            kept.put(number % 50, Value("ann", number % 11))
            kept.get((number * 7) % 50)
            if number % 13 == 0:
                kept.pop(number % 50)

    with ThreadPoolExecutor(4) as pool:
        list(pool.map(use, range(0, 40, 10)))
    assert len(kept) <= 20
    assert kept._bytes == sum(entry.value.size for entry in kept._entries.values()) <= 100


def test_several_calls_can_be_one_step() -> None:
    kept = Kept[str, int](5)
    kept.put("count", 0)

    def count() -> None:
        for _ in range(1000):
            with kept.lock:
                kept.put("count", (kept.get("count") or 0) + 1)

    threads = [threading.Thread(target=count) for _ in range(4)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert kept.get("count") == 4000
