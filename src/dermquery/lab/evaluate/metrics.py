"""Label metrics of a ranked list as pure functions, and their exact expectation under a random order.

Every function takes ``relevance``, a boolean array whose last axis is the ranking, best first: ``(n,)`` for one query
or ``(n_queries, n)`` for many. It must hold the whole ranked list, because the number of relevant cases R is counted
from it. Rows that end early are padded with False, which changes no metric. The result has the leading shape.

A query without any relevant case has no defined value: it gets NaN, and :func:`mean_known` leaves it out of means.

Sources: the paper's equations 10 to 14; Järvelin and Kekäläinen 2002 (nDCG); Bestgen 2015, "Exact expected average
precision of the random baseline" (:func:`chance_average_precision`).
"""

from __future__ import annotations

from typing import Any

import numpy as np
from numpy.typing import ArrayLike, NDArray
from scipy.special import digamma

__all__ = [
    "accuracy_at",
    "average_precision",
    "chance_accuracy_at",
    "chance_average_precision",
    "chance_ndcg_at",
    "chance_precision_at",
    "chance_recall_at",
    "check_cutoff",
    "first_relevant_rank",
    "mean_average_precision",
    "mean_known",
    "ndcg_at",
    "precision_at",
    "recall_at",
]

BoolArray = NDArray[np.bool_]
FloatArray = NDArray[np.float64]


def _as_relevance(relevance: ArrayLike) -> BoolArray:
    """Boolean array with at least one axis; scores given by mistake are refused instead of turned into True."""
    ranked = np.asarray(relevance)
    if ranked.ndim == 0:
        raise ValueError(f"relevance must have a ranking axis, got the scalar {ranked}; pass a list of booleans")
    if ranked.dtype.kind != "b" and not bool(np.isin(ranked, (0, 1)).all()):
        raise ValueError("relevance must be boolean or 0/1; for graded relevance use ndcg_at")
    return ranked.astype(np.bool_, copy=False)


def check_cutoff(k: int) -> int:
    """Return k if it is a legal cut-off, at least 1; else raise ValueError."""
    if k < 1:
        raise ValueError(f"the cut-off k must be at least 1, got {k}")
    return k


def _divide(above: ArrayLike, below: ArrayLike) -> FloatArray:
    """Quotient as float64, NaN where ``below`` is 0."""
    above, below = np.broadcast_arrays(np.asarray(above, np.float64), np.asarray(below, np.float64))
    return np.asarray(np.divide(above, below, out=np.full(below.shape, np.nan), where=below > 0), np.float64)


def _only_with_relevant(values: Any, ranked: BoolArray) -> FloatArray:
    return np.where(ranked.any(axis=-1), values, np.nan).astype(np.float64)


def mean_known(values: ArrayLike, axis: int | None = None) -> FloatArray:
    """Mean of the values that are not NaN; NaN (without a warning) where none is known.

    >>> float(mean_known([1.0, np.nan, 0.0]))
    0.5
    """
    array = np.asarray(values, np.float64)
    known = ~np.isnan(array)
    return _divide(np.where(known, array, 0.0).sum(axis=axis), known.sum(axis=axis))


def first_relevant_rank(relevance: ArrayLike) -> FloatArray:
    """Rank, counted from 1, of the first relevant case; NaN without one.

    >>> float(first_relevant_rank([False, False, True]))
    3.0
    """
    ranked = _as_relevance(relevance)
    if ranked.shape[-1] == 0:
        return np.full(ranked.shape[:-1], np.nan)
    return _only_with_relevant(ranked.argmax(axis=-1) + 1, ranked)


def precision_at(relevance: ArrayLike, k: int) -> FloatArray:
    """P@k = (relevant cases in the top k) / k (equation 10).

    A list shorter than k is read as if irrelevant cases followed, as trec_eval does.

    >>> precision_at([[True, False, True], [False, False, False]], k=2).tolist()
    [0.5, nan]
    """
    ranked = _as_relevance(relevance)
    return _only_with_relevant(ranked[..., : check_cutoff(k)].sum(axis=-1) / k, ranked)


def recall_at(relevance: ArrayLike, k: int) -> FloatArray:
    """R@k = (relevant cases in the top k) / R, the share of all relevant cases. Not Acc@k, which some papers call R@k.

    >>> float(recall_at([True, False, True, True, True], k=3))
    0.5
    """
    ranked = _as_relevance(relevance)
    return _divide(ranked[..., : check_cutoff(k)].sum(axis=-1), ranked.sum(axis=-1))


def accuracy_at(relevance: ArrayLike, k: int) -> FloatArray:
    """Acc@k = 1 if any of the top k is relevant, else 0 (equation 13; its mean over queries is equation 14).

    >>> float(accuracy_at([False, True, False], k=1)), float(accuracy_at([False, True, False], k=2))
    (0.0, 1.0)
    """
    ranked = _as_relevance(relevance)
    return _only_with_relevant(ranked[..., : check_cutoff(k)].any(axis=-1), ranked)


def average_precision(relevance: ArrayLike) -> FloatArray:
    """AP = (1/R) Σ_r P@r · rel(r) over the full ranked list (equation 11).

    >>> float(average_precision([True, False, True]))  # (1/1 + 2/3) / 2
    0.8333333333333333
    """
    ranked = _as_relevance(relevance)
    precision = ranked.cumsum(axis=-1) / np.arange(1, ranked.shape[-1] + 1)
    return _divide((precision * ranked).sum(axis=-1), ranked.sum(axis=-1))


def mean_average_precision(relevance: ArrayLike) -> float:
    """Return mAP, the mean of AP over the queries that have a relevant case (equation 12); ``(n_queries, n)`` in.

    >>> mean_average_precision([[True, False], [False, True], [False, False]])  # the last one is left out
    0.75
    """
    return float(mean_known(average_precision(relevance)))


def _discounts(n: int) -> FloatArray:
    return 1.0 / np.log2(np.arange(2, n + 2))


def _dcg(gains: FloatArray) -> FloatArray:
    # Not a matrix product: BLAS rounds differently for one row than for many, and a query's value must not depend on
    # which others it was evaluated with.
    return np.asarray((gains * _discounts(gains.shape[-1])).sum(axis=-1), np.float64)


def _as_gains(gains: ArrayLike) -> FloatArray:
    array = np.asarray(gains, np.float64)
    if array.ndim == 0 or not bool((array >= 0).all()):
        raise ValueError("gains must be a ranked list of numbers >= 0, without NaN")
    return array


def _ideal_dcg(gains: FloatArray, k: int) -> FloatArray:
    depth = min(k, gains.shape[-1])
    best = np.partition(gains, gains.shape[-1] - depth, axis=-1)[..., gains.shape[-1] - depth :] if depth else gains
    return _dcg(-np.sort(-best, axis=-1))


def ndcg_at(gains: ArrayLike, k: int) -> FloatArray:
    """Graded nDCG@k = DCG@k / ideal DCG@k with DCG@k = Σ_{r≤k} gain(r) / log2(r + 1); NaN where all gains are 0.

    Gains are used as they are (the linear form of Järvelin and Kekäläinen 2002). ``gains`` is ``(..., n)``, at least 0,
    and holds the whole ranked list, because the ideal order is taken from it; pad with 0.

    >>> round(float(ndcg_at([0.0, 1.0, 3.0], k=2)), 4)  # (1/log2 3) / (3 + 1/log2 3)
    0.1738
    """
    ranked = _as_gains(gains)
    top = ranked[..., : check_cutoff(k)]
    return _divide(_dcg(top), _ideal_dcg(ranked, k))


def _counts(n: ArrayLike, r: ArrayLike) -> tuple[FloatArray, FloatArray]:
    n_array, r_array = np.broadcast_arrays(np.asarray(n, np.float64), np.asarray(r, np.float64))
    if not bool(((r_array >= 0) & (r_array <= n_array)).all()):
        raise ValueError("the number of relevant cases r must lie between 0 and the number of gallery cases n")
    return n_array, r_array


def chance_precision_at(n: ArrayLike, r: ArrayLike, k: int) -> FloatArray:
    """Expected P@k when the ``n`` cases, ``r`` of them relevant, stand in random order: (r/n) · min(k, n)/k.

    >>> float(chance_precision_at(n=4, r=1, k=2))
    0.25
    """
    n, r = _counts(n, r)
    return np.where(r > 0, _divide(r, n) * np.minimum(check_cutoff(k), n) / k, np.nan)


def chance_recall_at(n: ArrayLike, r: ArrayLike, k: int) -> FloatArray:
    """Expected R@k in random order: min(k, n)/n.

    >>> float(chance_recall_at(n=4, r=1, k=2))
    0.5
    """
    n, r = _counts(n, r)
    return np.where(r > 0, _divide(np.minimum(check_cutoff(k), n), n), np.nan)


def chance_accuracy_at(n: ArrayLike, r: ArrayLike, k: int) -> FloatArray:
    """Expected Acc@k in random order: 1 − C(n−r, k) / C(n, k), the hypergeometric chance of at least one hit.

    >>> round(float(chance_accuracy_at(n=4, r=1, k=2)), 12)
    0.5
    """
    n, r = _counts(n, r)
    miss = np.ones(n.shape)
    for drawn in range(check_cutoff(k)):
        # Past the end of the list nothing is left to miss with; the clipped numerator makes the product 0 there.
        miss = miss * np.maximum(n - r - drawn, 0) / np.maximum(n - drawn, 1)
    return np.where(r > 0, 1.0 - miss, np.nan)


def chance_average_precision(n: ArrayLike, r: ArrayLike) -> FloatArray:
    """Expected AP in random order: ((r−1)/(n−1) · (n − H_n) + H_n) / n with H_n the n-th harmonic number.

    Position i is relevant with probability r/n; given that, i−1 earlier positions hold (i−1)(r−1)/(n−1) relevant
    cases on average, so E[P@i | rel(i)] = (1 + (i−1)(r−1)/(n−1)) / i. Summing over i and dividing by r gives the form.

    >>> float(chance_average_precision(n=2, r=1))  # 1 or 1/2, equally likely
    0.75
    """
    n, r = _counts(n, r)
    harmonic = digamma(n + 1) + np.euler_gamma
    share = (r - 1) / np.maximum(n - 1, 1)
    return np.where(r > 0, _divide(share * (n - harmonic) + harmonic, n), np.nan)


def chance_ndcg_at(gains: ArrayLike, k: int, n: ArrayLike | None = None) -> FloatArray:
    """Expected nDCG@k in random order: (mean gain) · Σ_{r≤min(k,n)} 1/log2(r+1) / ideal DCG@k.

    ``n`` is the number of cases that each row really holds, where rows are padded with zeros; the width by default.

    >>> round(float(chance_ndcg_at([1.0, 0.0], k=1)), 4)
    0.5
    """
    ranked = _as_gains(gains)
    length = np.broadcast_to(np.asarray(ranked.shape[-1] if n is None else n, np.int64), ranked.shape[:-1])
    discount_sums = np.concatenate([[0.0], np.cumsum(_discounts(check_cutoff(k)))])
    expected = _divide(ranked.sum(axis=-1), length) * discount_sums[np.minimum(length, k)]
    return _divide(expected, _ideal_dcg(ranked, k))
