"""Precision over recall on a common grid, so that it can be averaged over queries."""

from __future__ import annotations

import numpy as np
from numpy.typing import ArrayLike

from dermquery.lab.evaluate.metrics import FloatArray, mean_known

__all__ = ["RECALLS", "precision_recall"]

RECALLS: tuple[float, ...] = tuple(step / 20 for step in range(21))
"""The grid: 0, .05, …, 1."""


def precision_recall(relevance: ArrayLike) -> FloatArray:
    """Mean over queries of the interpolated precision at :data:`RECALLS`.

    Interpolated precision at recall r is the largest precision at any rank whose recall is at least r (Manning et al.
    2008, section 8.4). Queries without a relevant case are left out; NaN if that leaves none.

    Args:
        relevance: (n_q, n) bool in ranked order.

    >>> precision_recall([[True, False, True]]).round(2)[[0, 10, 11, 20]].tolist()
    [1.0, 1.0, 0.67, 0.67]
    """
    relevant = np.asarray(relevance, np.bool_)
    hits = relevant.cumsum(axis=1)
    total = hits[:, -1:]
    precision = hits / np.arange(1, relevant.shape[1] + 1)
    best = np.maximum.accumulate(precision[:, ::-1], axis=1)[:, ::-1]
    rows = np.full((len(relevant), len(RECALLS)), np.nan)
    for i in np.flatnonzero(total[:, 0]):
        # A recall of r needs ceil(r · R) relevant cases; a hair below, for the grid's last bits.
        needed = np.maximum(1, np.ceil(np.array(RECALLS) * total[i, 0] - 1e-9))
        rows[i] = best[i, np.searchsorted(hits[i], needed)]
    return mean_known(rows, axis=0)
