"""An index and one version of its table: which vectors stand for a row, and which of them a filter lets through."""

from __future__ import annotations

from dataclasses import dataclass, field
from functools import cached_property
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from dermquery.model.alignment import Vectors
from dermquery.store.filters import AllOf, Filter, Not
from dermquery.store.lance.hit_rows import HitRows
from dermquery.store.lance.lance_table import Snapshot
from dermquery.store.lance.quantised import VectorIndex
from dermquery.store.lance.sql import to_lance

__all__ = ["Place", "View", "positions"]

_FILTERS = 16
"""Filters whose cases are remembered, a byte for each case."""

Place = tuple[Path, int]
"""Folder of an index, and when it was written, because its number may come again."""


@dataclass(eq=False)
class View:
    """An index as one version of the table sees it.

    Attributes:
        table: the version of the table.
        place: where the index lies, and since when.
        index: the vectors.
        hits: the rows, in the same order.
        last: greatest serial in the index.
        ordered: positions in the index in the order of their serials, (n,).
        there: whether the row of a vector is in the table still, by position in the index, (n,).
        fresh: rows that are not in the index.
        filters: which vectors the last few filters let through.
    """

    table: Snapshot
    place: Place
    index: VectorIndex
    hits: HitRows
    last: int
    ordered: NDArray[np.int64]
    there: NDArray[np.bool_]
    fresh: int
    filters: dict[str, NDArray[np.bool_]] = field(default_factory=dict)

    @property
    def beside(self) -> str | None:
        """The condition of the rows that are not in the index; None without any."""
        return f"serial > {self.last}" if self.fresh else None

    @cached_property
    def gone(self) -> int:
        """Vectors in the index whose rows are not in the table any more."""
        return int(np.count_nonzero(~self.there))

    def positions(self, serials: NDArray[np.int64]) -> NDArray[np.int64]:
        """Where serials stand in the index, −1 for those that are not in it."""
        return positions(self.index.keys, self.ordered, serials)

    def chosen(self, vector: Vectors, where: Filter, k: int) -> NDArray[np.int64]:
        """Positions in the index of about the ``k`` nearest that a filter lets through; all if there are no more."""
        whole = where.is_empty and self.gone == 0
        allowed = None if whole else self._allowed(where)
        if allowed is not None and np.count_nonzero(allowed) <= k:
            return np.flatnonzero(allowed)
        return self.index.nearest(vector, k, allowed)

    def _allowed(self, where: Filter) -> NDArray[np.bool_]:
        """Which vectors of the index a filter lets through, (n,); of the last few filters it is remembered."""
        key = where.model_dump_json()
        if (known := self.filters.pop(key, None)) is not None:
            self.filters[key] = known  # the most recent is the last
            return known
        positive, excluded = _signs(where)
        allowed = np.zeros_like(self.there) if positive else self.there.copy()
        if positive:
            allowed[self._places(Filter(condition=AllOf(conditions=positive)))] = True
        for condition in excluded:
            allowed[self._places(Filter(condition=condition))] = False
        allowed &= self.there
        for oldest in list(self.filters)[: 1 - _FILTERS]:  # a copy, because other threads change it meanwhile
            self.filters.pop(oldest, None)
        self.filters[key] = allowed
        return allowed

    def _places(self, where: Filter) -> NDArray[np.int64]:
        """Where the rows that satisfy a filter stand in the index."""
        found = self.table.read(["serial"], to_lance(where))
        places = self.positions(found["serial"].to_numpy().astype(np.int64))
        return places[places >= 0]


def positions(keys: NDArray[np.int64], ordered: NDArray[np.int64], serials: NDArray[np.int64]) -> NDArray[np.int64]:
    """Where ``serials`` stand in ``keys``, −1 where they do not; ``ordered`` is what sorts ``keys``."""
    at = np.minimum(np.searchsorted(keys, serials, sorter=ordered), len(keys) - 1)
    places = ordered[at]
    return np.where(keys[places] == serials, places, -1)


def _signs(where: Filter) -> tuple[tuple[Any, ...], tuple[Any, ...]]:
    """Conditions that say what is wanted, and the contents of those that only exclude.

    What is excluded is mostly few cases: it is faster to ask for those than for all others.
    """
    root = where.condition.conditions if isinstance(where.condition, AllOf) else (where.condition,)
    conditions = [c for child in root for c in (child.conditions if isinstance(child, AllOf) else (child,))]
    excluded = tuple(c.condition for c in conditions if isinstance(c, Not))
    return tuple(c for c in conditions if not isinstance(c, Not)), excluded
