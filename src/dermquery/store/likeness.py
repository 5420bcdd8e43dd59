"""Whether a query's image is like anything in the base, judged by how alike the base's own cases are.

A score has no natural zero: .4 may be a close match in one base and none in another. So the scale comes from the
base: of a sample of its cases, each case's best score to another lesion. An image whose best score against the same
sample lies below nearly all of those is like nothing there. Image and sample are compared under the same conditions, so
for images from the base's own distribution the rate of false alarms is the quantile itself (conformal prediction; Vovk
et al. 2005).

Only the image is judged, encoded as a case without findings. The scores of composed queries are no guide: a photograph
of a cat with the findings of a lesion scores as high as the lesion itself (measured, docs/evidence.md).
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field
from functools import cached_property
from typing import Any

import numpy as np
from numpy.typing import NDArray

from dermquery.data.case import Case
from dermquery.data.image import ImageSource, load_image
from dermquery.model.alignment import Vectors
from dermquery.model.parts import PAPER, PartLayout, Weights
from dermquery.store.casebase import CaseBase
from dermquery.store.sample import sample_rows

__all__ = ["LEAST_CASES", "UNLIKE_QUANTILE", "Likeness", "UnlikeWarning", "encode_alone"]

UNLIKE_QUANTILE = 0.01
"""A query is called unlike below this quantile of the base's own best scores."""
LEAST_CASES = 100
"""A smaller base says nothing about its hundredth part."""
_REMEMBERED = 64
"""Weights whose best scores are kept."""


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
    """How alike the cases of one base are. Compute it once per version of a base, then judge any query by any weights.

    Attributes:
        cases: the sample's vectors, (n, size).
        layout: of the vectors.
    """

    cases: Vectors
    layout: PartLayout
    _same: NDArray[np.bool_] = field(repr=False)
    _best: dict[Weights, NDArray[np.float32]] = field(default_factory=dict, repr=False)

    @classmethod
    def of(cls, base: CaseBase, sample: int = 2000) -> Likeness:
        """Measure a base.

        Reads the sample's vectors and multiplies them with one another.
        """
        rows, layout = sample_rows(base.store, sample), base.manifest.layout
        vectors = np.stack([row.vector for row in rows]) if rows else np.zeros((0, layout.size), np.float32)
        return cls.of_vectors([row.case for row in rows], vectors, layout)

    @classmethod
    def of_vectors(cls, cases: Sequence[Case], vectors: Vectors, layout: PartLayout) -> Likeness:
        """The same from cases and the vectors of their images alone, (n, size)."""
        return cls(vectors, layout, _same_lesion(cases))

    def best_scores(self, weights: Weights = PAPER) -> NDArray[np.float32]:
        """Each sampled case's best score to another lesion of the sample, ascending; none for cases without one."""
        if not len(self.cases):
            return np.zeros(0, np.float32)
        weights = _of_images(weights)
        if weights not in self._best:
            best = self._scores(weights).max(axis=1)
            while len(self._best) >= _REMEMBERED:
                self._best.pop(next(iter(self._best)), None)
            self._best[weights] = np.sort(best[np.isfinite(best)]).astype(np.float32)
        return self._best[weights]

    def _scores(self, weights: Weights) -> NDArray[np.float32]:
        """Scores of all with all, (n, n), −∞ within a lesion: a sum of products that are made once, for a hand on λ."""
        share = weights.posterior if self.layout.diagnoses else 0.0
        meaning, local = weights.meaning * (1 - share), weights.local_weight
        factors = (meaning * local, meaning * (1 - local), weights.meaning * share, weights.look)
        scores = np.where(self._same, np.float32(-np.inf), np.float32(0))
        for factor, product in zip(factors, self._products, strict=True):
            if factor:
                scores += np.float32(factor) * product
        return scores

    @cached_property
    def _products(self) -> tuple[NDArray[np.float32], ...]:
        """Local and global similarity, agreement of the posteriors and of the looks, each (n, n)."""
        parts = self.layout.split(self.cases)
        return (
            *self.layout.blocks.parts(parts["blocks"], parts["blocks"]),
            *(parts[name] @ parts[name].T for name in ("posterior", "look")),
        )

    def threshold(self, weights: Weights = PAPER) -> float:
        """The score below which an image is called unlike the base; NaN without two lesions."""
        own = self.best_scores(weights)
        return _first_percentile(own) if len(own) else float("nan")

    def best(self, vectors: Vectors, weights: Weights = PAPER) -> NDArray[np.float32]:
        """The best score of each of the vectors (n, size) against the sample, (n,)."""
        scores: NDArray[np.float32] = self.layout.score(vectors, self.cases, _of_images(weights)).max(axis=1)
        return scores

    def judge(self, vector: Vectors, weights: Weights = PAPER) -> UnlikeWarning | None:
        """A warning if the image of a query is like nothing in the base.

        Args:
            vector: (size,) without weights, of the image alone (:func:`encode_alone`).
            weights: of the parts; what they say of findings is left out, for an image asks for none.

        Returns:
            None if it is like something, or the sample has fewer than ``LEAST_CASES`` to compare with.
        """
        own = self.best_scores(weights)
        if len(own) < LEAST_CASES:
            return None
        best, threshold = float(self.best(vector[None], weights)[0]), _first_percentile(own)
        if best >= threshold:
            return None
        percentile = 100.0 * float(np.searchsorted(own, best)) / len(own)
        return UnlikeWarning(_message(best, threshold, percentile), best, threshold, percentile)


def encode_alone(base: CaseBase, image: ImageSource) -> Vectors:
    """The vector of an image as a case without findings, (size,) float32: what :meth:`Likeness.judge` needs.

    Raises:
        ImageError: the image cannot be used.
    """
    vector: Vectors = np.asarray(base.model.encode_case([load_image(image)]), np.float32)[0]
    return vector


def _same_lesion(cases: Sequence[Case]) -> NDArray[np.bool_]:
    """(n, n): which pairs show one lesion, or are one case."""
    lesions = np.array([case.lesion_key or "" for case in cases], dtype=object)
    same: NDArray[np.bool_] = (lesions[:, None] == lesions[None]) & (lesions != "")[:, None]
    np.fill_diagonal(same, val=True)
    return same


def _message(best: float, threshold: float, percentile: float) -> str:
    below = (
        f"of the base's own cases {percentile:.1f} % are" if percentile >= 0.05 else "none of the base's own cases is"
    )
    return (
        f"This image, judged without words, is unlike every case of the base: its best score is {best:.2f}, and "
        f"{below} as far from all other cases (expected: at least {threshold:.2f}). The hits may mean nothing."
    )


def _first_percentile(own: NDArray[np.float32]) -> float:
    return float(np.quantile(own, UNLIKE_QUANTILE))


def _of_images(weights: Weights) -> Weights:
    """The weights as far as images alone have a say: those of findings only are equation 9's."""
    images = weights.meaning + weights.look
    return weights.model_copy(update={"findings": 0.0, **({} if images else {"meaning": 1.0})})
