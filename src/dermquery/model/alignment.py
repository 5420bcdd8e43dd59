"""Joint alignment of local and global similarity (equations 7 to 9), and the layout that makes it one inner product.

``s = λ·s_local + (1−λ)·s_global`` where each part is a mean of cosines over the levels. A mean of cosines is the inner
product of concatenated unit blocks, so with the weights put on the query's side only

    ``s(q, x) = Σ_l λ/L ⟨q_local,l , x_local,l⟩ + Σ_l (1−λ)/L ⟨q_global,l , x_global,l⟩ = ⟨w(q), x⟩``

and λ can change at query time without touching one stored vector.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any, NamedTuple

import numpy as np
from numpy.typing import NDArray

__all__ = ["LOCAL_WEIGHT", "BlockLayout", "Evidence", "Vectors", "check_local_weight"]

LOCAL_WEIGHT = 0.6
"""The paper's λ of equation 9."""

Vectors = NDArray[np.float32]


class Evidence(NamedTuple):
    """One map per level (h_l, w_l) for the query and for the case; either set sums to the local similarity.

    ``query`` is empty for a query without image. ``box`` is the part (left, top, right, bottom) of the case's image
    that the maps cover, ``query_box`` that of the query's: borders were cut off before.
    """

    query: tuple[NDArray[np.float32], ...]
    case: tuple[NDArray[np.float32], ...]
    query_box: tuple[int, int, int, int] | None
    box: tuple[int, int, int, int]


def check_local_weight(local_weight: float) -> float:
    """Return λ as a float; ValueError outside [0, 1], where the score would be no convex sum any more."""
    if not 0.0 <= local_weight <= 1.0:
        raise ValueError(f"local weight must lie between 0 (global only) and 1 (local only), got {local_weight}")
    return float(local_weight)


@dataclass(frozen=True)
class BlockLayout:
    """Order of the unit blocks in one vector: local blocks level by level, then global blocks level by level.

    Attributes:
        levels: names of the feature levels, L of them.
        width: length d of every block.
    """

    levels: tuple[str, ...]
    width: int

    @property
    def size(self) -> int:
        """Length of one vector, 2·L·d."""
        return 2 * len(self.levels) * self.width

    def block_weights(self, local_weight: float = LOCAL_WEIGHT) -> NDArray[np.float32]:
        """Weight of each of the 2·L blocks: λ/L for local ones, (1−λ)/L for global ones; shape (2·L,)."""
        weight, n = check_local_weight(local_weight), len(self.levels)
        return np.repeat(np.array([weight / n, (1.0 - weight) / n], dtype=np.float32), n)

    def weigh(self, queries: NDArray[Any], local_weight: float = LOCAL_WEIGHT) -> Vectors:
        """Put λ on unit query vectors (n, 2·L·d), so that a plain inner product with a case gives equation 9."""
        weights = np.repeat(self.block_weights(local_weight), self.width)
        return np.asarray(self._checked(queries) * weights, dtype=np.float32)

    def score(self, queries: NDArray[Any], cases: NDArray[Any], local_weight: float = LOCAL_WEIGHT) -> Vectors:
        """Equation 9 between unit query vectors (n, 2·L·d) and unit case vectors (m, 2·L·d); shape (n, m)."""
        return np.asarray(self.weigh(queries, local_weight) @ self._checked(cases).T, dtype=np.float32)

    def parts(self, queries: NDArray[Any], cases: NDArray[Any]) -> tuple[Vectors, Vectors]:
        """Local similarity (equation 7) and global similarity (equation 8), each of shape (n, m) in [−1, 1]."""
        return self.score(queries, cases, 1.0), self.score(queries, cases, 0.0)

    def _checked(self, vectors: NDArray[Any]) -> NDArray[Any]:
        array = np.asarray(vectors)
        if array.ndim != 2 or array.shape[1] != self.size:
            expected = f"(n, {self.size}) = 2 parts x {len(self.levels)} levels x width {self.width}"
            raise ValueError(f"vectors of shape {array.shape} do not fit this layout; expected {expected}")
        return array
