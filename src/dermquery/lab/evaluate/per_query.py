"""Every per-query value of a ranking, its expectation by chance, and the bootstrap replicates of their means.

A table of columns ``{name: (n_q,)}`` is what the report averages: over queries, over diagnoses, and over resamples.
"""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np

from dermquery.lab.evaluate import metrics, usefulness
from dermquery.lab.evaluate.intervals import bootstrap_means, by_class
from dermquery.lab.evaluate.metrics import BoolArray, FloatArray, mean_known
from dermquery.lab.evaluate.ranking import Ranking

__all__ = [
    "LABEL_METRICS",
    "QUERY_USEFULNESS",
    "Columns",
    "bootstrap_columns",
    "chance_label_metrics",
    "label_metrics",
    "query_columns",
]

Columns = dict[str, FloatArray]

_DEPTHS = tuple(range(1, 11))
_CUTOFFS = (1, 5, 10)
LABEL_METRICS: tuple[str, ...] = (
    *(f"acc@{k}" for k in _DEPTHS),
    "acc_mean",
    "map",
    *(f"p@{k}" for k in _CUTOFFS),
    *(f"r@{k}" for k in _CUTOFFS),
)
"""The keys of ``micro``, ``macro``, each class and their chance values; ``acc_mean`` is the mean of acc@1 to acc@10."""
QUERY_USEFULNESS = ("checklist_agreement@5", "fine_p@5", "ndcg@10")
"""The usefulness metrics that are means over queries; coverage and largest occurrence belong to the whole ranking."""


def label_metrics(relevance: BoolArray) -> Columns:
    """Every label metric of every query: (n_q, n) to name -> (n_q,)."""
    columns = {f"acc@{k}": metrics.accuracy_at(relevance, k) for k in _DEPTHS}
    columns["acc_mean"] = np.mean(list(columns.values()), axis=0)
    columns["map"] = metrics.average_precision(relevance)
    columns |= {f"p@{k}": metrics.precision_at(relevance, k) for k in _CUTOFFS}
    return columns | {f"r@{k}": metrics.recall_at(relevance, k) for k in _CUTOFFS}


def chance_label_metrics(n: FloatArray, r: FloatArray) -> Columns:
    """The expectation of :func:`label_metrics` in random order, from each query's ``n`` cases and ``r`` relevant."""
    columns = {f"acc@{k}": metrics.chance_accuracy_at(n, r, k) for k in _DEPTHS}
    columns["acc_mean"] = np.mean(list(columns.values()), axis=0)
    columns["map"] = metrics.chance_average_precision(n, r)
    columns |= {f"p@{k}": metrics.chance_precision_at(n, r, k) for k in _CUTOFFS}
    return columns | {f"r@{k}": metrics.chance_recall_at(n, r, k) for k in _CUTOFFS}


def _block_columns(ranking: Ranking) -> Columns:
    relevance = ranking.same("diagnosis")
    n, r = ranking.valid.sum(axis=1).astype(np.float64), relevance.sum(axis=1).astype(np.float64)
    columns = {"n_admissible": n, "n_relevant": r, "first_relevant_rank": metrics.first_relevant_rank(relevance)}
    columns |= label_metrics(relevance)
    columns |= {f"chance {name}": values for name, values in chance_label_metrics(n, r).items()}
    return columns | {
        "checklist_agreement@5": usefulness.checklist_agreement_at(ranking, 5),
        "fine_p@5": usefulness.fine_precision_at(ranking, 5),
        "ndcg@10": usefulness.graded_ndcg_at(ranking, 10),
        "chance checklist_agreement@5": usefulness.chance_agreement(ranking),
        "chance fine_p@5": usefulness.chance_fine_precision_at(ranking, 5),
        "chance ndcg@10": usefulness.chance_graded_ndcg_at(ranking, 10),
    }


def query_columns(ranking: Ranking) -> Columns:
    """Every per-query value, a run of queries at a time; a metric's chance value is under "chance <metric>"."""
    parts = [_block_columns(block) for block in ranking.blocks()]
    return {name: np.concatenate([part[name] for part in parts]) for name in parts[0]}


def bootstrap_columns(
    columns: Columns, classes: Sequence[str], groups: Sequence[str], n_boot: int, seed: Sequence[int]
) -> Columns:
    """Bootstrap replicates (n_boot,) of every mean over queries: the metric's name, ``macro_*`` and ``*[diagnosis]``.

    All come from the same resamples of the queries' groups.
    """
    labelled = np.stack([columns[m] for m in LABEL_METRICS], axis=1)
    useful = np.stack([columns[m] for m in QUERY_USEFULNESS], axis=1)
    labels, split = by_class(labelled, classes)
    means = bootstrap_means(np.hstack([labelled, useful, split]), groups=groups, n_boot=n_boot, seed=seed)
    n_micro = len(LABEL_METRICS) + len(QUERY_USEFULNESS)
    found = dict(zip((*LABEL_METRICS, *QUERY_USEFULNESS), means[:, :n_micro].T, strict=True))
    in_class = means[:, n_micro:].reshape(n_boot, len(labels), len(LABEL_METRICS))
    for column, metric in enumerate(LABEL_METRICS):
        found[f"macro_{metric}"] = mean_known(in_class[:, :, column], axis=1)
        found |= {f"{metric}[{label}]": in_class[:, row, column] for row, label in enumerate(labels)}
    return found
