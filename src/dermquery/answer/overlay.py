"""Evidence drawn on an image: what speaks for the similarity stays as it is, the rest is dimmed."""

from __future__ import annotations

import io
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from types import MappingProxyType

import numpy as np
from numpy.typing import NDArray
from PIL import Image

from dermquery.data.image import ImageError, load_image
from dermquery.model.alignment import Evidence
from dermquery.store.hits import Hit, SearchResult

__all__ = [
    "ALL_LEVELS",
    "LONGEST_SIDE",
    "LevelOverlays",
    "brightness",
    "level_overlays",
    "lit_picture",
    "of_hit",
    "of_query",
    "png",
    "query_evidence",
    "small_picture",
    "spotlight",
]

Box = tuple[int, int, int, int]
ALL_LEVELS = "all"
"""Name of the overlay that adds up the levels."""
LONGEST_SIDE = 1024
"""Longest side of an overlay that is drawn; evidence is far coarser."""

_VEIL_SIDE = 160
_DIMMED = 0.6
"""Opacity where nothing speaks for the similarity. Colours are never changed: they carry the diagnosis."""


def of_hit(result: SearchResult, rank: int, size: tuple[int, int], side: int) -> Image.Image | None:
    """The veil over the image of the hit of this rank; None if nothing was explained."""
    if not result.evidence:
        return None
    # A later page of a ranking begins with a higher rank.
    found = result.evidence[[hit.rank for hit in result.hits].index(rank)]
    return spotlight(found.case, found.box, size, side)


def of_query(result: SearchResult, size: tuple[int, int], side: int) -> Image.Image | None:
    """The veil over the query's image, from the mean of its evidence for the hits; None if there is none."""
    found = query_evidence(result)
    return None if found is None else spotlight(*found, size, side)


def query_evidence(result: SearchResult) -> tuple[list[NDArray[np.float32]], Box] | None:
    """The evidence on the query's image, the mean over the hits: a map (h_l, w_l) per level, and the part they cover.

    None if nothing was explained, or the query has no image.
    """
    boxes = [found.query_box for found in result.evidence if found.query_box is not None]
    if not boxes:
        return None
    each = zip(*(found.query for found in result.evidence), strict=True)
    return [np.mean(level, axis=0, dtype=np.float32) for level in each], boxes[0]


def small_picture(result: SearchResult, hit: Hit | None, side: int) -> tuple[Image.Image, Image.Image | None]:
    """The image of a hit, or of the query for None, with at most ``side`` pixels a side, and the veil of its evidence.

    Raises:
        ImageError: it cannot be read any more.
    """
    image = load_image(result.query.image if hit is None else result.picture(hit))
    size = image.size
    veil = of_query(result, size, _VEIL_SIDE) if hit is None else of_hit(result, hit.rank, size, _VEIL_SIDE)
    image.thumbnail((side, side), Image.Resampling.LANCZOS)
    return image, veil


def lit_picture(result: SearchResult, hit: Hit | None, side: int) -> Image.Image | None:
    """The same with the veil laid over the image; None if it cannot be read any more."""
    try:
        image, veil = small_picture(result, hit, side)
    except ImageError:
        return None
    if veil is None:
        return image
    smooth = veil.resize(image.size, Image.Resampling.BICUBIC)
    return Image.alpha_composite(image.convert("RGBA"), smooth).convert("RGB")


@dataclass(frozen=True)
class LevelOverlays:
    """Overlays by the name of their level, and ``all`` for the levels together.

    Attributes:
        query: over the query's image; empty for a query without one.
        case: over the case's image.
    """

    query: Mapping[str, Image.Image]
    case: Mapping[str, Image.Image]


def level_overlays(
    evidence: Evidence,
    levels: Sequence[str],
    case_size: tuple[int, int],
    query_size: tuple[int, int] | None = None,
    *,
    side: int = 320,
) -> LevelOverlays:
    """What each level of the features sees of one similarity, as veils to lay over the two images.

    Every veil is scaled to its own peak: it says where a level looks, not how much it contributes.

    Args:
        evidence: of one query and one case.
        levels: their names, in the order of the maps (``manifest.levels``).
        case_size: width and height of the case's image, upright.
        query_size: those of the query's; needed if the query has an image.
        side: longer side of the overlays in pixels, at most ``LONGEST_SIDE``.

    Raises:
        ValueError: for a side out of range, names that do not fit the maps, or a missing size.
    """
    if not 1 <= side <= LONGEST_SIDE:
        raise ValueError(f"the side of an overlay must lie between 1 and {LONGEST_SIDE} pixels, got {side}")
    if len(levels) != len(evidence.case):
        raise ValueError(f"{len(evidence.case)} maps of evidence do not fit the levels {', '.join(levels) or 'none'}")
    query: Mapping[str, Image.Image] = MappingProxyType({})
    if evidence.query and evidence.query_box is not None:
        if query_size is None:
            raise ValueError("the size of the query's image is needed to draw its evidence")
        query = _by_level(evidence.query, levels, evidence.query_box, query_size, side)
    return LevelOverlays(query, _by_level(evidence.case, levels, evidence.box, case_size, side))


def png(image: Image.Image) -> bytes:
    """An overlay as a PNG file."""
    buffer = io.BytesIO()
    image.save(buffer, "PNG", optimize=True)
    return buffer.getvalue()


def _by_level(
    maps: Sequence[NDArray[np.float32]],
    levels: Sequence[str],
    box: Box,
    size: tuple[int, int],
    side: int,
) -> Mapping[str, Image.Image]:
    each = {name: spotlight([level], box, size, side) for name, level in zip(levels, maps, strict=True)}
    return MappingProxyType({ALL_LEVELS: spotlight(maps, box, size, side), **each})


def spotlight(levels: Sequence[NDArray[np.float32]], box: Box, size: tuple[int, int], side: int) -> Image.Image:
    """A black veil of varying opacity to lay over an image.

    Args:
        levels: evidence maps, as of :func:`brightness`.
        box: the part of the image that they cover, in its pixels.
        size: width and height of the image.
        side: the veil's longer side in pixels.

    Returns:
        RGBA with the image's aspect.
    """
    scale = side / max(size)
    width, height = (max(1, round(length * scale)) for length in size)
    left, top, right, bottom = (round(edge * scale) for edge in box)
    veil = np.zeros((height, width, 4), np.uint8)
    veil[..., 3] = np.rint(_DIMMED * (1 - brightness(levels, (left, top, right, bottom), (width, height))) * 255)
    return Image.fromarray(veil, "RGBA")


def brightness(levels: Sequence[NDArray[np.float32]], box: Box, size: tuple[int, int]) -> NDArray[np.float32]:
    """How much each pixel speaks for the similarity, from 0 to 1; scaled to the 98th percentile of its own values.

    Args:
        levels: evidence maps (h_l, w_l) over the box; they are added up, and what speaks against counts as nothing.
        box: left, top, right, bottom of the part that they cover, in pixels; outside of it all is 0.
        size: width and height.

    Returns:
        (height, width)
    """
    left, top, right, bottom = box
    inner = (max(1, right - left), max(1, bottom - top))
    total = np.zeros(inner[::-1], np.float32)
    for level in levels:
        # Per pixel, so that a coarse level weighs as much as a fine one that sums to the same.
        density = Image.fromarray((np.maximum(level, 0) * level.size).astype(np.float32))
        total += np.asarray(density.resize(inner, Image.Resampling.BICUBIC)).clip(0)
    peak = float(np.quantile(total, 0.98)) or 1.0
    bright = np.zeros(size[::-1], np.float32)
    placed = bright[top : top + inner[1], left : left + inner[0]]
    placed[:] = (total / peak).clip(0, 1)[: placed.shape[0], : placed.shape[1]]
    return bright
