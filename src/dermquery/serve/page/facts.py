"""What the pages say about the base, counted at most once a minute: value counts, and cases to try a search with."""

from __future__ import annotations

import threading
import time
from collections.abc import Callable, Mapping
from typing import TypeVar, cast

from dermquery.data.case import CASE_FIELDS, Kind
from dermquery.store.casebase import CaseBase
from dermquery.store.duplicates import DuplicateGroup, find_duplicates
from dermquery.store.filters import AllOf, Equals, Filter
from dermquery.store.projection import Projection, project

__all__ = ["BaseFacts"]

T = TypeVar("T")
_SECONDS = 60.0
_EXAMPLES = 6
_COUNTED = tuple(name for name, field in CASE_FIELDS.items() if field.kind in (Kind.CHOICE, Kind.WORD, Kind.DAY))
_MOST_COMPARED = 20_000


class BaseFacts:
    """Counts of one base. Safe to use from several threads.

    Args:
        base: the case base.
        clock: seconds that only grow.
    """

    def __init__(self, base: CaseBase, clock: Callable[[], float] = time.monotonic) -> None:
        self._base, self._clock = base, clock
        self._kept: dict[str, tuple[float, object]] = {}
        self._lock = threading.Lock()
        self._counting: dict[str, threading.Lock] = {}
        self._changes = 0

    def counts(self, field: str) -> Mapping[str | float | None, int]:
        """How often each value of a field occurs, most frequent first; None counts the cases without one."""
        return self._fresh(field, lambda: self._base.store.value_counts(field))

    def fetch(self) -> None:
        """Count what every page shows, and load the model, so that building a page waits for nothing."""
        for field in _COUNTED:
            self.counts(field)
        _ = self.examples, self._base.model

    @property
    def count(self) -> int:
        """Cases in the base."""
        return sum(self.counts("diagnosis").values())

    @property
    def examples(self) -> tuple[tuple[str, str | None], ...]:
        """Some cases with their diagnoses: of every diagnosis in turn, by ``case_id``."""
        return self._fresh("examples ", self._choose)

    @property
    def map(self) -> Projection:
        """The base on a plane."""
        return self._fresh("map ", lambda: project(self._base))

    def find_duplicates(self) -> list[DuplicateGroup] | None:
        """Cases that show the same image; None for a base that is too large to compare while somebody waits."""
        if self.count > _MOST_COMPARED:
            return None
        scan = self._base.store.scan
        return self._fresh("duplicates ", lambda: find_duplicates(row for rows in scan(vectors=False) for row in rows))

    def forget(self) -> None:
        """Count again, because the base changed."""
        with self._lock:
            self._kept.clear()
            self._changes += 1

    def _choose(self) -> tuple[tuple[str, str | None], ...]:
        names = [str(name) for name in self.counts("diagnosis") if name is not None]
        found: list[list[tuple[str, str | None]]] = []
        for name in names[:_EXAMPLES]:
            where = Filter(condition=AllOf(conditions=(Equals(field="diagnosis", value=name),)))
            rows = self._base.store.page(where, limit=_EXAMPLES)
            found.append([(row.case.case_id, row.case.diagnosis) for row in rows])
        in_turn = [cases[place] for place in range(_EXAMPLES) for cases in found if place < len(cases)]
        return tuple(in_turn[:_EXAMPLES])

    def _fresh(self, name: str, count: Callable[[], T]) -> T:
        """What is kept, or counted now: by one thread, while the others that ask for the same wait for it."""
        with self._lock:
            counting = self._counting.setdefault(name, threading.Lock())
        with counting:
            with self._lock:
                kept, changes = self._kept.get(name), self._changes
            if kept is not None and kept[0] > self._clock():
                return cast("T", kept[1])
            value = count()
            with self._lock:
                if changes == self._changes:  # else it is of the base before
                    self._kept[name] = (self._clock() + _SECONDS, value)
            return value
