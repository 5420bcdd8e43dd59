"""How many cases of a base are less alike to a query than a hit is: the scale on which people read a part.

A cosine of .87 says nothing to anybody. That it is greater than those of 99.2 % of the base's cases does, and the same
for every model, base and form of query: words alone reach other cosines than an image with words.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass

import numpy as np

from dermquery.model.alignment import Vectors
from dermquery.model.parts import PartLayout, Parts, Weights
from dermquery.store.protocol import StoredCase

__all__ = ["FEWEST", "SAMPLE", "Closeness", "closeness", "sample_vectors"]

FEWEST = 20
"""Cases below which a share says nothing."""
SAMPLE = 1000
"""Cases that a query is compared with."""
_READ = ("meaning", "look")
_ROUNDED = 1e-6
"""A product of one row and the same among many differ by less."""


@dataclass(frozen=True, eq=False)
class Closeness:
    """The parts of one query's score against each case of a sample, (1, n) each."""

    sample: Parts

    def shares(self, parts: Mapping[str, float | None]) -> dict[str, float]:
        """The share of the sample that is less alike, in [0, 1), of the parts that say something.

        Findings need none: their part is itself a share, of the findings that were asked for.
        """
        return {name: self._share(name, value) for name, value in parts.items() if value is not None and name in _READ}

    def _share(self, part: str, value: float) -> float:
        compared = getattr(self.sample, part)[0]
        return min(float((compared < value - _ROUNDED).mean()), 1 - 1 / len(compared))


def sample_vectors(rows: Sequence[StoredCase], size: int) -> Vectors:
    """The vectors of a sample of a base, (n, size); none of too few rows."""
    return np.stack([row.vector for row in rows]) if len(rows) >= FEWEST else np.zeros((0, size), np.float32)


def closeness(query: Vectors, sample: Vectors, layout: PartLayout, weights: Weights) -> Closeness | None:
    """How alike a query (size,) is to each of a sample (n, size); None without a sample."""
    return Closeness(layout.parts(query[None], sample, weights)) if len(sample) else None
