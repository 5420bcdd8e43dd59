"""What every store does alike: checks of what comes in, and the exact order of what it proposes."""

from __future__ import annotations

from collections import Counter
from collections.abc import Collection, Iterator, Sequence

import numpy as np
from numpy.typing import NDArray

from dermquery.model.alignment import Vectors
from dermquery.store.filters import AllOf, Filter, Not, OneOf
from dermquery.store.protocol import ScoredCase, StoredCase

__all__ = [
    "HALF",
    "SINGLE",
    "SPARE",
    "best",
    "check_page",
    "check_rows",
    "check_search",
    "id_filters",
    "in_parts",
    "margin",
    "products",
    "without",
]

SPARE = 16
"""Candidates that are fetched beyond those asked for."""
SINGLE, HALF = 1e-5, 2.0**-10
"""How far a store's product may be off, as a share of its summands' sizes: summed in float32, or asked in float16."""
_IDS_PER_READ = 500
_GREATEST = float(np.finfo(np.float16).max)


def check_rows(rows: Sequence[StoredCase], size: int) -> None:
    """Refuse rows that must not stand in a store.

    Raises:
        ValueError: for a ``case_id`` that occurs twice, or a vector of another length or with a NaN.
    """
    twice = [case_id for case_id, n in Counter(row.case.case_id for row in rows).items() if n > 1]
    if twice:
        raise ValueError(f"case ids occur more than once: {', '.join(twice[:5])}; give each case its own id")
    for row in rows:
        if row.vector.shape != (size,) or not (np.abs(row.vector) <= _GREATEST).all():
            raise ValueError(f"case {row.case.case_id!r}: its vector must be {size} finite numbers, of at most 65504")


def check_page(limit: int) -> None:
    """ValueError for a page of fewer than one case."""
    if limit < 1:
        raise ValueError(f"a page holds at least 1 case, got limit {limit}")


def check_search(vector: Vectors, size: int, top_k: int, offset: int) -> None:
    """ValueError for a query vector of another length, fewer than one hit, or a negative offset."""
    if vector.shape != (size,):
        raise ValueError(f"query vector has shape {vector.shape}, expected ({size},)")
    if top_k < 1:
        raise ValueError(f"top_k must be at least 1, got {top_k}")
    if offset < 0:
        raise ValueError(f"offset must be at least 0, got {offset}")


def products(vectors: Vectors, query: Vectors) -> NDArray[np.float64]:
    """Inner products (n,) in float64, each row summed alike, so that equal vectors score equal wherever they stand.

    A matrix product would not do: BLAS sums a row in another order at the end of a block than within it.
    """
    return np.asarray((vectors.astype(np.float64) * query.astype(np.float64)).sum(axis=1))


def margin(vectors: Vectors, query: Vectors, precision: float) -> float:
    """How far a store's own products of such vectors (n, size) with a query (size,) may be off, for a precision.

    Weights are free, so products have no bound of their own: the error grows with the sizes of what is summed.
    """
    return precision * float((np.abs(vectors) @ np.abs(query)).max(initial=0.0))


def best(rows: Sequence[StoredCase], query: Vectors, top_k: int) -> list[ScoredCase]:
    """The ``top_k`` rows of greatest inner product, best first, ties by ``case_id``."""
    if not rows:
        return []
    scores = products(np.stack([row.vector for row in rows]), query)
    order = sorted(range(len(rows)), key=lambda i: (-scores[i], rows[i].case.case_id))[:top_k]
    return [ScoredCase(rows[i], float(scores[i])) for i in order]


def id_filters(case_ids: Collection[str]) -> Iterator[Filter]:
    """Filters that name the cases, each a bounded number of them."""
    for part in in_parts(case_ids):
        yield Filter(condition=OneOf(field="case_id", values=part))


def in_parts(ids: Collection[str]) -> Iterator[tuple[str, ...]]:
    """The ids, each once, in parts that one condition can name."""
    each = tuple(dict.fromkeys(ids))
    for start in range(0, len(each), _IDS_PER_READ):
        yield each[start : start + _IDS_PER_READ]


def without(where: Filter, case_ids: Collection[str]) -> Filter:
    """The filter with cases taken out."""
    excluded = tuple(Not(condition=part.condition) for part in id_filters(case_ids))
    return where if not excluded else where.also(AllOf(conditions=excluded))
