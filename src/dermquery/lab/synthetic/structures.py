"""Draw the pigmented structures of the seven-point checklist, one function per criterion.

Each function paints one criterion's value onto a lesion and returns a :class:`Layer`. It draws from its own random
stream, so leaving one out moves no other. Vessels are in :mod:`.vessels`.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from scipy import ndimage

from dermquery.lab.synthetic.brushes import Field, Mask, Points, Stroke, curve, smoothstep
from dermquery.lab.synthetic.lesion import Lesion

__all__ = ["Layer", "blotches", "dots_and_globules", "network", "regression", "streaks", "veil"]


@dataclass(frozen=True)
class Layer:
    """The optical effect of one structure.

    Attributes:
        mask: where the structure is; the ground truth.
        melanin: added pigment.
        bleach: share of all pigment below that it removes, 0 to 1.
        tints: (share, linear RGB) pairs mixed over the pigment, in order.
    """

    mask: Mask
    melanin: Field | None = None
    bleach: Field | None = None
    tints: tuple[tuple[Field, Field], ...] = ()


def _rgb(red: float, green: float, blue: float) -> Field:
    return np.asarray(np.square(np.array([red, green, blue]) / 255), dtype=np.float32)


def network(lesion: Lesion, rng: np.random.Generator, value: str) -> Layer:
    """Pigment network: a mesh of brown lines (rete ridges) round lighter holes (dermal papillae).

    Typical: fine, even, honeycomb-like, thinning out at the border. Atypical: wide and uneven holes, thick dark lines
    that break off, over a part of the lesion only and up to a sharp border.
    """
    canvas = lesion.canvas
    typical = value == "typical"
    spacing = rng.uniform(0.021, 0.028) if typical else rng.uniform(0.036, 0.054)
    bend = np.float32(0.012 if typical else 0.024)
    box = _box(lesion.depth > -0.25)
    x = canvas.x + bend * canvas.noise(rng, 0.12) + np.float32(0.10 * spacing) * canvas.noise(rng, 0.6 * spacing)
    y = canvas.y + bend * canvas.noise(rng, 0.12) + np.float32(0.10 * spacing) * canvas.noise(rng, 0.6 * spacing)
    walls = np.full_like(x, 9)
    walls[box] = canvas.cells(rng, x[box], y[box], spacing, 0.45 if typical else 0.85)
    if typical:
        lines = 1 - smoothstep(walls, -0.05, 0.62)
        even = np.clip(1 + 0.28 * canvas.fractal(rng, 0.09, 4), 0.3, 1.7)
        fade = smoothstep(lesion.depth, -0.12, 0.32) * (1 - 0.4 * smoothstep(lesion.depth, 0.4, 1.0))
        strength = np.float32(rng.uniform(0.7, 1.0)) * even
    else:
        width = np.clip(0.30 + 0.16 * canvas.noise(rng, 0.07), 0.08, 0.7)
        lines = 1 - smoothstep(walls / width, 0.1, 1.5)
        part = smoothstep(canvas.fractal(rng, 0.22, 3) + np.float32(rng.uniform(0.4, 0.9)), -0.15, 0.45)
        gaps = smoothstep(canvas.noise(rng, 0.045), -1.3, -0.5)
        fade = smoothstep(lesion.depth, -0.06, 0.08) * _never_empty(part, lesion) * gaps
        strength = np.clip(rng.uniform(1.1, 1.7) * (1 + 0.4 * canvas.fractal(rng, 0.09, 3)), 0.3, 2.8)
    return Layer(_closed(lesion, fade > 0.2, spacing / 2), melanin=np.asarray(lines * fade * strength, np.float32))


def streaks(lesion: Lesion, rng: np.random.Generator, value: str) -> Layer:
    """Streaks and pseudopods: dark finger-like projections that cross the border along the radius.

    Regular: of one length, evenly spread round the whole lesion (starburst). Irregular: of different lengths, over one
    or two segments of the border only.
    """
    if value == "regular":
        count = int(np.clip(2 * np.pi * lesion.radius / rng.uniform(0.021, 0.027), 30, 110))
        angles = np.linspace(0, 2 * np.pi, count, endpoint=False) + rng.uniform(0, 6) + rng.normal(0, 0.02, count)
        beyond = rng.normal(rng.uniform(0.022, 0.036), 0.003, count)
        bulbs = np.full(count, rng.random() < 0.5)
    else:
        opens = rng.uniform(0, 2 * np.pi)
        angles = opens + rng.uniform(0, rng.uniform(1.2, 2.2), int(rng.integers(16, 28)))
        if rng.random() < 0.4:
            angles = np.concatenate([angles, opens + np.pi + rng.uniform(-0.5, 0.5, 8)])
        beyond = rng.uniform(0.008, 0.060, len(angles))
        bulbs = rng.random(len(angles)) < 0.5
    reach = lesion.reach(angles)
    starts = lesion.point(angles, 1 - rng.uniform(0.03, 0.06, len(angles)) / reach)
    tips = lesion.point(angles + rng.normal(0, 0.03 if value == "regular" else 0.09, len(angles)), 1 + beyond / reach)
    lines = []
    for start, tip, bulb in zip(starts, tips, bulbs, strict=True):
        width = rng.uniform(0.008, 0.012) if value == "regular" else rng.uniform(0.008, 0.017)
        taper = width * np.linspace(1.5, 0.45, 12)
        if bulb:
            taper[-3:] = width * 1.25
        lines.append(Stroke(curve(start, tip, rng.normal(0, 0.07), 12), taper))
    canvas = lesion.canvas
    cover = canvas.blurred(canvas.strokes(lines), 0.003) * np.clip(1 + 0.25 * canvas.noise(rng, 0.03), 0.3, 1.6)
    # Streaks grow out of the lesion's rim, so the pigment is dense between their roots.
    rim = smoothstep(canvas.blurred(cover, 0.018), 0.15, 0.45) * smoothstep(lesion.depth, -0.08, 0.1)
    base = float(lesion.melanin[lesion.inside].mean()) if lesion.inside.any() else 0.5
    dark = rng.uniform(0.7, 1.0) + 0.6 * base
    return Layer(
        canvas.grown(cover, 0.004) | (rim > 0.3), melanin=np.asarray(dark * np.maximum(cover, 0.55 * rim), np.float32)
    )


def blotches(lesion: Lesion, rng: np.random.Generator, value: str) -> Layer:
    """Pigmentation: structureless dark brown to black areas.

    Diffuse ones fill most of the lesion, localized ones a small part. Regular ones are single, central and fade evenly;
    irregular ones are eccentric, several, of uneven darkness and end abruptly.
    """
    canvas = lesion.canvas
    if value == "diffuse regular":
        cover = smoothstep(lesion.depth, 0.05, 0.75) * np.clip(1 + 0.07 * canvas.noise(rng, 0.1), 0, 1.3)
        dark = rng.uniform(1.5, 2.4)
    elif value == "localized regular":
        cover = lesion.patch(rng, 0.06, 0.42, 0.08)
        dark = rng.uniform(1.6, 2.3)
    elif value == "diffuse irregular":
        cover = canvas.zeros()
        for _ in range(int(rng.integers(3, 6))):
            patch = lesion.patch(rng, rng.uniform(0.2, 0.75), rng.uniform(0.40, 0.66), 0.45)
            cover = cover + (1 - cover) * patch * np.float32(rng.uniform(0.5, 0.95))
        dark = rng.uniform(1.8, 3.0)
    else:
        offset, extent = rng.uniform(0.62, 0.78), rng.uniform(0.30, 0.40)
        cover = smoothstep(lesion.patch(rng, offset, extent, 0.25), 0.1, 0.75)
        dark = rng.uniform(2.3, 3.4)
    uneven = np.clip(1 + 0.16 * canvas.fractal(rng, 0.03, 3), 0.4, 1.6)
    return Layer(cover > 0.3, melanin=np.asarray(dark * cover * uneven, dtype=np.float32))


def regression_area(lesion: Lesion, rng: np.random.Generator) -> tuple[Field, Field]:
    """Two neighbouring soft regions of a lesion where pigment has regressed: the first white, the second blue."""
    offset = rng.uniform(0.15, 0.45)
    state = rng.bit_generator.state
    white = lesion.patch(rng, offset, 0.50, 0.42)
    rng.bit_generator.state = state
    blue = lesion.patch(rng, offset + 0.3, 0.62, 0.42)
    return white, blue


def regression(lesion: Lesion, rng: np.random.Generator, value: str) -> Layer:
    """Regression: white scar-like areas lighter than the skin around, blue-grey areas with fine peppering.

    White areas lose nearly all pigment. Blue areas keep a grey-blue haze with many tiny grey-blue dots, the melanin
    that macrophages carry. Combinations show both side by side.
    """
    canvas = lesion.canvas
    white, blue = regression_area(lesion, rng)
    if value == "white areas":
        blue = canvas.zeros()
    elif value == "blue areas":
        white = canvas.zeros()
    else:
        blue = blue * (1 - 0.75 * white)
    threads = np.clip(0.78 + 0.22 * canvas.fractal(rng, 0.05, 4, 0.8), 0, 1)
    tints = [(0.55 * white * threads, _rgb(236, 214, 206))]
    if blue.max() > 0:
        haze = np.clip(0.48 + 0.18 * canvas.fractal(rng, 0.06, 4), 0, 0.9) * blue
        grains = lesion.scatter(rng, 520, 0.0, smoothstep(blue, 0.0, 0.7))
        radii = rng.uniform(0.0018, 0.0040, len(grains))
        pepper = canvas.dots(grains, radii, rng.uniform(0.25, 0.8, len(grains)), soft=0.8)
        tints += [(haze, _rgb(142, 136, 142)), (pepper, _rgb(74, 76, 88))]
    mask = (white > 0.3) | (blue > 0.3)
    bleach = np.maximum(0.94 * white, 0.5 * blue)
    shares = tuple((np.asarray(share, dtype=np.float32), colour) for share, colour in tints)
    return Layer(mask, bleach=np.asarray(bleach, dtype=np.float32), tints=shares)


def dots_and_globules(lesion: Lesion, rng: np.random.Generator, value: str) -> Layer:
    """Dots and globules: round brown to black bodies, nests of melanocytes or clumps of pigment.

    Regular: of one size and colour, evenly spaced over the lesion or along its rim. Irregular: of many sizes, brown,
    black and grey, crowded in one part.
    """
    canvas = lesion.canvas
    ripple = canvas.ripple(rng, 0.02, 0.0022)
    if value == "regular":
        spots = _even_spots(lesion, rng)
        radii = rng.normal(rng.uniform(0.0085, 0.0125), 0.0008, len(spots))
        heights = rng.normal(rng.uniform(0.95, 1.4), 0.12, len(spots))
        cover = canvas.dots(spots, radii, heights, 0.55, ripple)
        return Layer(canvas.grown(cover, 0.003), melanin=cover)
    crowd = lesion.patch(rng, rng.uniform(0.35, 0.7), 0.6, 0.3)
    spots = np.concatenate([lesion.scatter(rng, int(rng.integers(26, 52)), 0.0, crowd), lesion.scatter(rng, 14, -0.03)])
    radii = np.clip(0.0075 * np.exp(rng.normal(0, 0.5, len(spots))), 0.0032, 0.022)
    cover = canvas.dots(spots, radii, rng.uniform(1.1, 3.4, len(spots)), 0.45, ripple)
    uneven = np.clip(1 + 0.2 * canvas.noise(rng, 0.015), 0.4, 1.6)
    grey = rng.random(len(spots)) < 0.12
    ash = canvas.dots(spots[grey], radii[grey], np.full(int(grey.sum()), 0.45), 0.6, ripple)
    return Layer(
        canvas.grown(np.maximum(cover, 2 * ash), 0.003),
        melanin=np.asarray(cover * uneven, dtype=np.float32),
        tints=((ash, _rgb(66, 63, 66)),),
    )


def veil(lesion: Lesion, rng: np.random.Generator, value: str) -> Layer:
    """Blue-whitish veil: confluent steel-blue pigment under a white, ground-glass haze, over a part of the lesion."""
    del value  # present is the only one
    canvas = lesion.canvas
    cover = lesion.patch(rng, rng.uniform(0.05, 0.4), rng.uniform(0.62, 0.85), 0.4)
    uneven = np.clip(0.64 + 0.16 * canvas.fractal(rng, 0.10, 5, 0.7), 0.2, 0.92)
    blue = _rgb(rng.uniform(52, 70), rng.uniform(62, 76), rng.uniform(76, 94))
    haze = cover * np.clip(0.22 + 0.14 * canvas.fractal(rng, 0.10, 5, 0.75), 0.0, 0.6)
    white = _rgb(152, 158, 170)
    tints = ((np.asarray(cover * uneven, np.float32), blue), (np.asarray(haze, np.float32), white))
    return Layer(cover > 0.25, tints=tints)


def _even_spots(lesion: Lesion, rng: np.random.Generator) -> Points:
    """Points of a jittered honeycomb inside the lesion, or of a ring along its border."""
    spacing = rng.uniform(0.036, 0.046)
    if rng.random() < 0.3:
        rings = []
        for share in (0.74, 0.9):
            count = int(2 * np.pi * lesion.radius * share / spacing)
            rings.append(lesion.point(np.linspace(0, 2 * np.pi, count, endpoint=False), share))
        spots = np.concatenate(rings)
    else:
        half = int(1.5 * lesion.radius / spacing) + 1
        column, row = np.meshgrid(np.arange(-half, half + 1.0), np.arange(-half, half + 1.0))
        grid = np.stack([column + 0.5 * (row % 2), 0.87 * row], axis=-1).reshape(-1, 2) * spacing
        spots = lesion.centre + grid
        spots = spots[lesion.canvas.lookup(lesion.depth, spots) > 0.08]
    return np.asarray(spots + rng.normal(0, 0.11 * spacing, spots.shape))


def _never_empty(part: Field, lesion: Lesion) -> Field:
    """The part itself, or the whole lesion where the draw left less than a third of it."""
    share = float(part[lesion.inside].mean()) if lesion.inside.any() else 0.0
    return part if share > 0.33 else np.ones_like(part)


def _closed(lesion: Lesion, mask: Mask, length: float) -> Mask:
    """Fill the holes of a mask that are narrower than a length."""
    side = 2 * max(1, round(lesion.canvas.pixels(length))) + 1
    grown = ndimage.maximum_filter(mask, size=side)
    return np.asarray(ndimage.minimum_filter(grown, size=side))


def _box(mask: Mask) -> tuple[slice, slice]:
    """The bounding rows and columns of a mask."""
    rows, columns = np.flatnonzero(mask.any(axis=1)), np.flatnonzero(mask.any(axis=0))
    return slice(rows[0], rows[-1] + 1), slice(columns[0], columns[-1] + 1)
