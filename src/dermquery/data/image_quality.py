"""Warn of an image that makes a poor query: blurred, badly exposed, too small, or not dermoscopic at all.

Classical measures on a small copy of the visible field take a few hundredths of a second. Their limits were chosen on
folds 1 to 4 of Derm7pt so that about one dermoscopic image in a hundred draws a given warning; docs/evidence.md has the
rates on fold 0, on spoilt images and on other pictures. No warning means only that nothing is grossly wrong: a lesion
half outside the image, hair, gel bubbles and a wrong colour balance go unnoticed.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any, Literal, get_args

import numpy as np
from numpy.typing import NDArray
from PIL import Image

from dermquery.data.appearance import middle, shipped_appearance
from dermquery.data.borders import remove_borders
from dermquery.data.image_filters import moving_mean, sobel

__all__ = ["WARNING_KINDS", "ImageWarning", "WarningKind", "check_image"]

WarningKind = Literal["too small", "blurred", "too dark", "too bright", "low contrast", "not dermoscopy"]
WARNING_KINDS: tuple[WarningKind, ...] = get_args(WarningKind)

_LEAST_SIDE = 200
"""The models look at 224 to 256 pixels; interpolation invents what a smaller image lacks."""
_FOCUS_SIDE = 256
"""Shorter side of the measured copy: about what the models see, so that blur beyond their resolution does not count."""
_MOST_BLUR = 0.48
"""Blur effect of Crété et al. 2007: 0 is sharp, 1 is nothing but blur."""
_BLUR_LENGTH = 11
"""Pixels of the moving mean that blurs the copy again."""
_LEAST_LIGHT = 0.25
"""Third quartile of luma, of 1. Far below Derm7pt, whose skin is mostly light, and just below rendered skin of type VI:
dark skin must not be called a bad exposure, at the cost of missing some that are."""
_MOST_CLIPPED, _CLIPPED = 0.06, 250
"""Share of pixels of which all channels reach the value."""
_LEAST_CONTRAST = 0.28
"""Between the second and the 98th percentile of luma, as a share of the latter, so that dark skin has no less of it."""


@dataclass(frozen=True)
class ImageWarning:
    """One defect of an image.

    Attributes:
        message: the defect and its remedy, for people.
        value: the measurement.
        threshold: the limit that it misses.
    """

    kind: WarningKind
    message: str
    value: float
    threshold: float

    def to_dict(self) -> dict[str, Any]:
        """Plain values for JSON."""
        return {"kind": self.kind, "message": self.message, "value": self.value, "threshold": self.threshold}


def check_image(image: Image.Image) -> tuple[ImageWarning, ...]:
    """Warnings about an image, in the order of ``WARNING_KINDS``; none for nearly every dermoscopic image.

    The warnings are independent: a spoilt image may draw several.

    Args:
        image: mode ``RGB``, upright, as :func:`~dermquery.data.image.load_image` gives it.
    """
    field = remove_borders(image)
    copy = _at_most(middle(field), _FOCUS_SIDE)
    pixels = np.asarray(copy)
    luma = np.asarray(pixels @ np.array([0.2126, 0.7152, 0.0722]) / 255)
    found = [_size(field), _focus(luma), *_exposure(pixels, luma), _kind(field)]
    return tuple(warning for warning in found if warning is not None)


def _at_most(image: Image.Image, side: int) -> Image.Image:
    """A copy whose shorter side is ``side``, or the image itself if it is smaller."""
    scale = side / min(image.size)
    if scale >= 1:
        return image
    return image.resize((round(image.width * scale), round(image.height * scale)), Image.Resampling.BOX)


def _size(field: Image.Image) -> ImageWarning | None:
    side = min(field.size)
    if side >= _LEAST_SIDE:
        return None
    message = (
        f"The visible field has {field.width} × {field.height} pixels, too few for fine structures "
        f"(at least {_LEAST_SIDE} on each side). Use the original image."
    )
    return ImageWarning("too small", message, float(side), float(_LEAST_SIDE))


def _focus(luma: NDArray[np.float64]) -> ImageWarning | None:
    blur = _blur_effect(luma) if luma.std() > 0 else 0.0
    if not blur > _MOST_BLUR:
        return None
    message = "The image is blurred, so fine structures such as a pigment network are lost. Use one that is in focus."
    return ImageWarning("blurred", message, blur, _MOST_BLUR)


def _blur_effect(luma: NDArray[np.float64]) -> float:
    """Share of the gradients that blurring the image once more leaves, along the axis where it leaves more.

    As ``skimage.measure.blur_effect`` defines it, to the last digits.
    """
    tiny, inside = np.spacing(1.0), (slice(2, -1), slice(2, -1))
    shares = []
    for axis in (0, 1):
        sharp = np.maximum(np.abs(sobel(luma, axis)) / 8, tiny)[inside]
        again = np.maximum(np.abs(sobel(moving_mean(luma, _BLUR_LENGTH, axis), axis)) / 8, tiny)[inside]
        shares.append(1 - np.maximum(sharp - again, 0).sum() / sharp.sum())
    return float(max(shares))


def _exposure(pixels: NDArray[np.uint8], luma: NDArray[np.float64]) -> list[ImageWarning | None]:
    low, light, high = (float(value) for value in np.percentile(luma, (2, 75, 98)))
    clipped = float((pixels.min(axis=2) >= _CLIPPED).mean())
    dark = bright = flat = None
    if light < _LEAST_LIGHT:
        message = "The image is very dark. If the skin is not, use one that is exposed longer."
        dark = ImageWarning("too dark", message, light, _LEAST_LIGHT)
    if clipped > _MOST_CLIPPED:
        message = (
            f"{100 * clipped:.0f} % of the image are pure white: overexposed, or glare. Use one that is exposed less."
        )
        bright = ImageWarning("too bright", message, clipped, _MOST_CLIPPED)
    contrast = (high - low) / max(high, 1e-6)
    if contrast < _LEAST_CONTRAST:
        message = "The image has hardly any contrast. Check the exposure, and that the lesion is in the image."
        flat = ImageWarning("low contrast", message, contrast, _LEAST_CONTRAST)
    return [dark, bright, flat]


def _kind(field: Image.Image) -> ImageWarning | None:
    foreign = shipped_appearance().foreignness(field)
    if foreign.value <= 1.0:
        return None
    message = (
        "The colours and textures are not those of a usual dermoscopic image: this may be a clinical photograph, "
        "another picture, or badly spoilt. The models know dermoscopic images only."
    )
    return ImageWarning("not dermoscopy", message, foreign.value, 1.0)
