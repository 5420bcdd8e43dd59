"""Draw vascular structures, the shapes that dermoscopy tells apart, as red lines and dots."""

from __future__ import annotations

from collections.abc import Callable, Mapping

import numpy as np

from dermquery.lab.synthetic.brushes import Field, Points, Stroke, curve, smoothstep
from dermquery.lab.synthetic.lesion import Lesion
from dermquery.lab.synthetic.structures import Layer, regression_area

__all__ = ["vessels"]

_Strokes = list[Stroke]
RED: Field = np.square(np.array([184, 44, 50], dtype=np.float32) / np.float32(255))
"""Linear RGB of blood close to the surface."""
HALO: Field = np.square(np.array([226, 178, 172], dtype=np.float32) / np.float32(255))


def vessels(lesion: Lesion, rng: np.random.Generator, value: str, regressed: np.random.Generator) -> Layer:
    """Paint the vessels of one value.

    Args:
        lesion: what they run in.
        rng: their own random stream.
        value: a value of ``vascular_structures`` other than absent.
        regressed: a fresh copy of the regression's random stream, which places vessels within regression.
    """
    canvas = lesion.canvas
    if value == "dotted":
        spots = lesion.scatter(rng, int(rng.integers(90, 170)), 0.03, lesion.patch(rng, 0.2, 0.9, 0.3))
        cover = canvas.dots(spots, rng.normal(0.0066, 0.0007, len(spots)), np.full(len(spots), 0.9), soft=0.4)
    elif value == "within regression":
        cover = _within_regression(lesion, rng, regressed)
    else:
        cover = canvas.strokes(_LINES[value](lesion, rng))
    cover = canvas.blurred(cover, 0.0018) * np.clip(0.85 + 0.3 * canvas.noise(rng, 0.06), 0.4, 1.2)
    tints: list[tuple[Field, Field]] = []
    mask = canvas.grown(cover, 0.004)
    if value == "hairpin":
        halo = smoothstep(canvas.blurred(cover, 0.007), 0.04, 0.28)
        tints.append((np.float32(0.5) * halo, HALO))
        mask |= halo > 0.3
    share = np.clip(0.95 * cover, 0, 0.9).astype(np.float32)
    return Layer(mask, tints=(*tints, (share, RED)))


def _arborizing(lesion: Lesion, rng: np.random.Generator) -> _Strokes:
    """Thick bright trunks from the border that branch like trees into ever thinner twigs."""
    lines: _Strokes = []
    for angle in rng.uniform(0, 2 * np.pi) + np.arange(3) * 2.1 + rng.normal(0, 0.3, 3):
        start = lesion.point(np.array([angle]), 0.95)[0]
        heading = np.arctan2(*(lesion.centre - start)[::-1])
        _branch(lines, rng, start, heading + rng.normal(0, 0.25), 0.0105, lesion.radius * 0.55, 4)
    return lines


def _branch(
    lines: _Strokes, rng: np.random.Generator, start: Points, heading: float, width: float, length: float, left: int
) -> None:
    """Add one segment of a tree, then its two branches while any are left."""
    end = start + length * np.array([np.cos(heading), np.sin(heading)])
    lines.append(Stroke(curve(start, end, rng.normal(0, 0.12)), np.linspace(width, 0.7 * width, 16)))
    if left:
        for side in (-1, 1):
            turn = heading + side * rng.uniform(0.3, 0.75)
            _branch(lines, rng, end, turn, 0.66 * width, length * rng.uniform(0.55, 0.75), left - 1)


def _comma(lesion: Lesion, rng: np.random.Generator) -> _Strokes:
    """Short, thick, once-curved vessels with a thicker end, little branched."""
    lines: _Strokes = []
    for start in lesion.scatter(rng, int(rng.integers(14, 24)), 0.1):
        angle, length = rng.uniform(0, 2 * np.pi), rng.uniform(0.035, 0.055)
        end = start + length * np.array([np.cos(angle), np.sin(angle)])
        bend = rng.choice([-1, 1]) * rng.uniform(0.28, 0.42)
        lines.append(Stroke(curve(start, end, bend), np.linspace(0.0115, 0.006, 16)))
    return lines


def _hairpin(lesion: Lesion, rng: np.random.Generator) -> _Strokes:
    """Loops of two close parallel limbs."""
    lines: _Strokes = []
    t = np.linspace(0, 1, 12)
    for spot in lesion.scatter(rng, int(rng.integers(14, 24)), 0.08):
        angle, length, gap = rng.uniform(0, 2 * np.pi), rng.uniform(0.030, 0.045), rng.uniform(0.0075, 0.010)
        bow = np.stack([length + gap * np.sin(np.pi * t), gap * np.cos(np.pi * t)], axis=1)
        limb = np.concatenate([[[0, gap]], bow, [[0, -gap]]])
        turn = np.array([[np.cos(angle), np.sin(angle)], [-np.sin(angle), np.cos(angle)]])
        lines.append(Stroke(spot + limb @ turn, np.full(len(limb), 0.0052)))
    return lines


def _wreath(lesion: Lesion, rng: np.random.Generator) -> _Strokes:
    """Crown of vessels from the border inwards that bend but never cross the centre."""
    count = int(rng.integers(16, 26))
    angles = np.linspace(0, 2 * np.pi, count, endpoint=False) + rng.normal(0, 0.06, count)
    starts = lesion.point(angles, 1.03)
    ends = lesion.point(angles + rng.normal(0, 0.15, count), rng.uniform(0.55, 0.75, count))
    widths = np.linspace(0.0075, 0.004, 16)
    return [Stroke(curve(a, b, rng.normal(0, 0.2)), widths) for a, b in zip(starts, ends, strict=True)]


def _linear_irregular(lesion: Lesion, rng: np.random.Generator) -> _Strokes:
    """Winding lines of changing width, direction and length."""
    lines: _Strokes = []
    for start in lesion.scatter(rng, int(rng.integers(9, 16)), 0.22):
        steps = int(rng.integers(14, 30))
        headings = rng.uniform(0, 2 * np.pi) + np.cumsum(rng.normal(0, 0.55, steps))
        walk = np.cumsum(0.0075 * np.stack([np.cos(headings), np.sin(headings)], axis=1), axis=0)
        widths = 0.0062 * np.clip(1 + 0.5 * np.sin(np.linspace(0, rng.uniform(4, 12), steps)), 0.35, 1.5)
        lines.append(Stroke(start + walk, widths))
    return lines


def _within_regression(lesion: Lesion, rng: np.random.Generator, regressed: np.random.Generator) -> Field:
    """Fine short lines and dots, only where the lesion has regressed."""
    white, blue = regression_area(lesion, regressed)
    where = smoothstep(np.maximum(white, 0.8 * blue), 0.1, 0.6)
    lines: _Strokes = []
    for start in lesion.scatter(rng, 26, 0.05, where):
        angle, length = rng.uniform(0, 2 * np.pi), rng.uniform(0.015, 0.035)
        end = start + length * np.array([np.cos(angle), np.sin(angle)])
        lines.append(Stroke(curve(start, end, rng.normal(0, 0.2), 8), np.full(8, 0.0042)))
    spots = lesion.scatter(rng, 24, 0.05, where)
    dots = lesion.canvas.dots(spots, np.full(len(spots), 0.0045), np.full(len(spots), 0.85))
    return np.maximum(lesion.canvas.strokes(lines), dots)


_LINES: Mapping[str, Callable[[Lesion, np.random.Generator], _Strokes]] = {
    "arborizing": _arborizing,
    "comma": _comma,
    "hairpin": _hairpin,
    "wreath": _wreath,
    "linear irregular": _linear_irregular,
}
