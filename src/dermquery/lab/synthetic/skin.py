"""Draw healthy skin: colour by typology angle, furrows, ridges of acral skin, mottled redness and freckles."""

from __future__ import annotations

from typing import Final

import numpy as np
from skimage.color import lab2rgb

from dermquery.lab.synthetic.brushes import Canvas, Field, smoothstep

__all__ = ["BLOOD", "MELANIN", "absorb", "skin_colour", "skin_densities"]

MELANIN: Final = np.array([0.55, 1.05, 1.75], dtype=np.float32)
"""Absorption of one unit of melanin in red, green and blue: it darkens towards brown, then black."""
BLOOD: Final = np.array([0.20, 1.15, 0.95], dtype=np.float32)
"""Absorption of one unit of blood: it reddens."""


def skin_colour(rng: np.random.Generator, angle: float) -> Field:
    """Linear RGB, shape (3,), of skin with an individual typology angle in degrees.

    The angle is atan((L* - 50) / b*) in CIELAB (Chardon et al., Int J Cosmet Sci 1991;13:191-208); b* and a* are drawn
    around the values of light to dark skin.
    """
    light = np.clip((angle + 50) / 120, 0, 1)
    b = rng.normal(15.5 + 2.5 * np.sin(np.pi * light), 1.8)
    a = rng.normal(11.0 - 4.0 * light, 1.8)
    lightness = 50 + b * np.tan(np.radians(angle))
    rgb = lab2rgb(np.array([[[np.clip(lightness, 22, 90), a, b]]]))[0, 0]
    return np.asarray(np.clip(rgb, 0, 1) ** 2, dtype=np.float32)


def skin_densities(canvas: Canvas, rng: np.random.Generator, site: str, age: int) -> tuple[Field, Field]:
    """Melanin and blood, relative to the mean skin, of bare skin at a site.

    Furrows are the zero lines of two crossing fibre fields. On acral skin they are parallel ridges instead. Sun-damaged
    skin (head and neck, or age) is mottled with faint freckles.
    """
    melanin = 0.018 * canvas.fractal(rng, 0.35, 3) + 0.018 * canvas.noise(rng, 0.006)
    melanin += np.float32(0.020) * canvas.noise(rng, 0.014)
    blood = np.float32(rng.uniform(0.01, 0.05)) * canvas.fractal(rng, 0.20, 5, 0.8) + 0.02 * canvas.noise(rng, 0.012)
    direction = rng.uniform(0, 180)
    if site == "acral":
        wave = np.radians(direction)
        across = canvas.x * np.float32(np.cos(wave)) + canvas.y * np.float32(np.sin(wave))
        ridges = np.sin(across * np.float32(2 * np.pi / rng.uniform(0.022, 0.032)) + 2.2 * canvas.noise(rng, 0.3))
        return melanin + np.float32(0.06) * ridges, blood
    strength = rng.uniform(0.02, 0.12)
    for turn in (0.0, rng.uniform(50, 90)):
        fibres = canvas.fibres(rng, rng.uniform(0.016, 0.03), rng.uniform(4, 9), direction + turn)
        melanin -= np.float32(strength) * np.exp(-((fibres / np.float32(0.22)) ** 2))
    if site == "head neck" or age > 60 or rng.random() < 0.2:
        spots = canvas.fractal(rng, 0.06, 3)
        melanin += np.float32(rng.uniform(0.03, 0.14)) * smoothstep(spots, 0.6, 2.0)
        blood += np.float32(rng.uniform(0.0, 0.12)) * smoothstep(canvas.fractal(rng, 0.09, 3), 0.2, 1.8)
    return melanin, blood


def absorb(colour: Field, melanin: Field, blood: Field) -> Field:
    """Light that comes back through pigment, linear RGB (height, width, 3): Beer-Lambert per channel.

    Skin that is dark by itself lets fewer differences through, because its own melanin is in ``colour`` already.
    """
    density = melanin[..., None] * MELANIN + blood[..., None] * BLOOD
    return np.asarray(colour * np.exp(-density), dtype=np.float32)
