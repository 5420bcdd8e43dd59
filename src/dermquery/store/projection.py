"""A map of a case base in two dimensions: the plane in which its vectors differ most.

Principal components of vectors on which λ stands as its square root, so that distances on the map approximate those of
equation 9: ``‖√w∘q − √w∘x‖² = 2 − 2 s(q, x)`` for unit blocks and weights w that sum to one. The plane is linear, so a
new query is placed on the same axes without anything being fitted again. What two dimensions cannot show is said by
:attr:`Projection.explained`.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field
from typing import Any

import numpy as np
from numpy.typing import NDArray

from dermquery.model.alignment import LOCAL_WEIGHT, BlockLayout, Vectors
from dermquery.store.casebase import CaseBase
from dermquery.store.sample import sample_rows

__all__ = ["MapPoint", "Projection", "project"]

_BLOCK = 16
"""Directions that each step adds to the space in which the axes are looked for."""
_PRECISION = 1e-9
"""Of an axis, as the length of what is left of it to find, in units of the greatest variance."""


@dataclass(frozen=True)
class MapPoint:
    """One case on the map.

    Attributes:
        x, y: in units of the distance √(2 − 2·score).
    """

    case_id: str
    x: float
    y: float
    diagnosis: str | None


@dataclass(frozen=True, eq=False)
class Projection:
    """Cases on a plane.

    Attributes:
        points: by ``case_id``.
        explained: share of the variance that each axis holds; (0, 0) where all cases are alike.
        count: cases in the base, of which the points may be a sample.
        local_weight: λ that the map was made with.
    """

    points: tuple[MapPoint, ...]
    explained: tuple[float, float]
    count: int
    local_weight: float
    _layout: BlockLayout = field(repr=False)
    _mean: NDArray[np.float64] = field(repr=False)
    _axes: NDArray[np.float64] = field(repr=False)

    def place(self, vector: Vectors) -> tuple[float, float]:
        """Where the vector of a query or a case, (size,) of unit blocks without λ, lies on the same axes."""
        x, y = (_weighted(self._layout, vector[None], self.local_weight) - self._mean)[0] @ self._axes.T
        return float(x), float(y)

    def to_dict(self) -> dict[str, Any]:
        """Plain values for JSON."""
        return {
            "points": [
                {"case_id": p.case_id, "x": round(p.x, 5), "y": round(p.y, 5), "diagnosis": p.diagnosis}
                for p in self.points
            ],
            "explained": list(self.explained),
            "count": self.count,
            "local_weight": self.local_weight,
        }


def project(base: CaseBase, sample: int = 5000, local_weight: float = LOCAL_WEIGHT) -> Projection:
    """Lay a case base out on a plane; the same base gives the same map.

    Args:
        base: with at least one case.
        sample: cases at most; of a larger base, those with the smallest hashes of their ids.
        local_weight: λ of the distances.

    Raises:
        ValueError: for an empty base, a sample below 2 or λ outside [0, 1].
    """
    if sample < 2:
        raise ValueError(f"a map needs a sample of at least 2 cases, got {sample}")
    rows = sample_rows(base.store, sample)
    if not rows:
        raise ValueError(f"{base.uri} holds no case; add some with: dermquery index TABLE --base {base.uri}")
    layout = base.manifest.layout
    vectors = _weighted(layout, np.stack([row.vector for row in rows]), local_weight)
    mean = vectors.mean(axis=0)
    axes, explained = _principal_axes(vectors)
    plane = (vectors - mean) @ axes.T
    points = tuple(
        MapPoint(row.case.case_id, float(x), float(y), row.case.diagnosis)
        for row, (x, y) in zip(rows, plane, strict=True)
    )
    return Projection(points, explained, base.count(), local_weight, layout, mean, axes)


def _weighted(layout: BlockLayout, vectors: Sequence[Vectors] | Vectors, local_weight: float) -> NDArray[np.float64]:
    weights = np.sqrt(np.repeat(layout.block_weights(local_weight), layout.width).astype(np.float64))
    return np.asarray(vectors, np.float64) * weights


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
