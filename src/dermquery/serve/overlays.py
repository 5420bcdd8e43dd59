"""Evidence as transparent pictures to lay over an image."""

from __future__ import annotations

import io
from dataclasses import dataclass
from typing import Literal

from PIL import Image

from dermquery.answer.overlay import spotlight
from dermquery.model.alignment import Evidence
from dermquery.store.casebase import QueryError

__all__ = ["Explained", "Overlays", "draw_overlays"]

_SIDE = 512


@dataclass(frozen=True)
class Explained:
    """Evidence with the sizes (width, height) of its two images; ``query_size`` is None for a query without image."""

    evidence: Evidence
    query_size: tuple[int, int] | None
    size: tuple[int, int]


@dataclass(frozen=True)
class Overlays:
    """Transparent PNGs with the aspect of their images; they dim what does not contribute.

    Attributes:
        query: over the query's image; None for a query without one.
        case: over the case's image.
    """

    query: bytes | None
    case: bytes

    def over(self, image: Literal["case", "query"]) -> bytes:
        """The overlay over one of the images; QueryError for the one that a query without an image lacks."""
        if (drawn := self.case if image == "case" else self.query) is None:
            raise QueryError("the query has no image to lay evidence over; ask for the case's overlay")
        return drawn


def draw_overlays(explained: Explained, level: int | None = None) -> Overlays:
    """Draw the evidence of one feature level, or of all together if None."""
    found = explained.evidence
    chosen = slice(None) if level is None else slice(level, level + 1)
    query = None
    if explained.query_size is not None and found.query_box is not None:
        query = _png(spotlight(found.query[chosen], found.query_box, explained.query_size, _SIDE))
    return Overlays(query, _png(spotlight(found.case[chosen], found.box, explained.size, _SIDE)))


def _png(image: Image.Image) -> bytes:
    buffer = io.BytesIO()
    image.save(buffer, "PNG")
    return buffer.getvalue()
