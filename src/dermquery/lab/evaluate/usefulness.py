"""Usefulness of answers beyond their label: variety, and agreement in findings and in fine diagnosis.

Label mAP alone rewards a ranking that shows everybody the same few cases; these metrics do not. They are meant for
the unseen gallery. ``order`` is :attr:`Ranking.order`: (n_q, n_g), -1 as padding. Functions that take a whole
:class:`Ranking` give one value per query, NaN where it is not defined; means over queries leave those out.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import numpy as np
from numpy.typing import NDArray

from dermquery.data.case import Case
from dermquery.data.checklist import CRITERIA
from dermquery.lab.evaluate.metrics import (
    FloatArray,
    chance_ndcg_at,
    chance_precision_at,
    check_cutoff,
    mean_known,
    ndcg_at,
    precision_at,
)
from dermquery.lab.evaluate.ranking import Ranking

__all__ = [
    "chance_agreement",
    "chance_coverage_at",
    "chance_fine_precision_at",
    "chance_graded_ndcg_at",
    "checklist_agreement_at",
    "coverage_at",
    "encode_checklist",
    "fine_precision_at",
    "graded_gains",
    "graded_ndcg_at",
    "largest_occurrence_at",
]


def _occurrences(order: NDArray[np.integer[Any]], n_gallery: int, k: int) -> NDArray[np.int64]:
    """In how many top k each gallery case stands: (n_gallery,)."""
    top = order[:, : check_cutoff(k)]
    return np.bincount(top[top >= 0], minlength=n_gallery)


def coverage_at(order: NDArray[np.integer[Any]], n_gallery: int, k: int = 5) -> float:
    """Share of the gallery that stands in the top k of at least one query; NaN for an empty gallery.

    >>> coverage_at(np.array([[0, 1, 2, 3], [0, 2, 1, 3]]), n_gallery=4, k=2)
    0.75
    """
    return float((_occurrences(order, n_gallery, k) > 0).sum() / n_gallery) if n_gallery else float("nan")


def largest_occurrence_at(order: NDArray[np.integer[Any]], k: int = 5) -> float:
    """Share of the queries in whose top k the most frequent case stands; NaN without queries.

    A hub, a case that is shown to nearly everybody, has a value near 1.

    >>> largest_occurrence_at(np.array([[0, 1, 2], [0, 2, 1], [1, 0, 2], [2, 1, 0]]), k=1)
    0.5
    """
    return float(_occurrences(order, 1, k).max() / len(order)) if len(order) else float("nan")


def encode_checklist(cases: Sequence[Case]) -> NDArray[np.int8]:
    """(n, 7) index of each criterion's value in Derm7pt's list, -1 where it was not recorded."""
    codes = [
        [c.values.index(case.checklist[name]) if name in case.checklist else -1 for name, c in CRITERIA.items()]
        for case in cases
    ]
    return np.array(codes, np.int8).reshape(len(cases), len(CRITERIA))


def _agreement(ranking: Ranking, depth: int | None = None) -> FloatArray:
    """(n_q, depth) share of the criteria recorded on both sides that agree, best first; NaN where there are none."""
    asked, held = encode_checklist(ranking.queries), encode_checklist(ranking.gallery)
    same = np.zeros(ranking.order[:, :depth].shape, np.int8)
    both = np.zeros_like(same)
    for criterion in range(len(CRITERIA)):
        found, wanted = ranking.take(held[:, criterion], depth), asked[:, criterion, None]
        recorded = (found >= 0) & (wanted >= 0)
        both += recorded
        same += recorded & (found == wanted)
    return np.asarray(np.divide(same, both, out=np.full(same.shape, np.nan), where=both > 0), np.float64)


def checklist_agreement_at(ranking: Ranking, k: int = 5) -> FloatArray:
    """Mean over the top k of the share of criteria, recorded on both sides, on which hit and query agree: (n_q,).

    Hits that share no recorded criterion with the query are left out of its mean; NaN where no hit shares any.
    """
    return mean_known(_agreement(ranking, check_cutoff(k)), axis=1)


def fine_precision_at(ranking: Ranking, k: int = 5) -> FloatArray:
    """P@k with "same original diagnosis" (``fine_diagnosis``) as relevance: (n_q,).

    NaN for a query whose fine diagnosis is unknown or stands nowhere else in its gallery.
    """
    return precision_at(ranking.same("fine_diagnosis"), k)


def graded_gains(ranking: Ranking) -> FloatArray:
    """Graded relevance of every ranked case, 0 to 3: (n_q, n_g), best first, 0 for the padding.

    gain = [same diagnosis] + [same fine diagnosis] + (share of the criteria recorded on both sides that agree),
    where an unknown diagnosis or a pair without common criteria adds nothing.
    """
    gains = np.nan_to_num(_agreement(ranking), nan=0.0)
    gains += ranking.same("diagnosis")
    gains += ranking.same("fine_diagnosis")
    return gains


def graded_ndcg_at(ranking: Ranking, k: int = 10) -> FloatArray:
    """nDCG@k (see :func:`dermquery.lab.evaluate.metrics.ndcg_at`) with the gains of :func:`graded_gains`: (n_q,)."""
    return ndcg_at(graded_gains(ranking), k)


def chance_coverage_at(order: NDArray[np.integer[Any]], k: int = 5) -> float:
    """Expected coverage@k if every query's admissible cases stood in random order; exact.

    A case is missed by query q with probability 1 − min(k, n_q)/n_q where it is one of the n_q admissible cases, and
    surely where it is not; it is covered unless all queries miss it. ``order`` has the gallery's width.

    >>> chance_coverage_at(np.array([[0, 1], [1, 0]]), k=1)  # each case is missed by both with probability 1/4
    0.75
    """
    valid, n_gallery = order >= 0, order.shape[1]
    n_admissible = valid.sum(axis=1, keepdims=True)
    with np.errstate(divide="ignore"):  # a list that is not longer than k misses nothing: log 0
        log_miss = np.log1p(-np.minimum(check_cutoff(k), n_admissible) / np.maximum(n_admissible, 1))
    weights = np.broadcast_to(log_miss, order.shape)[valid]
    missed_by_all = np.exp(np.bincount(order[valid], weights=weights, minlength=n_gallery))
    return float(1.0 - missed_by_all.mean()) if n_gallery else float("nan")


def chance_agreement(ranking: Ranking) -> FloatArray:
    """Expected checklist agreement in random order, the mean over the query's whole gallery: (n_q,)."""
    return mean_known(_agreement(ranking), axis=1)


def chance_fine_precision_at(ranking: Ranking, k: int = 5) -> FloatArray:
    """Expected fine P@k in random order: (n_q,)."""
    return chance_precision_at(ranking.valid.sum(axis=1), ranking.same("fine_diagnosis").sum(axis=1), k)


def chance_graded_ndcg_at(ranking: Ranking, k: int = 10) -> FloatArray:
    """Expected graded nDCG@k in random order: (n_q,)."""
    return chance_ndcg_at(graded_gains(ranking), k, n=ranking.valid.sum(axis=1))
