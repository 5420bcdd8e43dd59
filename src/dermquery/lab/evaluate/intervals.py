"""Uncertainty of means over queries: clustered bootstrap intervals, paired tests, and Holm's correction.

Queries of one lesion or patient are not independent, so everything here resamples or flips whole groups
(:attr:`Case.group`). The intervals say how much the result would move with other queries; they do not contain the
variation between trainings, for which the deviation over folds or seeds stands beside them.
"""

from __future__ import annotations

from collections.abc import Hashable, Sequence
from dataclasses import dataclass
from typing import NamedTuple

import numpy as np
import pandas as pd
from numpy.typing import ArrayLike, NDArray

from dermquery.lab.evaluate.metrics import FloatArray, mean_known

__all__ = [
    "Interval",
    "PairedTest",
    "bootstrap_interval",
    "bootstrap_means",
    "by_class",
    "holm",
    "paired_test",
    "percentile_interval",
]

_CHUNK = 100


class Interval(NamedTuple):
    """Lower and upper end; NaN where too little is known to give them."""

    low: float
    high: float


@dataclass(frozen=True)
class PairedTest:
    """Comparison of two systems on the same queries.

    Attributes:
        difference: mean of first minus second.
        interval: 95 % bootstrap interval of the difference.
        p_value: two-sided, of the sign-flip test; correct it with :func:`holm` if several tests are reported.
        n: queries on which both have a value.
        n_groups: independent groups among them.
    """

    difference: float
    interval: Interval
    p_value: float
    n: int
    n_groups: int


def _group_codes(groups: Sequence[Hashable] | None, n: int) -> NDArray[np.int64]:
    if groups is None:
        return np.arange(n)
    if len(groups) != n:
        raise ValueError(f"{len(groups)} groups for {n} queries; give one group per query")
    return np.asarray(pd.factorize(pd.Series(list(groups), dtype=object))[0], np.int64)


def _sums(values: FloatArray, codes: NDArray[np.int64]) -> FloatArray:
    """Sum the rows (n, m) of each group: (n_groups, m)."""
    total = np.zeros((int(codes.max(initial=-1)) + 1, values.shape[1]))
    np.add.at(total, codes, values)
    return total


def by_class(values: FloatArray, classes: Sequence[str]) -> tuple[list[str], FloatArray]:
    """Split the columns by the query's class: (n, m) to (sorted labels, (n, n_labels · m)), NaN outside the class.

    The mean of a column of the result is the class's mean, so one resampling serves means over queries and classes.
    """
    labels = sorted(set(classes))
    member = np.array(classes)[:, None] == np.array(labels)[None, :]
    return labels, np.where(member[:, :, None], values[:, None, :], np.nan).reshape(len(values), -1)


def bootstrap_means(
    values: ArrayLike, *, groups: Sequence[Hashable] | None = None, n_boot: int = 1000, seed: int | Sequence[int] = 0
) -> FloatArray:
    """Means of the columns over ``n_boot`` resamples of the groups, with replacement.

    Args:
        values: (n, m) per-query values; NaN are left out of the means.
        groups: (n,) what moves together; each query by itself if None.
        n_boot: number of resamples.
        seed: of numpy's default generator.

    Returns:
        (n_boot, m); NaN where a resample holds no value of the column.
    """
    array = np.asarray(values, np.float64)
    codes = _group_codes(groups, len(array))
    known = ~np.isnan(array)
    sums, counts = _sums(np.where(known, array, 0.0), codes), _sums(known.astype(np.float64), codes)
    n_groups, rng = len(sums), np.random.default_rng(seed)
    if not n_groups:
        return np.full((n_boot, array.shape[1]), np.nan)
    means = np.empty((n_boot, array.shape[1]))
    for start in range(0, n_boot, _CHUNK):
        size = min(_CHUNK, n_boot - start)
        times = rng.multinomial(n_groups, np.full(n_groups, 1 / n_groups), size=size).astype(np.float64)
        total = times @ counts
        means[start : start + size] = np.divide(times @ sums, total, out=np.full(total.shape, np.nan), where=total > 0)
    return means


def percentile_interval(replicates: ArrayLike, level: float = 0.95) -> Interval:
    """Percentile interval of bootstrap replicates (n_boot,); resamples without a value (NaN) are left out."""
    known = np.asarray(replicates, np.float64)
    known = known[~np.isnan(known)]
    if not 0 < level < 1:
        raise ValueError(f"the level must lie between 0 and 1, got {level}")
    if not len(known):
        return Interval(float("nan"), float("nan"))
    low, high = np.quantile(known, [(1 - level) / 2, (1 + level) / 2])
    return Interval(float(low), float(high))


def bootstrap_interval(
    values: ArrayLike,
    *,
    groups: Sequence[Hashable] | None = None,
    classes: Sequence[str] | None = None,
    n_boot: int = 1000,
    seed: int = 0,
    level: float = 0.95,
) -> Interval:
    """Bootstrap interval of the mean over queries, or of the mean over classes of the class means.

    Args:
        values: (n,) one value per query; NaN are left out.
        groups: (n,) what is resampled together (:attr:`Case.group`); each query by itself if None.
        classes: (n,) if given, the statistic is the macro mean.
        n_boot: number of resamples.
        seed: of numpy's default generator.
        level: 0.95 for a 95 % interval.

    Returns:
        The percentile interval (Efron and Tibshirani 1993, chapter 13); NaN with fewer than two groups that have a
        value, because one group says nothing about variation.
    """
    array = np.asarray(values, np.float64)
    codes = _group_codes(groups, len(array))
    if len(np.unique(codes[~np.isnan(array)])) < 2:
        return Interval(float("nan"), float("nan"))
    columns = array[:, None] if classes is None else by_class(array[:, None], classes)[1]
    replicates = bootstrap_means(columns, groups=codes.tolist(), n_boot=n_boot, seed=seed)
    return percentile_interval(mean_known(replicates, axis=1), level)


def paired_test(
    first: ArrayLike,
    second: ArrayLike,
    *,
    groups: Sequence[Hashable] | None = None,
    classes: Sequence[str] | None = None,
    n_permutations: int = 10_000,
    seed: int = 0,
) -> PairedTest:
    """Sign-flip permutation test of the mean difference between two systems on the same queries.

    Under the null hypothesis the two systems' values are exchangeable within a group, so the sign of each group's
    summed difference is flipped at random. The p value is (1 + as extreme) / (1 + permutations), which is never 0
    (Phipson and Smyth 2010).

    Args:
        first: (n,) per-query values of one system; a query that is NaN in either is left out.
        second: (n,) those of the other, in the same order.
        groups: (n,) what is flipped together (:attr:`Case.group`); each query by itself if None.
        classes: (n,) if given, the statistic is the macro mean: every class weighs the same, however many ask of it.
        n_permutations: number of random flips; also of resamples for the interval.
        seed: of numpy's default generator.
    """
    a, b = np.asarray(first, np.float64), np.asarray(second, np.float64)
    if a.shape != b.shape or a.ndim != 1:
        raise ValueError(f"the two systems have {a.shape} and {b.shape} values; give one value per query for both")
    known = ~(np.isnan(a) | np.isnan(b))
    codes = _group_codes(_group_codes(groups, len(a))[known].tolist(), int(known.sum()))
    difference = (a - b)[known]
    if not len(difference):
        raise ValueError("no query has a value for both systems; compare rankings of the same queries")
    own = None if classes is None else np.asarray(classes, object)[known].tolist()
    weights = np.full(len(difference), 1 / len(difference)) if own is None else _class_weights(own)
    summed = _sums((weights * difference)[:, None], codes)[:, 0]
    observed = abs(summed.sum())
    rng = np.random.default_rng(seed)
    extreme = 0
    for start in range(0, n_permutations, _CHUNK):
        size = min(_CHUNK, n_permutations - start)
        flipped = np.abs(rng.choice([-1.0, 1.0], size=(size, len(summed))) @ summed)
        # Equal sums can differ in the last bit by the order of summation; they count as equally extreme.
        extreme += int((flipped >= observed - 1e-12 * max(1.0, observed)).sum())
    return PairedTest(
        difference=float(weights @ difference),
        interval=bootstrap_interval(difference, groups=codes.tolist(), classes=own, n_boot=n_permutations, seed=seed),
        p_value=(1 + extreme) / (1 + n_permutations),
        n=len(difference),
        n_groups=len(summed),
    )


def _class_weights(classes: Sequence[str]) -> FloatArray:
    """(n,) weights that make a sum over queries the mean of the classes' means."""
    codes, labels = pd.factorize(pd.Series(list(classes), dtype=object))
    return np.asarray(1 / (np.bincount(codes)[codes] * len(labels)), np.float64)


def holm(p_values: Sequence[float]) -> list[float]:
    """Holm's step-down adjusted p values, in the order given (Holm 1979).

    >>> holm([0.01, 0.04, 0.03])
    [0.03, 0.06, 0.06]
    """
    p = np.asarray(p_values, np.float64)
    if not bool(((p >= 0) & (p <= 1)).all()):
        raise ValueError(f"p values must lie between 0 and 1, got {list(p_values)}")
    order = np.argsort(p, kind="stable")
    stepped = np.maximum.accumulate(p[order] * np.arange(len(p), 0, -1))
    adjusted = np.empty(len(p))
    adjusted[order] = np.minimum(stepped, 1.0)
    return [float(value) for value in adjusted]
