"""Combine evaluations: means over the folds of a cross-validation, and paired tests of two systems."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable, Sequence
from typing import Any

import numpy as np
from numpy.typing import NDArray

from dermquery.lab.evaluate.intervals import Interval, PairedTest, paired_test
from dermquery.lab.evaluate.metrics import BoolArray, check_cutoff, mean_known
from dermquery.lab.evaluate.per_query import LABEL_METRICS, QUERY_USEFULNESS, Columns, bootstrap_columns
from dermquery.lab.evaluate.ranking import Ranking
from dermquery.lab.evaluate.result_block import EvaluationBlock, Intervals, Row, Values, interval_dict, query_name

__all__ = ["combine_folds", "compare_coverage", "compare_systems"]


def _columns_of(block: EvaluationBlock) -> Columns:
    if not block.per_query:
        raise ValueError("the block has no per-query rows; evaluate with keep_per_query=True")
    names = (*LABEL_METRICS, *QUERY_USEFULNESS)
    listed = {m: [row[query_name(m)] for row in block.per_query] for m in names}
    return {m: np.array([np.nan if v is None else v for v in values], np.float64) for m, values in listed.items()}


def _strings(rows: Iterable[Row], name: str) -> list[str]:
    return [str(row[name]) for row in rows]


def _check_folds(blocks: Sequence[EvaluationBlock]) -> None:
    if not blocks:
        raise ValueError("no blocks to combine; give one for each fold")
    if len(protocols := {block.protocol for block in blocks}) > 1:
        raise ValueError(f"the blocks are of different protocols: {', '.join(sorted(protocols))}; combine each alone")
    groups = Counter(group for block in blocks for group in {str(row["group"]) for row in block.per_query})
    if twice := sorted(group for group, count in groups.items() if count > 1):
        raise ValueError(f"folds share queries of {', '.join(twice[:5])}; give the blocks of disjoint test folds")


def _over_folds(dicts: Sequence[Values]) -> tuple[Values, Values]:
    """Mean and standard deviation (n − 1) per key over the folds that define it."""
    means, deviations = Values(), Values()
    for name in dict.fromkeys(key for values in dicts for key in values):
        known = [value for values in dicts if (value := values.get(name)) is not None]
        means[name] = float(np.mean(known)) if known else None
        deviations[name] = float(np.std(known, ddof=1)) if len(known) > 1 else None
    return means, deviations


def combine_folds(blocks: Sequence[EvaluationBlock], *, n_boot: int = 1000, seed: int = 0) -> dict[str, Any]:
    """Mean over folds, standard deviation over folds, and an interval from all folds' queries.

    The interval is that of the mean over folds: in every resample each fold's groups are drawn anew within the fold,
    and the folds' means are averaged. It is for one training per fold; how much trainings differ shows in ``sd``.

    Args:
        blocks: one for each fold, of one system and protocol, with per-query rows.
        n_boot: bootstrap resamples.
        seed: of the bootstrap.

    Returns:
        The keys of :class:`EvaluationBlock` with means for values (``n`` and ``n_without_relevant`` are sums,
        ``n_gallery`` and ``usefulness_n`` lists), no ``per_query``, and besides ``n_folds`` and ``sd``, which holds
        ``micro``, ``macro``, ``per_class`` and ``usefulness``.
    """
    _check_folds(blocks)
    result: dict[str, Any] = {
        "protocol": blocks[0].protocol,
        "n_folds": len(blocks),
        "n": sum(block.n for block in blocks),
        "n_without_relevant": sum(block.n_without_relevant for block in blocks),
        "n_gallery": [block.n_gallery for block in blocks],
        "usefulness_n": [block.usefulness_n for block in blocks],
        "sd": {"per_class": {}},
        "per_class": {},
        "chance_per_class": {},
    }
    for part in ("micro", "macro", "usefulness", "chance", "chance_macro", "chance_usefulness"):
        result[part], deviation = _over_folds([getattr(block, part) for block in blocks])
        if not part.startswith("chance"):
            result["sd"][part] = deviation
    for label in sorted({label for block in blocks for label in block.per_class}):
        own = [block.per_class[label] for block in blocks if label in block.per_class]
        counts = {key: sum(int(values[key] or 0) for values in own) for key in ("n", "n_without_relevant")}
        means, deviation = _over_folds([{m: values[m] for m in LABEL_METRICS} for values in own])
        result["per_class"][label], result["sd"]["per_class"][label] = {**counts, **means}, deviation
        listed = [block.chance_per_class[label] for block in blocks if label in block.per_class]
        result["chance_per_class"][label] = _over_folds(listed)[0]
    result["intervals"] = _fold_intervals(blocks, n_boot, seed)
    result["bootstrap"] = {"n_boot": n_boot, "seed": seed}
    return result


def _fold_intervals(blocks: Sequence[EvaluationBlock], n_boot: int, seed: int) -> Intervals:
    replicates, n_groups = [], 0
    for number, block in enumerate(blocks):
        classes, groups = _strings(block.per_query, "diagnosis"), _strings(block.per_query, "group")
        replicates.append(bootstrap_columns(_columns_of(block), classes, groups, n_boot, [seed, number]))
        n_groups += len(set(groups))
    names = dict.fromkeys(name for fold in replicates for name in fold)
    folded = {name: mean_known([fold[name] for fold in replicates if name in fold], axis=0) for name in names}
    return interval_dict(folded, n_groups)


def compare_systems(
    first: Sequence[EvaluationBlock],
    second: Sequence[EvaluationBlock],
    metric: str = "map",
    *,
    n_permutations: int = 10_000,
    seed: int = 0,
) -> PairedTest:
    """Paired test between two systems on the same queries, all folds together.

    Args:
        first: one system's blocks, one for each fold, with per-query rows.
        second: the other's, of the same protocol and queries.
        metric: one of :data:`LABEL_METRICS` (``map`` compares the queries' AP), that with ``macro_`` before it, where
            every diagnosis weighs the same, or one of :data:`QUERY_USEFULNESS`.
        n_permutations: random sign flips, see :func:`dermquery.lab.evaluate.intervals.paired_test`.
        seed: of the flips.

    Raises:
        ValueError: if the queries or the protocols differ, or the metric is not kept per query.
    """
    if {block.protocol for block in first} != {block.protocol for block in second}:
        raise ValueError("the two systems were evaluated under different protocols; compare like with like")
    known = (*LABEL_METRICS, *(f"macro_{name}" for name in LABEL_METRICS), *QUERY_USEFULNESS)
    if metric not in known:
        raise ValueError(f"no per-query metric {metric!r}; use one of: {', '.join(known)}")
    rows, others = ([row for block in blocks for row in block.per_query] for blocks in (first, second))
    by_id = {str(row["case_id"]): row for row in others}
    if not rows or sorted(_strings(rows, "case_id")) != sorted(_strings(others, "case_id")):
        raise ValueError("the two systems answered different queries; evaluate both on the same folds")
    name = query_name(metric.removeprefix("macro_"))
    pairs = [(row[name], by_id[str(row["case_id"])][name]) for row in rows]
    a, b = np.array([[np.nan if v is None else v for v in pair] for pair in pairs], np.float64).T
    classes = _strings(rows, "diagnosis") if metric.startswith("macro_") else None
    groups = _strings(rows, "group")
    return paired_test(a, b, groups=groups, classes=classes, n_permutations=n_permutations, seed=seed)


def compare_coverage(
    first: Sequence[Ranking], second: Sequence[Ranking], k: int = 5, *, n_permutations: int = 10_000, seed: int = 0
) -> PairedTest:
    """Paired test of two systems' coverage@k, the mean over folds: whole answers are exchanged.

    Coverage belongs to all answers together, so no query has a value whose sign could be flipped. Under the null
    hypothesis the two systems' answers to a group's queries are exchangeable: those of random groups change sides.

    Args:
        first: one system's rankings, one for each fold.
        second: the other's, of the same queries and galleries in the same order.
        k: depth of an answer.
        n_permutations: random exchanges.
        seed: of the exchanges.

    Returns:
        The test; its interval is NaN, for resampled queries repeat and so cover less than they would.

    Raises:
        ValueError: if queries or galleries differ.
    """
    rng, n = np.random.default_rng(seed), 0
    observed, exchanged, n_groups = 0.0, np.zeros(n_permutations), 0
    for one, other in zip(first, second, strict=True):
        if one.queries != other.queries or one.gallery != other.gallery:
            raise ValueError("the two systems answered different queries; evaluate both on the same folds")
        codes, groups = np.unique([case.group for case in one.queries], return_inverse=True)
        shown, others = (_shown_to(ranking, groups, k) for ranking in (one, other))
        scale = len(first) * len(one.gallery)
        observed += float((shown.any(axis=0).sum() - others.any(axis=0).sum()) / scale)
        side = rng.integers(0, 2, size=(n_permutations, len(codes))).astype(np.float32)
        a, b = shown.astype(np.float32), others.astype(np.float32)
        changed = side @ (a - b)
        kept, swapped = b.sum(axis=0) + changed, a.sum(axis=0) - changed
        exchanged += ((kept > 0.5).sum(axis=1) - (swapped > 0.5).sum(axis=1)) / scale
        n, n_groups = n + len(one.queries), n_groups + len(codes)
    extreme = int((np.abs(exchanged) >= abs(observed) - 1e-12).sum())
    unknown = Interval(float("nan"), float("nan"))
    return PairedTest(observed, unknown, (1 + extreme) / (1 + n_permutations), n, n_groups)


def _shown_to(ranking: Ranking, groups: NDArray[np.intp], k: int) -> BoolArray:
    """Which gallery cases stand in the top k of a query of each group: (n_groups, n_gallery)."""
    rows, places = np.nonzero(ranking.valid[:, : check_cutoff(k)])
    shown = np.zeros((int(groups.max()) + 1, len(ranking.gallery)), np.bool_)
    shown[groups[rows], ranking.order[rows, places]] = True
    return shown
