"""Draw the lesion itself: outline, base pigment and features of its diagnosis outside the checklist."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, replace

import numpy as np

from dermquery.lab.synthetic.brushes import Canvas, Field, Mask, Points, smoothstep

__all__ = ["STYLES", "Lesion", "Style", "draw_lesion"]

_Range = tuple[float, float]


@dataclass(frozen=True)
class Style:
    """How lesions of one kind look apart from the checklist.

    Attributes:
        radius: range of the mean radius, in shorter image sides.
        aspect: range of the ratio of the axes.
        lobes: most bulges that make the outline asymmetric.
        warp: coarse irregularity of the outline, in radii.
        fray: fine irregularity of the border, in radii.
        soft: width of the fade at the border, in radii.
        melanin, blood: ranges of the base densities.
        mottle: relative unevenness of the base pigment.
        blue: range of the share of blue light from pigment deep in the dermis.
        keratin: whether milia-like cysts and comedo-like openings may occur.
    """

    radius: _Range = (0.18, 0.36)
    aspect: _Range = (0.70, 1.0)
    lobes: int = 1
    warp: float = 0.065
    fray: float = 0.13
    soft: float = 0.20
    melanin: _Range = (0.40, 1.25)
    blood: _Range = (0.0, 0.2)
    mottle: float = 0.22
    blue: _Range = (0.0, 0.0)
    keratin: bool = False


_NEVUS = Style()
_MELANOMA = Style((0.26, 0.41), (0.58, 0.95), 3, 0.15, 0.19, 0.14, (0.6, 1.4), (0.05, 0.35), 0.40)
STYLES: Mapping[str, Style] = {
    "clark nevus": _NEVUS,
    "combined nevus": Style(melanin=(0.6, 1.3)),
    "congenital nevus": Style((0.30, 0.44), mottle=0.35, melanin=(0.5, 1.2)),
    "recurrent nevus": Style((0.15, 0.28), (0.5, 0.9), 2, 0.14, 0.18),
    "dermal nevus": Style(melanin=(0.12, 0.5), blood=(0.15, 0.5), soft=0.2, mottle=0.35),
    "blue nevus": Style((0.14, 0.28), (0.75, 1), 0, 0.05, 0.06, 0.2, (0.25, 0.6), (0, 0.1), 0.12, (0.72, 0.9)),
    "reed or spitz nevus": Style((0.13, 0.27), (0.78, 1), 0, 0.05, 0.10, 0.13, (1.2, 2.8), (0.0, 0.5), 0.18),
    "melanoma": _MELANOMA,
    "melanoma (in situ)": Style((0.24, 0.4), (0.58, 0.95), 3, 0.14, 0.19, 0.16, (0.5, 1.2), (0.02, 0.25), 0.35),
    "melanoma (less than 0.76 mm)": _MELANOMA,
    "melanoma (0.76 to 1.5 mm)": Style((0.28, 0.43), (0.6, 0.95), 3, 0.15, 0.18, 0.12, (0.8, 1.8), (0.1, 0.5), 0.45),
    "melanoma (more than 1.5 mm)": Style((0.28, 0.44), (0.65, 1), 3, 0.13, 0.15, 0.1, (1.0, 2.2), (0.2, 0.7), 0.5),
    "melanoma metastasis": Style((0.17, 0.3), (0.7, 1), 1, 0.07, 0.07, 0.22, (0.4, 0.9), (0.5, 1), 0.2, (0.35, 0.6)),
    "seborrheic keratosis": Style(
        (0.22, 0.41), (0.65, 1), 2, 0.09, 0.07, 0.05, (0.4, 1.5), (0.05, 0.3), 0.3, keratin=True
    ),
    "melanosis": Style((0.2, 0.4), (0.5, 0.9), 2, 0.14, 0.18, 0.3, (0.4, 0.85), (0.0, 0.2), 0.25),
}
"""Look by Derm7pt's diagnosis."""

DEEP_BLUE = np.array([0.115, 0.150, 0.225], dtype=np.float32)
"""Linear RGB of melanin deep in the dermis, seen through the skin that scatters blue (Tyndall effect)."""
CYST = np.array([0.66, 0.56, 0.38], dtype=np.float32)


@dataclass(frozen=True)
class Lesion:
    """The rendered lesion that the structures are laid onto.

    Attributes:
        canvas: pixel grid.
        depth: 1 at the centre, 0 on the outline, negative outside; in radii.
        cover: soft version of ``inside``, 0 to 1.
        inside: within the outline.
        centre: x, y.
        angles, outline: directions in radians and the outline's distance from the centre in each, shape (n,).
        melanin, blood: base densities.
        tints: (share, linear RGB) pairs to mix over the pigment.
    """

    canvas: Canvas
    depth: Field
    cover: Field
    inside: Mask
    centre: Points
    angles: Points
    outline: Points
    melanin: Field
    blood: Field
    tints: tuple[tuple[Field, Field], ...]

    @property
    def radius(self) -> float:
        """Mean distance of the outline from the centre."""
        return float(self.outline.mean())

    def reach(self, angles: Points) -> Points:
        """Distance of the outline from the centre in the given directions."""
        return np.asarray(np.interp(np.mod(angles, 2 * np.pi), self.angles, self.outline, period=2 * np.pi))

    def point(self, angles: Points, share: Points | float) -> Points:
        """Points in given directions, at a share of the way from the centre to the outline, shape (n, 2)."""
        away = self.reach(angles) * share
        points: Points = self.centre + away[:, None] * np.stack([np.cos(angles), np.sin(angles)], axis=1)
        return points

    def scatter(self, rng: np.random.Generator, n: int, least: float = 0.08, where: Field | None = None) -> Points:
        """Up to n random points deeper than ``least`` and, if given, where a field is above one half."""
        tries = self.centre + rng.uniform(-1.3, 1.3, (12 * n, 2)) * self.radius
        good = self.canvas.lookup(self.depth, tries) > least
        if where is not None:
            good &= self.canvas.lookup(where, tries) > 0.5
        return tries[good][:n]

    def patch(self, rng: np.random.Generator, offset: float, extent: float, rough: float = 0.35) -> Field:
        """A soft irregular region inside the lesion, 0 to 1.

        Args:
            rng: draws direction and form.
            offset: distance of its centre from the lesion's, in outline distances.
            extent: its radius, in lesion radii.
            rough: irregularity of its edge.
        """
        middle = self.point(rng.uniform(0, 2 * np.pi, 1), offset)[0]
        canvas = self.canvas
        away = np.hypot(canvas.x - np.float32(middle[0]), canvas.y - np.float32(middle[1]))
        field = 1 - away / np.float32(extent * self.radius) + np.float32(rough) * canvas.fractal(rng, 0.15, 5, 0.55)
        return smoothstep(field, -0.15, 0.75) * smoothstep(self.depth, -0.06, 0.2)


def draw_lesion(canvas: Canvas, rng: np.random.Generator, fine_diagnosis: str) -> Lesion:
    """Draw the outline and the base of a lesion of one of Derm7pt's diagnoses.

    The outline is the zero line of a field: an ellipse with bulges, its coordinates warped by smooth noise, its level
    frayed by fractal noise.
    """
    style = STYLES[fine_diagnosis]
    radius, aspect, turn = rng.uniform(*style.radius), rng.uniform(*style.aspect), rng.uniform(0, np.pi)
    centre = rng.normal(0, 0.035, 2)
    depth = _depth(canvas, rng, style, centre, (radius / aspect**0.5, radius * aspect**0.5, turn))
    cover = smoothstep(depth, -0.6 * style.soft, style.soft)
    cloud = canvas.fractal(rng, 0.16, 4, 0.6)
    grain = canvas.noise(rng, 0.008) + canvas.noise(rng, 0.016) + canvas.noise(rng, 0.03)
    rise = 0.72 + 0.28 * smoothstep(depth, 0.0, 0.7)
    uneven = np.clip(1 + np.float32(style.mottle) * cloud + np.float32(0.10) * grain, 0.15, 2.2)
    melanin = np.float32(rng.uniform(*style.melanin)) * cover * rise * uneven
    blood = np.float32(rng.uniform(*style.blood)) * cover * np.clip(1 + 0.5 * canvas.noise(rng, 0.12), 0, 2)
    tints: list[tuple[Field, Field]] = []
    if style.blue[1]:
        share = np.float32(rng.uniform(*style.blue)) * cover * np.clip(1 + 0.10 * cloud, 0, 1.1)
        tints.append((share, DEEP_BLUE))
    angles, outline = _outline(canvas, depth, centre, radius)
    bare = Lesion(canvas, depth, cover, depth > 0, centre, angles, outline, melanin, blood, tuple(tints))
    return _with_keratin(bare, rng) if style.keratin else bare


def _depth(
    canvas: Canvas, rng: np.random.Generator, style: Style, centre: Points, axes: tuple[float, float, float]
) -> Field:
    """The field whose zero line is the outline."""
    long, short, turn = axes
    radius = (long * short) ** 0.5
    x = canvas.x - np.float32(centre[0]) + np.float32(style.warp * radius) * canvas.noise(rng, 0.45)
    y = canvas.y - np.float32(centre[1]) + np.float32(style.warp * radius) * canvas.noise(rng, 0.45)
    cos, sin = np.float32(np.cos(turn)), np.float32(np.sin(turn))
    depth = 1 - np.hypot((x * cos + y * sin) / np.float32(long), (y * cos - x * sin) / np.float32(short))
    for _ in range(rng.integers(0, style.lobes + 1)):
        direction, size = rng.uniform(0, 2 * np.pi), radius * rng.uniform(0.4, 0.65)
        away = radius * rng.uniform(0.55, 0.8)
        dx, dy = x - np.float32(away * np.cos(direction)), y - np.float32(away * np.sin(direction))
        bulge = (1 - np.hypot(dx, dy) / np.float32(size)) * np.float32(size / radius)
        depth = np.maximum(depth, bulge)
    # The noise dies away outside the lesion, so that it frays the border but sows no islands far from it.
    near = smoothstep(depth, -0.5, -0.05)
    depth += np.float32(0.6 * style.warp) * near * canvas.noise(rng, 0.26)
    depth += np.float32(0.5 * style.fray) * near * (canvas.fractal(rng, 0.08, 4, 0.65) - 0.2)
    return np.asarray(depth, dtype=np.float32)


def _outline(canvas: Canvas, depth: Field, centre: Points, radius: float) -> tuple[Points, Points]:
    """Directions and the farthest distance that is still inside in each, smoothed a little."""
    angles = np.linspace(0, 2 * np.pi, 180, endpoint=False)
    steps = np.linspace(0.02, 2.2 * radius, 120)
    rays = centre + steps[None, :, None] * np.stack([np.cos(angles), np.sin(angles)], axis=1)[:, None, :]
    inside = canvas.lookup(depth, rays.reshape(-1, 2)).reshape(len(angles), -1) > 0
    farthest = np.where(inside, steps, 0.3 * radius).max(axis=1)
    smooth = np.convolve(np.concatenate([farthest[-3:], farthest, farthest[:3]]), np.ones(7) / 7, "valid")
    return angles, smooth


def _with_keratin(lesion: Lesion, rng: np.random.Generator) -> Lesion:
    """Add milia-like cysts (bright, blurred dots) and comedo-like openings (brown plugs) to a keratosis."""
    canvas, melanin, tints = lesion.canvas, lesion.melanin, list(lesion.tints)
    if rng.random() < 0.75:
        spots = lesion.scatter(rng, int(rng.integers(6, 30)))
        height = rng.uniform(0.25, 0.6, len(spots))
        cysts = canvas.dots(spots, rng.uniform(0.005, 0.011, len(spots)), height, soft=0.95)
        tints.append((cysts, CYST))
    if rng.random() < 0.5:
        spots = lesion.scatter(rng, int(rng.integers(3, 12)))
        plugs = canvas.dots(spots, rng.uniform(0.012, 0.022, len(spots)), rng.uniform(0.8, 1.6, len(spots)), soft=0.3)
        melanin = melanin + plugs * np.clip(1 + 0.3 * canvas.noise(rng, 0.02), 0, 2)
    return replace(lesion, melanin=melanin, tints=tuple(tints))
