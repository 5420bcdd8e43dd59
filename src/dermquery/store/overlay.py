"""Evidence drawn on an image: what speaks for the similarity stays as it is, the rest is dimmed."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
from numpy.typing import NDArray
from PIL import Image

from dermquery.store.hits import SearchResult

__all__ = ["of_hit", "of_query", "spotlight"]

_DIMMED = 0.6
"""Opacity where nothing speaks for the similarity. Colours are never changed: they carry the diagnosis."""


def of_hit(result: SearchResult, rank: int, size: tuple[int, int], side: int) -> Image.Image | None:
    """The veil over the image of the hit of this rank; None if nothing was explained."""
    if not result.evidence:
        return None
    found = result.evidence[rank - 1]
    return spotlight(found.case, found.box, size, side)


def of_query(result: SearchResult, size: tuple[int, int], side: int) -> Image.Image | None:
    """The veil over the query's image, from the mean of its evidence for the hits; None if there is none."""
    boxes = [found.query_box for found in result.evidence if found.query_box is not None]
    if not boxes:
        return None
    levels = [np.mean(level, axis=0) for level in zip(*(found.query for found in result.evidence), strict=True)]
    return spotlight(levels, boxes[0], size, side)


def spotlight(
    levels: Sequence[NDArray[np.float32]], box: tuple[int, int, int, int], size: tuple[int, int], side: int
) -> Image.Image:
    """A black veil of varying opacity to lay over an image.

    Args:
        levels: evidence maps (h_l, w_l) over the box; they are added up, and what speaks against counts as nothing.
        box: left, top, right, bottom of the part that they cover, in pixels of the image.
        size: width and height of the image.
        side: the veil's longer side in pixels.

    Returns:
        RGBA with the image's aspect.
    """
    scale = side / max(size)
    width, height = (max(1, round(length * scale)) for length in size)
    left, top, right, bottom = (round(edge * scale) for edge in box)
    inner = (max(1, right - left), max(1, bottom - top))
    total = np.zeros(inner[::-1], np.float32)
    for level in levels:
        # Per pixel, so that a coarse level weighs as much as a fine one that sums to the same.
        density = Image.fromarray((np.maximum(level, 0) * level.size).astype(np.float32))
        total += np.asarray(density.resize(inner, Image.Resampling.BICUBIC)).clip(0)
    peak = float(np.quantile(total, 0.98)) or 1.0
    alpha = np.full((height, width), _DIMMED, np.float32)
    placed = alpha[top : top + inner[1], left : left + inner[0]]
    placed[:] = _DIMMED * (1 - (total / peak).clip(0, 1))[: placed.shape[0], : placed.shape[1]]
    veil = np.zeros((height, width, 4), np.uint8)
    veil[..., 3] = np.rint(alpha * 255)
    return Image.fromarray(veil, "RGBA")
