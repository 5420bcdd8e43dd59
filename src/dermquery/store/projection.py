"""A map of a case base in two dimensions: the plane in which its vectors differ most.

Principal components of vectors on which the weights stand as their square roots, so that distances on the map
approximate those of the score: ``‖√w∘q − √w∘x‖² = 2 − 2 s(q, x)`` for unit blocks and weights w that sum to one. The
plane is linear, so a new query is placed on the same axes without anything being fitted again. What two dimensions
cannot show is said by :attr:`Projection.explained`.

Findings stand as a case has them, a value of each criterion; where a query says nothing of one it lies in the middle.
"""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import Any

import numpy as np
from numpy.typing import NDArray

from dermquery.data.checklist import CRITERIA
from dermquery.model.alignment import Vectors
from dermquery.model.heads import places_of_criteria
from dermquery.model.parts import PartLayout, Weights
from dermquery.model.presets import AskedWeights
from dermquery.store.casebase import CaseBase
from dermquery.store.sample import sample_rows

__all__ = ["MapPoint", "Projection", "project"]

_NEARLY = 1e-3
_BLOCK = 16
"""Directions that each step adds to the space in which the axes are looked for."""
_PRECISION = 1e-9
"""Of an axis, as the length of what is left of it to find, in units of the greatest variance."""


@dataclass(frozen=True)
class MapPoint:
    """One case on the map.

    Attributes:
        x, y: in units of the distance √(2 − 2·score).
        trained_on: whether the model was trained on its image, which places it better than a new one; None where the
            model does not say.
    """

    case_id: str
    x: float
    y: float
    diagnosis: str | None
    trained_on: bool | None = None


@dataclass(frozen=True, eq=False)
class Projection:
    """Cases on a plane.

    Attributes:
        points: by ``case_id``.
        explained: share of the variance that each axis holds; (0, 0) where all cases are alike.
        count: cases in the base, of which the points may be a sample.
        preset: the name of the weights that the map was made with; None for others than the base knows.
        weights: those weights.
    """

    points: tuple[MapPoint, ...]
    explained: tuple[float, float]
    count: int
    preset: str | None
    weights: Weights
    _layout: PartLayout = field(repr=False)
    _mean: NDArray[np.float64] = field(repr=False)
    _axes: NDArray[np.float64] = field(repr=False)

    def place(self, vector: Vectors) -> tuple[float, float]:
        """Where the vector of a query or a case, (size,) without weights, lies on the same axes."""
        x, y = _spread(self._layout, vector[None], self.weights, self._mean)[0] @ self._axes.T
        return float(x), float(y)

    def to_dict(self) -> dict[str, Any]:
        """Plain values for JSON."""
        return {
            "points": [
                {
                    "case_id": p.case_id,
                    "x": round(p.x, 5),
                    "y": round(p.y, 5),
                    "diagnosis": p.diagnosis,
                    "trained_on": p.trained_on,
                }
                for p in self.points
            ],
            "explained": list(self.explained),
            "count": self.count,
            "preset": self.preset,
            "weights": self.weights.model_dump(),
            "local_weight": self.weights.local_weight,
        }


def project(
    base: CaseBase, sample: int = 5000, local_weight: float | None = None, weights: AskedWeights | None = None
) -> Projection:
    """Lay a case base out on a plane; the same base gives the same map.

    Args:
        base: with at least one case.
        sample: cases at most; of a larger base, those with the smallest hashes of their ids.
        local_weight: λ of the distances, in place of that of ``weights``.
        weights: of the distances, as those of :meth:`CaseBase.search`.

    Raises:
        ValueError: for an empty base, a sample below 2, or weights that cannot be used.
    """
    if sample < 2:
        raise ValueError(f"a map needs a sample of at least 2 cases, got {sample}")
    rows = sample_rows(base.store, sample)
    if not rows:
        raise ValueError(f"{base.uri} holds no case; add some with: dermquery index TABLE --base {base.uri}")
    layout, (preset, chosen) = base.manifest.layout, base.choose(weights, local_weight)
    vectors = np.stack([row.vector for row in rows])
    mean = _weighted(layout, vectors, chosen).mean(axis=0)
    spread = _spread(layout, vectors, chosen, mean)
    axes, explained = _principal_axes(spread)
    plane = spread @ axes.T
    seen = base.trained_on([row.stamp.phash for row in rows])
    points = tuple(
        MapPoint(row.case.case_id, float(x), float(y), row.case.diagnosis, known)
        for row, (x, y), known in zip(rows, plane, seen, strict=True)
    )
    return Projection(points, explained, base.count(), preset, chosen, layout, mean, axes)


def _weighted(layout: PartLayout, vectors: NDArray[Any], weights: Weights) -> NDArray[np.float64]:
    """Vectors (n, size) with the roots of the weights on them; a case asks for one of its seven findings at a time."""
    scales = layout.scales(weights).astype(np.float64)
    scales[layout.slices["findings"]] /= len(CRITERIA)
    return np.asarray(vectors, np.float64) * np.sqrt(scales)


def _spread(
    layout: PartLayout, vectors: NDArray[Any], weights: Weights, mean: NDArray[np.float64]
) -> NDArray[np.float64]:
    """Weighted vectors (n, size) from their middle, in which a criterion lies of which nothing is said."""
    part, held = layout.slices["findings"], np.array(vectors, np.float64)
    findings = held[:, part]
    asking = findings.sum(axis=1) <= 1 + _NEARLY  # a query's shares of one, as values that a case has
    findings[asking] /= np.maximum(findings[asking].max(axis=1, keepdims=True), _NEARLY)
    spread = _weighted(layout, held, weights) - mean
    for places in places_of_criteria():
        spread[:, part][:, places] *= findings[:, places].any(axis=1, keepdims=True)
    return spread


def _principal_axes(vectors: NDArray[np.float64]) -> tuple[NDArray[np.float64], tuple[float, float]]:
    """Two unit axes (2, size), the second of zeros where there is no second, and their shares of the variance."""
    centred = vectors - vectors.mean(axis=0)
    total = float((centred**2).sum())
    if total < 1e-12 * len(vectors):
        return np.zeros((2, vectors.shape[1])), (0.0, 0.0)
    squares, axes = _leading(centred)
    shares = squares / total
    axes[shares < 1e-12] = 0
    # An axis has no direction of its own; scikit-learn's rule makes its greatest number positive.
    axes *= np.sign(axes[np.arange(2), np.abs(axes).argmax(axis=1)])[:, None]
    return axes, (float(shares[0]), float(shares[1]))


def _leading(centred: NDArray[np.float64]) -> tuple[NDArray[np.float64], NDArray[np.float64]]:
    """The two greatest sums of squares along an axis, and their axes (2, size), of centred vectors (n, size).

    Two of a thousand axes are wanted, so they are looked for in a space that grows until it holds them: block Krylov,
    Musco and Musco 2015. It takes a fraction of the time of all axes, and is exact when the space is whole.
    """
    size = centred.shape[1]
    basis = np.random.default_rng(0).normal(size=(size, min(_BLOCK, size)))
    while True:
        basis = np.linalg.qr(basis[:, :size])[0]
        image = centred.T @ (centred @ basis)
        squares, turns = np.linalg.eigh(basis.T @ image)
        squares, turns = squares[:-3:-1], turns[:, :-3:-1]
        axes = basis @ turns
        missing = np.linalg.norm(image @ turns - axes * squares)
        if basis.shape[1] == size or missing <= _PRECISION * squares[0]:
            return squares, axes.T
        basis = np.hstack([basis, image[:, -_BLOCK:]])
