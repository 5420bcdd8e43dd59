"""Rank a gallery for every query: exclude the query's own lesion, break ties, and keep the order for the metrics."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass, replace
from typing import Any, Literal

import numpy as np
import pandas as pd
from numpy.typing import ArrayLike, NDArray

from dermquery.data.case import Case

__all__ = ["Exclusion", "Ranking", "exclude_own", "exclude_patient", "rank"]

BoolArray = NDArray[np.bool_]
Exclusion = Callable[[Sequence[Case], Sequence[Case]], BoolArray]
"""Says which gallery cases a query must not retrieve: (queries, gallery) to a boolean (n_queries, n_gallery)."""

_BLOCK = 1024
"""Queries handled at once, so that 10,000 x 10,000 needs no several full-size temporaries."""


@dataclass(frozen=True, eq=False)
class Ranking:
    """The admissible gallery of every query, best first.

    Attributes:
        queries: the cases that asked, n_q of them.
        gallery: the cases that could be found, n_g of them.
        order: (n_q, n_g) int32 positions in ``gallery``, best first; -1 after the last admissible one.
        scores: (n_q, n_g) float32 scores in that order; NaN where ``order`` is -1. The order was decided at the
            precision that :func:`rank` was given, so neighbours may share a float32 value without being a tie.
    """

    queries: tuple[Case, ...]
    gallery: tuple[Case, ...]
    order: NDArray[np.int32]
    scores: NDArray[np.float32]

    def __post_init__(self) -> None:
        shape = (len(self.queries), len(self.gallery))
        if self.order.shape != shape or self.scores.shape != shape:
            raise ValueError(
                f"order {self.order.shape} and scores {self.scores.shape} must both be {shape}: queries by gallery"
            )

    @property
    def valid(self) -> BoolArray:
        """(n_q, n_g) True where a gallery case stands, False for the padding."""
        return self.order >= 0

    def same(self, attribute: Literal["diagnosis", "fine_diagnosis"] = "diagnosis") -> BoolArray:
        """Whether each ranked case shares the query's value of an attribute: (n_q, n_g), best first.

        For ``diagnosis`` this is the relevance of equation 1. A value that is not known equals nothing, and the
        padding is False.
        """
        asked, held = _codes(self.queries, self.gallery, attribute)
        return np.asarray(self.take(held) == asked[:, None], np.bool_)

    def take(self, codes: NDArray[Any], depth: int | None = None) -> NDArray[Any]:
        """Codes of the gallery's cases (n_g,) in ranked order, the first ``depth`` places or all: (n_q, depth).

        The padding gets -2, which no code may be.
        """
        return np.append(codes, codes.dtype.type(-2))[self.order[:, :depth]]

    def blocks(self, size: int = _BLOCK) -> Iterator[Ranking]:
        """The same ranking in runs of at most ``size`` queries, for work whose temporaries are as large as it."""
        for start in range(0, len(self.queries), size):
            part = slice(start, start + size)
            yield replace(self, queries=self.queries[part], order=self.order[part], scores=self.scores[part])


def _codes(
    queries: Sequence[Case], gallery: Sequence[Case], attribute: str
) -> tuple[NDArray[np.int64], NDArray[np.int64]]:
    """One integer per distinct value over both sides; unknown is -1 for a query and -3 for a gallery case."""
    values = pd.Series([getattr(case, attribute) for case in (*queries, *gallery)], dtype=object)
    codes = np.asarray(pd.factorize(values)[0], np.int64)
    asked, held = codes[: len(queries)], codes[len(queries) :]
    return asked, np.where(held < 0, -3, held)


def exclude_own(queries: Sequence[Case], gallery: Sequence[Case]) -> BoolArray:
    """Exclude the query's own case and its lesion: :meth:`Case.same_lesion` for all pairs, (n_q, n_g)."""
    own, case = _codes(queries, gallery, "case_key")
    asked, lesion = _codes(queries, gallery, "lesion_key")
    return np.asarray((own[:, None] == case) | (asked[:, None] == lesion), np.bool_)


def exclude_patient(queries: Sequence[Case], gallery: Sequence[Case]) -> BoolArray:
    """Exclude the query's own case, its lesion and, where known, every case of its patient; (n_q, n_g)."""
    asked, patient = _codes(queries, gallery, "patient_key")
    return np.asarray(exclude_own(queries, gallery) | (asked[:, None] == patient), np.bool_)


def rank(
    scores: ArrayLike, queries: Sequence[Case], gallery: Sequence[Case], *, exclude: Exclusion = exclude_own
) -> Ranking:
    """Order the gallery for every query: highest score first, equal scores by case id.

    Args:
        scores: (n_q, n_g), higher is more similar. Infinite scores are legal, NaN is not.
        queries: the cases that ask.
        gallery: the cases to be found.
        exclude: what a query must not retrieve.

    Raises:
        ValueError: if the shape is not (n_q, n_g), a score is NaN, or a case id stands twice on one side.
    """
    matrix = np.asarray(scores)
    if matrix.dtype.kind != "f":
        matrix = matrix.astype(np.float64)
    _check(matrix, queries, gallery)
    # Sorting a gallery that is already in id order by a stable sort is what breaks ties by id.
    by_id = np.array(sorted(range(len(gallery)), key=lambda i: gallery[i].case_id), dtype=np.int32)
    order = np.empty(matrix.shape, np.int32)
    ranked = np.empty(matrix.shape, np.float32)
    for start in range(0, len(queries), _BLOCK):
        part = slice(start, start + _BLOCK)
        keys = -matrix[part]
        keys[exclude(queries[part], gallery)] = np.nan  # numpy sorts NaN behind everything, also behind infinity
        places = by_id[np.argsort(keys[:, by_id], axis=1, kind="stable")]
        sorted_keys = np.take_along_axis(keys, places, axis=1)
        order[part] = np.where(np.isnan(sorted_keys), -1, places)
        ranked[part] = -sorted_keys
    return Ranking(tuple(queries), tuple(gallery), order, ranked)


def _check(matrix: NDArray[np.floating[Any]], queries: Sequence[Case], gallery: Sequence[Case]) -> None:
    if matrix.shape != (len(queries), len(gallery)):
        raise ValueError(
            f"scores have shape {matrix.shape}, but there are {len(queries)} queries and {len(gallery)} gallery cases; "
            "pass one row per query and one column per gallery case"
        )
    bad = np.isnan(matrix)
    if bad.any():
        row, column = (int(i[0]) for i in bad.nonzero())
        raise ValueError(
            f"{int(bad.sum())} scores are NaN, the first for query {queries[row].case_id!r} and gallery case "
            f"{gallery[column].case_id!r}; mend the ranker, a NaN has no place in an order"
        )
    for side, cases in (("queries", queries), ("gallery", gallery)):
        ids = pd.Index([case.case_id for case in cases])
        if not ids.is_unique:
            twice = sorted(set(ids[ids.duplicated()]))
            raise ValueError(f"case ids stand more than once in the {side}: {', '.join(twice[:5])}; make them unique")
