"""A query once it is encoded: searched with again and again, and moved by what the user says of its hits."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, replace

import numpy as np

from dermquery.data.case import Query
from dermquery.data.findings import Findings
from dermquery.model.alignment import Vectors
from dermquery.model.parts import PartLayout

__all__ = ["EncodedQuery", "rocchio"]


@dataclass(frozen=True, eq=False)
class EncodedQuery:
    """What a search needs of a query.

    Attributes:
        query: as it was asked.
        reading: what its terms and its free text say.
        vector: (size,) float32, not weighted.
        sha256: hash of its image file, where there was one.
        same: ids of the cases of that very image.
        files: hashes by which the base may hold the file: its own, and of what preparation makes of it.
        looks: perceptual hashes of its image, as it is and without its borders; none without one.
    """

    query: Query
    reading: Findings
    vector: Vectors
    sha256: str | None = None
    same: tuple[str, ...] = ()
    looks: tuple[str, ...] = ()
    files: tuple[str, ...] = ()

    @property
    def terms(self) -> Mapping[str, str]:
        """Checklist criteria that it gives, as terms or in its free text."""
        return self.reading.checklist

    def moved(self, layout: PartLayout, relevant: Vectors, irrelevant: Vectors) -> EncodedQuery:
        """The query after the user's marks: nearer to the cases found relevant, away from the others."""
        return replace(self, vector=rocchio(layout, self.vector, relevant, irrelevant))


def rocchio(
    layout: PartLayout,
    query: Vectors,
    relevant: Vectors,
    irrelevant: Vectors,
    *,
    towards: float = 0.75,
    away: float = 0.25,
) -> Vectors:
    """Relevance feedback on every part, so that the score stays one inner product of the same parts.

    ``q' = q + β·mean(relevant) − γ·mean(irrelevant)``, each block normalised again (Rocchio 1971; weights of
    Manning et al. 2008, section 9.1.1). A block that the marks cancel out stays as it was. A query that asked for no
    finding, or had no image, takes those of the marked cases.

    Args:
        layout: of the vectors.
        query: (size,) float32.
        relevant: vectors of cases that the user found relevant, (n, size); may be empty.
        irrelevant: those of cases found irrelevant, (m, size); may be empty.
        towards: β.
        away: γ.

    Returns:
        (size,) float32.
    """
    moved = query.astype(np.float64)
    if len(relevant):
        moved = moved + towards * layout.asking(relevant).mean(axis=0)
    if len(irrelevant):
        moved = moved - away * layout.asking(irrelevant).mean(axis=0)
    return np.asarray(layout.normalised(moved[None], query[None])[0], np.float32)
