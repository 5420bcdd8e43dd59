"""Many queries at once: one pass over the vectors of a base instead of one for each query."""

from __future__ import annotations

from collections.abc import Iterable, Sequence

import numpy as np

from dermquery.model.alignment import Vectors
from dermquery.store.exact_order import SINGLE, best
from dermquery.store.filters import Filter
from dermquery.store.matching import matches
from dermquery.store.protocol import StoredCase

__all__ = ["CASES_PER_QUERY", "best_of_each", "worth_a_pass"]

CASES_PER_QUERY = 500
"""A pass reads and checks a case in about a five-hundredth of the time that one search takes by itself."""


def worth_a_pass(n_cases: int, n_queries: int) -> bool:
    """Whether reading every case once is quicker than asking a store so many times."""
    return n_queries > 1 and n_cases <= CASES_PER_QUERY * n_queries


def best_of_each(
    batches: Iterable[Sequence[StoredCase]], queries: Vectors, where: Filter, depth: int
) -> list[list[StoredCase]]:
    """The ``depth`` cases of greatest inner product with each of the queries (n, size), best first, ties by id.

    One matrix product proposes; what it may have rounded out of order is taken again case by case, so that the order is
    exactly a store's.
    """
    held: list[list[StoredCase]] = [[] for _ in queries]
    for batch in batches:
        rows = [row for row in batch if matches(where, row.case)]
        if not rows:
            continue
        vectors = np.stack([row.vector for row in rows])
        rough = vectors @ queries.T  # (m, n)
        off = 2 * SINGLE * (np.abs(vectors) @ np.abs(queries).T).max(axis=0)
        for i, query in enumerate(queries):
            proposed = _proposed(rough[:, i], float(off[i]), depth)
            held[i] = [found.row for found in best([*held[i], *(rows[j] for j in proposed)], query, depth)]
    return held


def _proposed(scores: Vectors, off: float, depth: int) -> Sequence[int]:
    """Places of all scores (m,) that can be among the ``depth`` greatest, if each may be off."""
    if len(scores) <= depth:
        return range(len(scores))
    least = np.partition(scores, -depth)[-depth] - off
    places: list[int] = np.flatnonzero(scores >= least).tolist()
    return places
