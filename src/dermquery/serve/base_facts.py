"""Facts about the base for the pages, counted at most once a minute: values, example cases, map, duplicates."""

from __future__ import annotations

import threading
import time
from collections.abc import Callable, Mapping
from typing import TypeVar, cast

from dermquery.data.case import CASE_FIELDS, Kind
from dermquery.serve.kept import Kept
from dermquery.store.casebase import CaseBase
from dermquery.store.duplicates import DuplicateGroup, find_duplicates
from dermquery.store.filters import AllOf, Equals, Filter
from dermquery.store.projection import Projection, project

__all__ = ["BaseFacts"]

T = TypeVar("T")
_EXAMPLES = 6
_COUNTED = tuple(name for name, field in CASE_FIELDS.items() if field.kind not in (Kind.ID, Kind.PROSE))
_MOST_COMPARED = 20_000


class BaseFacts:
    """Counts of one base. Safe to use from several threads."""

    def __init__(self, base: CaseBase, clock: Callable[[], float] = time.monotonic) -> None:
        self._base = base
        self._kept = Kept[str, object](64, lifetime=60, clock=clock)
        self._counting: dict[str, threading.Lock] = {}
        self._changes = 0

    def counts(self, field: str) -> Mapping[str | float | None, int]:
        """How often each value of a field occurs, most frequent first; None counts the cases without one."""
        return self._fresh(field, lambda: self._base.store.value_counts(field))

    def fetch(self) -> None:
        """Count what every page shows and load the model, so that building a page waits for neither."""
        for field in _COUNTED:
            self.counts(field)
        _ = self.examples, self._base.model

    @property
    def count(self) -> int:
        """Cases in the base."""
        return sum(self.counts("diagnosis").values())

    @property
    def examples(self) -> tuple[tuple[str, str | None], ...]:
        """A few cases to try a search with, and their diagnoses: one of each diagnosis in turn, by ``case_id``."""
        return self._fresh("examples ", self._choose)

    @property
    def map(self) -> Projection:
        """The base on a plane."""
        return self._fresh("map ", lambda: project(self._base))

    def find_duplicates(self) -> list[DuplicateGroup] | None:
        """Groups of cases that show the same image; None if the base is too large to compare while somebody waits."""
        if self.count > _MOST_COMPARED:
            return None
        scan = self._base.store.scan
        return self._fresh("duplicates ", lambda: find_duplicates(row for rows in scan(vectors=False) for row in rows))

    def forget(self) -> None:
        """Drop all counts, because the base changed."""
        with self._kept.lock:
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
        """A kept value, or a new one, which one thread counts while others that ask for it wait."""
        with self._kept.lock:
            counting = self._counting.setdefault(name, threading.Lock())
        with counting:
            with self._kept.lock:
                kept, changes = self._kept.get(name), self._changes
            if kept is not None:
                return cast("T", kept)
            value = count()
            with self._kept.lock:
                if changes == self._changes:  # else the base changed while it was counted
                    self._kept.put(name, value)
            return value
