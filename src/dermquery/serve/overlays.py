"""Evidence as a transparent picture to lay over an image."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Literal

from dermquery.answer.overlay import png, spotlight
from dermquery.model.alignment import Evidence
from dermquery.store.casebase import QueryError

__all__ = ["Explained", "draw_overlay"]

_SIDE = 512


@dataclass(frozen=True)
class Explained:
    """Evidence with the sizes (width, height) of its two images; ``query_size`` is None for a query without image."""

    evidence: Evidence
    query_size: tuple[int, int] | None
    size: tuple[int, int]


def draw_overlay(explained: Explained, level: int | None, over: Literal["case", "query"]) -> bytes:
    """A transparent PNG that dims what does not contribute, by one feature level, or by all together if None.

    Raises:
        QueryError: it is asked for over the query's image, and the query has none.
    """
    found, box, size = explained.evidence, explained.evidence.box, explained.size
    levels = found.case if over == "case" else found.query
    if over == "query":
        if explained.query_size is None or found.query_box is None:
            raise QueryError("the query has no image to lay evidence over; ask for the case's overlay")
        box, size = found.query_box, explained.query_size
    return png(spotlight(levels if level is None else levels[level : level + 1], box, size, _SIDE))
