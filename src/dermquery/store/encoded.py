"""A query once it is encoded: searched with again and again, and moved by what the user says of its hits."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, replace

import numpy as np

from dermquery.data.case import Query
from dermquery.data.findings import Findings
from dermquery.model.alignment import BlockLayout, Vectors

__all__ = ["EncodedQuery", "rocchio"]


@dataclass(frozen=True, eq=False)
class EncodedQuery:
    """What a search needs of a query.

    Attributes:
        query: as it was asked.
        reading: what its terms and its free text say.
        vector: (size,) float32 of unit blocks, not weighted by λ.
    """

    query: Query
    reading: Findings
    vector: Vectors

    @property
    def terms(self) -> Mapping[str, str]:
        """Checklist criteria that it gives, as terms or in its free text."""
        return self.reading.checklist

    def moved(self, layout: BlockLayout, relevant: Vectors, irrelevant: Vectors) -> EncodedQuery:
        """The query after the user's marks: nearer to the cases found relevant, away from the others."""
        return replace(self, vector=rocchio(layout, self.vector, relevant, irrelevant))


def rocchio(
    layout: BlockLayout,
    query: Vectors,
    relevant: Vectors,
    irrelevant: Vectors,
    *,
    towards: float = 0.75,
    away: float = 0.25,
) -> Vectors:
    """Relevance feedback on every unit block, so that equation 9 stays one inner product of unit blocks.

    ``q' = q + β·mean(relevant) − γ·mean(irrelevant)``, each block normalised again (Rocchio 1971; weights of
    Manning et al. 2008, section 9.1.1). A block that the marks cancel out stays as it was.

    Args:
        layout: of the vectors.
        query: (size,) float32.
        relevant: vectors of cases that the user found relevant, (n, size); may be empty.
        irrelevant: those of cases found irrelevant, (m, size); may be empty.
        towards: β.
        away: γ.

    Returns:
        (size,) float32 of unit blocks.
    """
    moved = query.astype(np.float64)
    if len(relevant):
        moved = moved + towards * relevant.mean(axis=0)
    if len(irrelevant):
        moved = moved - away * irrelevant.mean(axis=0)
    blocks = moved.reshape(-1, layout.width)
    norms = np.linalg.norm(blocks, axis=1, keepdims=True)
    kept = np.where(norms > 1e-6, blocks / np.maximum(norms, 1e-6), query.reshape(blocks.shape))
    return np.asarray(kept.reshape(-1), np.float32)
