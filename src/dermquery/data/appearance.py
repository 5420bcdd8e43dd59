"""Tell dermoscopic images from other pictures by 27 features of colour and texture.

Two measures catch two kinds of foreign picture. The Mahalanobis distance to dermoscopic images grows for pictures that
resemble none of them: text, drawings, photographs of other things. A linear discriminant separates dermoscopic images
from clinical close-ups of the same lesions, which look similar but were taken without a dermatoscope. The package
holds the parameters of both in ``appearance.json``, which ``dermquery evaluate-quality --fit`` writes.
"""

from __future__ import annotations

from functools import lru_cache
from itertools import pairwise
from pathlib import Path
from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray
from PIL import Image
from pydantic import BaseModel, ConfigDict

from dermquery.data.image_filters import gaussian, sobel

__all__ = [
    "FEATURES",
    "Appearance",
    "Foreignness",
    "appearance_features",
    "middle",
    "rgb_to_lab",
    "shipped_appearance",
]

SIDE = 128
"""Shorter side, in pixels, of the copy that the features are computed on."""
LONGEST = 3
_RIM, _CENTRE = 0.8, 0.5
"""Outside this share of the half width lies the rim, inside that one the centre."""
_OCTAVES = (0, 1, 2, 4, 8, 16)
"""Standard deviations of Gaussians, in pixels of the copy, between which energies are taken."""
_STRONG_EDGE = 0.4
_BLOCKS = 4
_XYZ_OF_RGB = np.array([[0.412453, 0.357580, 0.180423], [0.212671, 0.715160, 0.072169], [0.019334, 0.119193, 0.950227]])
_WHITE = np.array([0.95047, 1.0, 1.08883])  # D65, seen by the observer of 2 degrees

_CHANNELS = ("L", "a", "b")
FEATURES: tuple[str, ...] = (
    *(f"mean {c}" for c in _CHANNELS),
    *(f"deviation {c}" for c in _CHANNELS),
    *(f"centre minus rim {c}" for c in _CHANNELS),
    *(f"deviation of the rim {c}" for c in _CHANNELS),
    "mean chroma", "deviation of chroma", "percentile 2 L", "percentile 98 L", "correlation L a", "correlation L b",
    *(f"energy of octave {i}" for i in range(len(_OCTAVES))),
    "kurtosis of gradients", "deviation in blocks", "strong edges",
)  # fmt: skip
"""Names of the features, in their order."""


class Foreignness(NamedTuple):
    """How unlike a dermoscopic image something is.

    Attributes:
        distance: Mahalanobis distance over its limit; above 1 it is unlike all dermoscopic images.
        clinical: log-odds of a clinical close-up over their limit, as ``1 + (odds − limit)``.
    """

    distance: float
    clinical: float

    @property
    def value(self) -> float:
        """The greater of the two; above 1 the image counts as something else."""
        return max(self.distance, self.clinical)


class Appearance(BaseModel):
    """Statistics of dermoscopic images.

    Attributes:
        features: names, in order.
        mean, scale: of dermoscopic images, per feature; features are standardised with them.
        precision: inverse of their shrunk covariance (Ledoit and Wolf 2004), standardised.
        weights, intercept: log-odds of a clinical close-up, from standardised features.
        distance_limit, odds_limit: values above which an image counts as something else.
        made_of: how many images of which kind.
    """

    model_config = ConfigDict(frozen=True, extra="forbid")

    features: tuple[str, ...]
    mean: tuple[float, ...]
    scale: tuple[float, ...]
    precision: tuple[tuple[float, ...], ...]
    weights: tuple[float, ...]
    intercept: float
    distance_limit: float
    odds_limit: float
    made_of: dict[str, int]

    def measures(self, features: NDArray[np.float64]) -> tuple[NDArray[np.float64], NDArray[np.float64]]:
        """Mahalanobis distances and log-odds of features (n, 27); each (n,)."""
        standard = (features - np.array(self.mean)) / np.array(self.scale)
        squared = np.einsum("nf,fg,ng->n", standard, np.array(self.precision), standard)
        return np.sqrt(np.maximum(squared, 0.0)), standard @ np.array(self.weights) + self.intercept

    def foreignness(self, image: Image.Image) -> Foreignness:
        """Measure an RGB image without its borders."""
        distance, odds = self.measures(appearance_features(image)[None])
        return Foreignness(float(distance[0]) / self.distance_limit, 1.0 + float(odds[0]) - self.odds_limit)


@lru_cache(maxsize=1)
def shipped_appearance() -> Appearance:
    """The statistics that come with the package."""
    path = Path(__file__).parent / "appearance.json"
    return Appearance.model_validate_json(path.read_text(encoding="utf-8"))


def appearance_features(image: Image.Image) -> NDArray[np.float64]:
    """The features of an RGB image without its borders, (27,)."""
    image = middle(image)
    scale = SIDE / min(image.size)
    size = (round(image.width * scale), round(image.height * scale))
    small = image.resize(size, Image.Resampling.BOX if scale < 1 else Image.Resampling.BICUBIC)
    pixels = np.asarray(small, np.float64) / 255
    return np.array([*_colour(rgb_to_lab(pixels)), *_texture(pixels)], np.float64)


def middle(image: Image.Image) -> Image.Image:
    """The middle of an image that is more than ``LONGEST`` times as long as it is wide, which bounds all the work."""
    width, height = (min(length, round(LONGEST * min(image.size))) for length in image.size)
    left, top = (image.width - width) // 2, (image.height - height) // 2
    return image if (width, height) == image.size else image.crop((left, top, left + width, top + height))


def rgb_to_lab(pixels: NDArray[np.float64]) -> NDArray[np.float64]:
    """CIELAB (L, a, b) under D65 of sRGB pixels (..., 3) from 0 to 1, as ``skimage.color.rgb2lab`` gives it."""
    linear = np.where(pixels > 0.04045, ((pixels + 0.055) / 1.055) ** 2.4, pixels / 12.92)
    xyz = linear @ _XYZ_OF_RGB.T / _WHITE
    bent = np.where(xyz > 0.008856, np.cbrt(xyz), 7.787 * xyz + 16 / 116)
    x, y, z = np.moveaxis(bent, -1, 0)
    return np.stack([116 * y - 16, 500 * (x - y), 200 * (y - z)], axis=-1)


def _colour(lab: NDArray[np.float64]) -> list[float]:
    height, width = lab.shape[:2]
    y, x = np.mgrid[-1 : 1 : height * 1j, -1 : 1 : width * 1j]
    outwards = np.maximum(np.abs(y), np.abs(x))
    rim, centre = lab[outwards > _RIM], lab[outwards < _CENTRE]
    chroma = np.hypot(lab[..., 1], lab[..., 2])
    low, high = np.percentile(lab[..., 0], (2, 98))
    flat = lab.reshape(-1, 3)
    return [
        *flat.mean(axis=0), *flat.std(axis=0), *(centre.mean(axis=0) - rim.mean(axis=0)), *rim.std(axis=0),
        float(chroma.mean()), float(chroma.std()), float(low), float(high),
        _correlation(flat[:, 0], flat[:, 1]), _correlation(flat[:, 0], flat[:, 2]),
    ]  # fmt: skip


def _texture(pixels: NDArray[np.float64]) -> list[float]:
    luma = pixels @ np.array([0.2126, 0.7152, 0.0722])
    layers = [luma if sigma == 0 else gaussian(luma, sigma) for sigma in _OCTAVES]
    parts = [*(one - other for one, other in pairwise(layers)), layers[-1]]
    energy = np.array([part.var() + 1e-9 for part in parts])
    gradient = np.hypot(sobel(luma, 0), sobel(luma, 1))
    kurtosis = (gradient**4).mean() / max(float((gradient**2).mean()) ** 2, 1e-18)
    rows = [block for band in np.array_split(luma, _BLOCKS) for block in np.array_split(band, _BLOCKS, axis=1)]
    return [
        *np.log10(energy / energy.sum()),
        float(np.log10(kurtosis + 1e-9)),
        float(np.mean([block.std() for block in rows])),
        float((gradient > _STRONG_EDGE).mean()),
    ]


def _correlation(one: NDArray[np.float64], other: NDArray[np.float64]) -> float:
    spread = float(one.std() * other.std())
    return 0.0 if spread < 1e-9 else float(((one - one.mean()) * (other - other.mean())).mean()) / spread
