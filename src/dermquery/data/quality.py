"""Warnings about an image that is a poor query: blurred, badly exposed, too small, or no dermoscopic image at all."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any, Literal

import numpy as np
from numpy.typing import NDArray
from PIL import Image
from skimage.color import rgb2lab
from skimage.measure import blur_effect

from dermquery.data.borders import remove_borders

__all__ = ["ImageWarning", "WarningKind", "check_image"]

WarningKind = Literal["blurred", "too dark", "too bright", "low contrast", "too small", "not dermoscopy"]

_FOCUS_SIDE, _COLOUR_SIDE = 256, 128
_LEAST_SIDE = 200
_MOST_BLUR = 0.55
_DARKEST, _BRIGHTEST, _LEAST_CONTRAST = 22.0, 99.0, 8.0


@dataclass(frozen=True)
class ImageWarning:
    """One thing that is wrong with an image.

    Attributes:
        message: for people, with the remedy.
        value: what was measured.
        threshold: what it should have reached, or stayed below.
    """

    kind: WarningKind
    message: str
    value: float
    threshold: float

    def to_dict(self) -> dict[str, Any]:
        """Plain values for JSON."""
        return {"kind": self.kind, "message": self.message, "value": self.value, "threshold": self.threshold}


def check_image(image: Image.Image) -> tuple[ImageWarning, ...]:
    """What makes an image a poor query; empty for nearly every dermoscopic image.

    Args:
        image: mode ``RGB``, upright, as :func:`~dermquery.data.image.load_image` gives it.
    """
    field = remove_borders(image)
    side = min(field.size)
    warnings = []
    if side < _LEAST_SIDE:
        warnings.append(ImageWarning("too small", f"Only {side} pixels.", float(side), float(_LEAST_SIDE)))
    blur = float(blur_effect(_luminance(_scaled(field, _FOCUS_SIDE))))
    if blur > _MOST_BLUR:
        warnings.append(ImageWarning("blurred", "The image is blurred; use a sharp one.", blur, _MOST_BLUR))
    lab = rgb2lab(np.asarray(_scaled(field, _COLOUR_SIDE)))
    low, middle, high = (float(v) for v in np.percentile(lab[..., 0], (2, 50, 98)))
    if middle < _DARKEST:
        warnings.append(ImageWarning("too dark", "The image is too dark.", middle, _DARKEST))
    if middle > _BRIGHTEST:
        warnings.append(ImageWarning("too bright", "The image is too bright.", middle, _BRIGHTEST))
    if high - low < _LEAST_CONTRAST:
        warnings.append(ImageWarning("low contrast", "The image is flat.", high - low, _LEAST_CONTRAST))
    return tuple(warnings)


def _scaled(image: Image.Image, side: int) -> Image.Image:
    scale = side / min(image.size)
    size = (max(1, round(image.width * scale)), max(1, round(image.height * scale)))
    return image.resize(size, Image.Resampling.BOX if scale < 1 else Image.Resampling.BICUBIC)


def _luminance(image: Image.Image) -> NDArray[np.float32]:
    pixels = np.asarray(image, np.float32) / 255
    return np.asarray(pixels @ np.array([0.2126, 0.7152, 0.0722], np.float32))
