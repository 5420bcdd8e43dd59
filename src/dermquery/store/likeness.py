"""Whether a query is like anything in the base, judged by how alike the base's own cases are.

Equation 9 has no natural zero: .4 may be a close match in one base and none in another. So the scale comes from the
base: of a sample of its cases, each case's best score to another lesion. A query whose best score against the same
sample lies below nearly all of those is like nothing there. Query and sample are compared under the same conditions, so
for a query from the base's own distribution the rate of false alarms is the quantile itself (conformal prediction; Vovk
et al. 2005).
"""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import Any

import numpy as np
from numpy.typing import NDArray

from dermquery.data.case import Case
from dermquery.model.alignment import LOCAL_WEIGHT, BlockLayout, Vectors
from dermquery.store.casebase import CaseBase
from dermquery.store.sample import sample_rows

__all__ = ["LEAST_CASES", "UNLIKE_QUANTILE", "Likeness", "UnlikeWarning"]

UNLIKE_QUANTILE = 0.01
"""A query is called unlike below this quantile of the base's own best scores."""
LEAST_CASES = 100
"""A smaller base says nothing about its hundredth part."""


@dataclass(frozen=True)
class UnlikeWarning:
    """A query is like nothing in the base.

    Attributes:
        message: for people.
        value: the query's best score against the sample.
        threshold: the score that it would have to reach.
        percentile: share of the base's own cases, in per cent, whose best score is lower still.
    """

    message: str
    value: float
    threshold: float
    percentile: float
    kind: str = "unlike the base"

    def to_dict(self) -> dict[str, Any]:
        """Plain values for JSON."""
        fields = ("kind", "message", "value", "threshold", "percentile")
        return {name: getattr(self, name) for name in fields}


@dataclass(frozen=True, eq=False)
class Likeness:
    """How alike the cases of one base are. Compute it once per version of a base, then judge any query at any λ.

    Attributes:
        cases: the sample's vectors, (n, size).
        layout: of the vectors.
    """

    cases: Vectors
    layout: BlockLayout
    _local: NDArray[np.float32] = field(repr=False)
    _global: NDArray[np.float32] = field(repr=False)

    @classmethod
    def of(cls, base: CaseBase, sample: int = 2000) -> Likeness:
        """Measure a base; one scan and one matrix product, no image is read."""
        rows = sample_rows(base.store, sample)
        layout = base.manifest.layout
        vectors = np.stack([row.vector for row in rows]) if rows else np.zeros((0, layout.size), np.float32)
        local, global_ = layout.parts(vectors, vectors)
        same = _same_lesion([row.case for row in rows])
        local[same] = global_[same] = -np.inf
        return cls(vectors, layout, local, global_)

    def best_scores(self, local_weight: float = LOCAL_WEIGHT) -> NDArray[np.float32]:
        """Each sampled case's best score to another lesion of the sample, ascending."""
        if len(self.cases) < 2:
            return np.zeros(0, np.float32)
        # −∞ marks the pairs that do not count; 0 · −∞ at the ends of λ would be no number.
        mixed = local_weight * np.maximum(self._local, -2.0) + (1.0 - local_weight) * np.maximum(self._global, -2.0)
        best = mixed.max(axis=1)
        return np.sort(best[best >= -1.0 - 1e-3])

    def judge(self, vector: Vectors, local_weight: float = LOCAL_WEIGHT) -> UnlikeWarning | None:
        """A warning if the image of a query is like nothing in the base.

        Args:
            vector: (size,) of unit blocks without λ, encoded from the image alone.
            local_weight: λ.
        """
        own = self.best_scores(local_weight)
        if len(own) < LEAST_CASES:
            return None
        best = float(self.layout.score(vector[None], self.cases, local_weight).max())
        threshold = float(np.quantile(own, UNLIKE_QUANTILE))
        if best >= threshold:
            return None
        percentile = 100.0 * float(np.searchsorted(own, best)) / len(own)
        return UnlikeWarning(_message(best, threshold, percentile), best, threshold, percentile)


def _message(best: float, threshold: float, percentile: float) -> str:
    below = (
        f"of the base's own cases {percentile:.1f} % are" if percentile >= 0.05 else "none of the base's own cases is"
    )
    return (
        f"This image is unlike every case of the base: its best score is {best:.2f}, and {below} as far from all other "
        f"cases (expected: at least {threshold:.2f}). The hits may mean nothing."
    )


def _same_lesion(cases: list[Case]) -> NDArray[np.bool_]:
    """(n, n): which pairs show one lesion, or are one case."""
    lesions = np.array([case.lesion_id or "" for case in cases], dtype=object)
    same: NDArray[np.bool_] = (lesions[:, None] == lesions[None]) & (lesions != "")[:, None]
    np.fill_diagonal(same, val=True)
    return same
