"""Smooth random fields, cell patterns, strokes and dots: the brushes that everything else is painted with.

Lengths are in units of the image's shorter side, with the origin at the centre, so that a case looks the same at
every size. Fields are float32 arrays of shape (height, width).
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
import numpy.typing as npt
from PIL import Image, ImageDraw
from scipy import ndimage

__all__ = ["Canvas", "Field", "Mask", "Points", "Stroke", "curve", "smoothstep"]

Field = npt.NDArray[np.float32]
Mask = npt.NDArray[np.bool_]
Points = npt.NDArray[np.float64]
"""Points of shape (n, 2): x to the right, y down."""


@dataclass(frozen=True)
class Stroke:
    """A line along points with one width per point."""

    points: Points
    widths: npt.NDArray[np.float64]


def smoothstep(values: Field, low: float, high: float) -> Field:
    """0 below low, 1 above high, and a cubic between them."""
    t = np.clip((values - np.float32(low)) * np.float32(1 / (high - low)), 0, 1)
    return np.asarray(t * t * (3 - 2 * t), dtype=np.float32)


def curve(start: Points, end: Points, bend: float, steps: int = 16) -> Points:
    """A quadratic arc from start to end whose middle is off the chord by ``bend`` chord lengths, (steps, 2)."""
    chord = end - start
    control = (start + end) / 2 + 2 * bend * np.array([-chord[1], chord[0]])
    t = np.linspace(0, 1, steps)[:, None]
    return np.asarray((1 - t) ** 2 * start + 2 * t * (1 - t) * control + t**2 * end)


class Canvas:
    """The pixel grid of one image and the brushes that work on it.

    Attributes:
        size: width and height in pixels.
        unit: pixels of the shorter side.
        x, y: coordinates of the pixel centres, shape (height, width), 0 at the centre.
    """

    def __init__(self, size: tuple[int, int]) -> None:
        self.size = size
        self.unit = min(size)
        width, height = size
        x = ((np.arange(width) + 0.5 - width / 2) / self.unit).astype(np.float32)
        y = ((np.arange(height) + 0.5 - height / 2) / self.unit).astype(np.float32)
        self.x, self.y = (np.ascontiguousarray(a) for a in np.meshgrid(x, y))

    def zeros(self) -> Field:
        """An empty field."""
        return np.zeros(self.size[::-1], dtype=np.float32)

    def pixels(self, length: float) -> float:
        """A length in pixels."""
        return length * self.unit

    def lookup(self, field: Field, points: Points) -> Points:
        """Values of a field at the pixels nearest to points, shape (n,); points outside take the edge's value."""
        width, height = self.size
        column = np.clip(points[:, 0] * self.unit + width / 2, 0, width - 1).astype(int)
        row = np.clip(points[:, 1] * self.unit + height / 2, 0, height - 1).astype(int)
        return np.asarray(field[row, column], dtype=np.float64)

    def noise(self, rng: np.random.Generator, scale: float, stretch: float = 1.0) -> Field:
        """Smooth Gaussian noise of about unit variance, with features of the given length (x ``stretch`` along x).

        Bicubic interpolation of a coarse random grid: its cost does not depend on the length.
        """
        return 1.35 * self._resized(self._grid(rng, scale, stretch), self.size)

    def fractal(self, rng: np.random.Generator, scale: float, octaves: int = 4, gain: float = 0.55) -> Field:
        """Noise over several octaves below ``scale``, about unit variance: clouds instead of blobs.

        Each octave is added on the grid of its own fineness, so that only the last one costs a full image.
        """
        total = self._grid(rng, scale)
        for octave in range(1, octaves):
            finer = self._grid(rng, scale / 2**octave)
            total = self._resized(total, finer.shape[::-1]) + np.float32(gain**octave) * finer
        power = sum(gain ** (2 * octave) for octave in range(octaves))
        return np.float32(1.35 * power**-0.5) * self._resized(total, self.size)

    def fibres(self, rng: np.random.Generator, scale: float, stretch: float, angle: float) -> Field:
        """Noise stretched along a direction (degrees): the grain of skin furrows."""
        side = int(1.5 * max(self.size))
        rows = round(side / self.unit / scale)
        grid = rng.standard_normal((rows, max(3, round(rows / stretch))), dtype=np.float32)
        image = Image.fromarray(self._resized(grid, (side, side))).rotate(angle, Image.Resampling.BILINEAR)
        left, top = (side - self.size[0]) // 2, (side - self.size[1]) // 2
        return 1.35 * np.asarray(image, dtype=np.float32)[top : top + self.size[1], left : left + self.size[0]]

    def cells(self, rng: np.random.Generator, x: Field, y: Field, spacing: float, jitter: float) -> Field:
        """Distance to the walls of random cells, in cell sizes: 0 on a wall (Worley noise, F2 - F1).

        Args:
            rng: where the cells lie.
            x: coordinates to evaluate at, any shape; warp them to warp the cells.
            y: the same shape.
            spacing: mean distance of neighbouring cells.
            jitter: 0 for a perfect brick pattern, 1 for fully random cells.
        """
        u, v = x / np.float32(spacing), y / np.float32(0.87 * spacing)
        row = np.floor(v).astype(np.int32)
        period = 64
        spots = rng.uniform(0.5 - jitter / 2, 0.5 + jitter / 2, (2, period, period)).astype(np.float32)
        nearest = np.full(x.shape, 9, dtype=np.float32)
        second = nearest.copy()
        for down in (-1, 0, 1):
            # Every other row of cells is shifted by half a cell, as in a honeycomb.
            shifted = u - 0.5 * ((row + down) & 1).astype(np.float32)
            column = np.floor(shifted).astype(np.int32)
            du, dv = (shifted - column).astype(np.float32), (v - row).astype(np.float32) - np.float32(down)
            for across in (-1, 0, 1):
                spot = spots[:, (row + down) % period, (column + across) % period]
                distance = (du - np.float32(across) - spot[0]) ** 2 + np.float32(0.757) * (dv - spot[1]) ** 2
                second = np.minimum(second, np.maximum(nearest, distance))
                nearest = np.minimum(nearest, distance)
        return np.asarray(np.sqrt(second) - np.sqrt(nearest), dtype=np.float32)

    def strokes(self, strokes: Sequence[Stroke]) -> Field:
        """Coverage, 0 to 1, of anti-aliased lines."""
        if not strokes:
            return self.zeros()
        fine = max(2, round(1024 / self.unit))
        width, height = self.size
        image = Image.new("L", (width * fine, height * fine))
        draw = ImageDraw.Draw(image)
        for stroke in strokes:
            points = stroke.points * self.unit * fine + np.array([width, height]) * fine / 2
            radii = np.maximum(stroke.widths * self.unit * fine / 2, 0.5)
            for (x0, y0), (x1, y1), radius in zip(points[:-1], points[1:], radii[:-1], strict=True):
                draw.line((x0, y0, x1, y1), fill=255, width=max(1, round(2 * radius)))
                if radius > 1.5:
                    draw.ellipse((x0 - radius, y0 - radius, x0 + radius, y0 + radius), fill=255)
        return np.asarray(image.reduce(fine), dtype=np.float32) / np.float32(255)

    def ripple(self, rng: np.random.Generator, scale: float, amount: float) -> tuple[Field, Field]:
        """Small displacements in x and y, to take the exactness out of drawn forms."""
        return np.float32(amount) * self.noise(rng, scale), np.float32(amount) * self.noise(rng, scale)

    def dots(
        self,
        centres: Points,
        radii: Points,
        heights: Points,
        soft: float = 0.35,
        ripple: tuple[Field, Field] | None = None,
    ) -> Field:
        """Round dots, each of its own height; where dots overlap the higher one shows.

        Args:
            centres: shape (n, 2).
            radii: shape (n,).
            heights: shape (n,).
            soft: width of the edge, in radii.
            ripple: displacements that make the dots less round, see :meth:`ripple`.
        """
        field = self.zeros()
        for (cx, cy), radius, height in zip(centres, radii, heights, strict=True):
            radius = max(radius, 0.9 / self.unit)
            reach = self.pixels(radius * (1.2 + soft)) + 2
            column, row = cx * self.unit + self.size[0] / 2, cy * self.unit + self.size[1] / 2
            rows = slice(max(0, int(row - reach)), max(0, int(row + reach) + 1))
            columns = slice(max(0, int(column - reach)), max(0, int(column + reach) + 1))
            x, y = self.x[rows, columns], self.y[rows, columns]
            if ripple is not None:
                x, y = x + ripple[0][rows, columns], y + ripple[1][rows, columns]
            if x.size:
                away = np.hypot(x - np.float32(cx), y - np.float32(cy)) / np.float32(radius)
                dot = np.float32(height) * (1 - smoothstep(away, 1 - soft, 1 + soft))
                np.maximum(field[rows, columns], dot, out=field[rows, columns])
        return field

    def grown(self, field: Field, length: float) -> Mask:
        """Where a field is above a fifth of its peak, grown by a length: the mask of fine structures."""
        mask = field > 0.2 * max(float(field.max()), 1e-6)
        return np.asarray(ndimage.maximum_filter(mask, size=2 * max(1, round(self.pixels(length))) + 1))

    def blurred(self, field: Field, length: float) -> Field:
        """Gaussian blur with a deviation given as a length."""
        return np.asarray(ndimage.gaussian_filter(field, self.pixels(length), truncate=2.5), dtype=np.float32)

    def _grid(self, rng: np.random.Generator, scale: float, stretch: float = 1.0) -> Field:
        """Independent normal numbers, one per length ``scale`` and a little beyond the image."""
        width, height = self.size
        columns = max(3, round(width / (scale * stretch * self.unit)) + 2)
        rows = max(3, round(height / (scale * self.unit)) + 2)
        return rng.standard_normal((rows, columns), dtype=np.float32)

    @staticmethod
    def _resized(grid: Field, size: tuple[int, int]) -> Field:
        return np.array(Image.fromarray(grid).resize(size, Image.Resampling.BICUBIC))
