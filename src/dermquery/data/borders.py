"""Removal of what surrounds a dermoscopic image: black frames, round fields of the dermatoscope, edges of slides.

The rule rests on one fact: a dermatoscope's field and the window of a slide mount are convex. Dark pixels are
therefore a border only outside the convex hull of the lit ones. A dark lesion that touches the edge of the image is a
dent in the lit area, which the hull fills again, so it is never cut away.
"""

from __future__ import annotations

import math

import numpy as np
from PIL import Image
from scipy import ndimage

__all__ = ["remove_borders"]

_WORKING_SIDE = 256
_DARKEST, _LIGHTEST = 20.0, 50.0
_TOLERANCE = 0.05
_MIN_PATCH = 0.001
_MAX_LIT = 0.03
_MIN_KEPT = 0.55
_Box = tuple[int, int, int, int]


def remove_borders(image: Image.Image) -> Image.Image:
    box = (0, 0, *image.size)
    while (inner := _inner_box(image, box)) != box:
        box = inner
    return image if box == (0, 0, *image.size) else image.crop(box)


def _inner_box(image: Image.Image, box: _Box) -> _Box:
    left, top, right, bottom = box
    factor = max(1, round(max(right - left, bottom - top) / _WORKING_SIDE))
    small = np.asarray(image.reduce(factor, box))
    visible = _field(small.max(axis=2).astype(np.float32))
    if visible is None:
        return box
    y0, y1, x0, x1 = _peel(visible)
    if visible[y0:y1, x0:x1].sum() < _MIN_KEPT * visible.sum():
        return box
    h, w = visible.shape
    return (
        left + (x0 + 1) * factor if x0 else left,
        top + (y0 + 1) * factor if y0 else top,
        left + (x1 - 1) * factor if x1 < w else right,
        top + (y1 - 1) * factor if y1 < h else bottom,
    )


def _field(brightness):
    threshold = float(np.clip(0.25 * np.median(brightness), _DARKEST, _LIGHTEST))
    for level in (threshold, threshold / 2):
        lit = brightness > level
        patches, count = ndimage.label(ndimage.binary_opening(lit, np.ones((5, 5), bool)))
        large = np.bincount(patches.ravel(), minlength=count + 1) >= _MIN_PATCH * lit.size
        large[0] = False
        core = large[patches]
        if core.mean() < 0.1:
            return None
        field = _hull(core)
        dark = ndimage.binary_erosion(~field, np.ones((5, 5), bool), border_value=1)
        if lit[dark].sum() <= _MAX_LIT * dark.sum():
            return field
    return None


def _hull(mask):
    """Convex hull of a mask, filled."""
    rows = np.flatnonzero(mask.any(axis=1))
    first = mask[rows].argmax(axis=1)
    last = mask.shape[1] - 1 - mask[rows][:, ::-1].argmax(axis=1)
    y = np.arange(mask.shape[0])
    lo = _chain(rows, first)
    hi = _chain(rows, -last)
    left = np.interp(y, *lo)
    right = -np.interp(y, *hi)
    x = np.arange(mask.shape[1])
    inside = (x >= np.ceil(left - 1e-9)[:, None]) & (x <= np.floor(right + 1e-9)[:, None])
    inside &= ((y >= rows[0]) & (y <= rows[-1]))[:, None]
    return inside


def _chain(ys, xs):
    """Lower convex chain of points (y, x), x minimal: monotone chain."""
    pts = []
    for p in zip(ys.tolist(), xs.tolist()):
        while (
            len(pts) >= 2
            and (pts[-1][0] - pts[-2][0]) * (p[1] - pts[-2][1]) - (pts[-1][1] - pts[-2][1]) * (p[0] - pts[-2][0]) <= 0
        ):
            pts.pop()
        pts.append(p)
    a = np.array(pts)
    return a[:, 0], a[:, 1]


def _peel(visible):
    y0, x0 = 0, 0
    y1, x1 = visible.shape
    while y1 - y0 > 8 and x1 - x0 > 8:
        lines = (visible[y0, x0:x1], visible[y1 - 1, x0:x1], visible[y0:y1, x0], visible[y0:y1, x1 - 1])
        shares = [1 - l.mean() for l in lines]
        worst = int(np.argmax(shares))
        if shares[worst] <= _TOLERANCE:
            break
        if worst == 0:
            y0 += 1
        elif worst == 1:
            y1 -= 1
        elif worst == 2:
            x0 += 1
        else:
            x1 -= 1
    return y0, y1, x0, x1
