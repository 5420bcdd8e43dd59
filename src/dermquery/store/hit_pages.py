"""From stored cases to a page of hits: the same for one query and for many."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass, replace

from dermquery.model.parts import PartLayout, Weights
from dermquery.model.trained_on import Fingerprints, joined, trained_on
from dermquery.store.closeness import Closeness
from dermquery.store.encoded import EncodedQuery
from dermquery.store.hits import Hit
from dermquery.store.protocol import StoredCase
from dermquery.store.scoring import hit_of

__all__ = ["HitPage", "known_images", "page_of", "told"]


@dataclass(frozen=True, eq=False)
class HitPage:
    """Hits of one query in their order, and the perceptual hashes of their images."""

    encoded: EncodedQuery
    hits: tuple[Hit, ...]
    hashes: tuple[str, ...]


def page_of(
    layout: PartLayout,
    encoded: EncodedQuery,
    found: Iterable[StoredCase],
    same: Sequence[StoredCase],
    weights: Weights,
    closer: Closeness | None,
    places: slice,
) -> HitPage:
    """A page of a ranking: cases of the very image that was asked with, then all others by their score.

    Args:
        layout: of the vectors.
        encoded: the query.
        found: the best cases, as far down as the page reaches; from the top where ``same`` holds any.
        same: those of the query's own image that may be found.
        weights: of the parts.
        closer: how alike the query is to a sample of the base, if that is known.
        places: of the page among what was found.
    """
    first = {row.case.case_id for row in same}
    rows = [*same, *(row for row in found if row.case.case_id not in first)]
    scored = [hit_of(layout, encoded, row, weights, closer) for row in rows]
    scored.sort(key=lambda hit: (hit.case.case_id not in first, -hit.score, hit.case.case_id))
    page = tuple(scored[places])
    stamps = {row.case.case_id: row.stamp for row in rows}
    return HitPage(encoded, page, tuple(stamps[hit.case.case_id].phash for hit in page))


def told(pages: Sequence[HitPage], known: Fingerprints, offset: int) -> list[tuple[Hit, ...]]:
    """The hits of pages with their ranks, and with what their images tell: trained on, or the query's own photograph.

    All images are looked up at once in the many that a model knows.
    """
    trained = iter(known_images(known, [one for page in pages for one in page.hashes]))
    return [tuple(_ranked(page, trained, offset)) for page in pages]


def _ranked(page: HitPage, trained: Iterator[bool | None], offset: int) -> Iterator[Hit]:
    alike = known_images(joined(page.encoded.looks), page.hashes)
    for rank, (hit, looks) in enumerate(zip(page.hits, alike, strict=True), start=offset + 1):
        same = bool(looks) and not hit.same_image
        yield replace(hit, rank=rank, trained_on=next(trained), same_photograph=same)


def known_images(known: Fingerprints, hashes: Sequence[str]) -> list[bool | None]:
    """Whether each hash is nearly one of the known; None for an empty one, or where none is known."""
    if not len(known):
        return [None] * len(hashes)
    found = iter(trained_on(known, [one for one in hashes if one]))
    return [bool(next(found)) if one else None for one in hashes]
