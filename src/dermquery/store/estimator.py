"""A case base as an estimator of scikit-learn's kind, for those who compare it with others; without that library."""

from __future__ import annotations

import warnings
from collections.abc import Sequence
from pathlib import Path
from typing import Any, Literal, Self, overload

import numpy as np
from numpy.typing import NDArray

from dermquery.model.presets import AskedWeights
from dermquery.store.casebase import CaseBase
from dermquery.store.hits import SearchResult
from dermquery.store.many_searches import AskedMany

__all__ = ["CaseNeighbors", "ShareWarning"]

UNKNOWN = "unknown"
"""Class of the cases without a diagnosis."""


class ShareWarning(UserWarning):
    """A share of the nearest cases was asked for, which is no probability of a diagnosis."""


class CaseNeighbors:
    """Nearest cases of a base, with methods and parameters of ``sklearn.neighbors.KNeighborsClassifier``.

    Nothing is learned: :meth:`fit` opens the base. There is no ``predict``: similar cases are evidence, and no
    diagnosis. ``X`` is a sequence of queries (:data:`~.many_searches.Asked`): images, texts, mappings or
    :class:`~dermquery.data.case.Query`. Parameters are as they were given, so ``sklearn.base.clone`` and a grid search
    can copy it; copies share a base that is given opened.

    Args:
        base: a case base, or the folder or address of one.
        n_neighbors: k.
        weights: of the parts of the score, as for ``CaseBase.search``.
        where: conditions that a case must satisfy to be found, such as ``["site=back"]``.

    Attributes:
        case_ids_: ids of all cases, in ascending order; indices point into it.
        classes_: diagnoses of the base, in alphabetical order, with ``"unknown"`` for cases that have none.
    """

    def __init__(
        self,
        base: CaseBase | str | Path,
        *,
        n_neighbors: int = 5,
        weights: AskedWeights | None = None,
        where: Sequence[str] = (),
    ) -> None:
        self.base, self.n_neighbors, self.weights, self.where = base, n_neighbors, weights, where

    def __sklearn_clone__(self) -> Self:
        """An unfitted copy, which shares the base: there is nothing in it to copy."""
        return type(self)(**self.get_params())

    def get_params(self, deep: bool = True) -> dict[str, Any]:
        """Its parameters by name."""
        return {name: getattr(self, name) for name in ("base", "n_neighbors", "weights", "where")}

    def set_params(self, **params: Any) -> Self:
        """Change parameters; ValueError for an unknown one."""
        if unknown := params.keys() - self.get_params():
            raise ValueError(f"CaseNeighbors has no parameter {', '.join(sorted(unknown))}; see get_params()")
        for name, value in params.items():
            setattr(self, name, value)
        return self

    def fit(self, X: object = None, y: object = None) -> Self:
        """Open the base; both arguments are ignored, for the cases are in it.

        Raises:
            ManifestError: there is no base.
        """
        opened = self.base if isinstance(self.base, CaseBase) else CaseBase.open(self.base)
        self._opened = opened
        self.case_ids_ = np.array(opened.store.ids())
        self.classes_ = np.array(sorted({_label(name) for name in opened.store.value_counts("diagnosis")}))
        return self

    @overload
    def kneighbors(
        self, X: AskedMany, n_neighbors: int | None = None, return_distance: Literal[True] = True
    ) -> tuple[NDArray[np.float64], NDArray[np.int64]]: ...

    @overload
    def kneighbors(
        self, X: AskedMany, n_neighbors: int | None = None, *, return_distance: Literal[False]
    ) -> NDArray[np.int64]: ...

    def kneighbors(
        self,
        X: AskedMany,
        n_neighbors: int | None = None,
        return_distance: bool = True,
    ) -> tuple[NDArray[np.float64], NDArray[np.int64]] | NDArray[np.int64]:
        """Distances and indices of the nearest cases, each (n, k), nearest first.

        A distance is the negative score: small is near, and it may be below zero. Cases of the very image that was
        asked with come first whatever their score.

        Raises:
            ValueError: fewer than k cases can be found.
        """
        results = self._search(X, n_neighbors)
        found = [[hit.case.case_id for hit in result.hits] for result in results]
        indices = np.searchsorted(self.case_ids_, np.array(found, dtype=self.case_ids_.dtype).reshape(len(results), -1))
        if not return_distance:
            return np.asarray(indices, np.int64)
        distances = np.array([[-hit.score for hit in result.hits] for result in results], np.float64)
        return distances.reshape(indices.shape), np.asarray(indices, np.int64)

    def predict_proba(self, X: AskedMany) -> NDArray[np.float64]:
        """The share of each of :attr:`classes_` among the k nearest cases, (n, classes).

        A share is no probability that a lesion has a diagnosis: it depends on which cases are in the base, and nothing
        calibrates it. The name is that of the interface.

        Warns:
            ShareWarning: every time.
        """
        warnings.warn(
            "predict_proba gives the share of each diagnosis among the nearest cases; it is no probability of a "
            "diagnosis, and research use only",
            ShareWarning,
            stacklevel=2,
        )
        results = self._search(X, None)
        labels = np.array([[_label(hit.case.diagnosis) for hit in result.hits] for result in results])
        return np.asarray((labels.reshape(len(results), -1, 1) == self.classes_).mean(axis=1), np.float64)

    def _search(self, queries: AskedMany, n_neighbors: int | None) -> list[SearchResult]:
        if not hasattr(self, "_opened"):
            raise ValueError("this estimator has not opened its base; call fit() first")
        k = self.n_neighbors if n_neighbors is None else n_neighbors
        results = self._opened.search_many(queries, self.where, top_k=k, weights=self.weights)
        if results and len(results[0].hits) < k:
            raise ValueError(f"n_neighbors is {k}, and only {len(results[0].hits)} cases can be found; ask for fewer")
        return results


def _label(diagnosis: object) -> str:
    return UNKNOWN if diagnosis is None else str(diagnosis)
