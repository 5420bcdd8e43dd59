"""Any image to decoded pixels, the one path of training and search (docs/decisions/0006)."""

from __future__ import annotations

from functools import lru_cache

import numpy as np
from numpy.typing import NDArray
from PIL import Image

from dermquery.data.borders import remove_borders, visible_box
from dermquery.data.image import ImageSource, load_image
from dermquery.model.architecture import VisionConfig

__all__ = ["least_side", "prepare_pixels", "resizing", "visible_part"]

_F = np.float32
_LEAST_SIDE = 1024
"""For borders, thumbnails and fingerprints, which need no more."""


def least_side(decoded_size: int) -> int:
    """Width and height that a JPEG keeps when it is decoded at a reduced scale for a model of this ``decoded_size``."""
    return max(2 * decoded_size, _LEAST_SIDE)


def prepare_pixels(source: ImageSource, config: VisionConfig) -> NDArray[np.uint8]:
    """Decode, crop borders and resize to (S, S, 3), S = ``config.decoded_size``: the one path from any image to pixels.

    Args:
        source: path, encoded bytes or decoded image.
        config: the artifact's preprocessing.

    Raises:
        ImageError: the image cannot be decoded; the message names it.
    """
    side = config.decoded_size
    image = load_image(source, least_side=least_side(side))
    if config.remove_borders:
        image = remove_borders(image)
    # A copy, because PIL's buffer is read-only and torch must be able to own it.
    return np.array(image.resize((side, side), Image.Resampling.BICUBIC), dtype=np.uint8)


def visible_part(source: ImageSource, config: VisionConfig) -> tuple[int, int, int, int]:
    """The box (left, top, right, bottom) of an image that becomes pixels.

    Raises:
        ImageError: the image cannot be decoded.
    """
    image = load_image(source)
    return visible_box(image) if config.remove_borders else (0, 0, *image.size)


@lru_cache(maxsize=8)
def resizing(given: int, wanted: int) -> NDArray[np.float32]:
    """Matrix (wanted, given) of bilinear interpolation with antialiasing, to multiply an image with from either side.

    In PyTorch's own float32 arithmetic (``interpolate(mode="bilinear", antialias=True)``); rounded otherwise, a weight
    would differ in its fifth digit.
    """
    ratio = _F(given) / _F(wanted)
    reach = max(ratio, _F(1))
    centre = (ratio * (np.arange(wanted, dtype=_F) + _F(0.5)))[:, None]
    first = np.maximum((centre - reach + _F(0.5)).astype(int), 0)
    last = np.minimum((centre + reach + _F(0.5)).astype(int), given)
    place = np.arange(given, dtype=_F)
    near = np.maximum(_F(1) - np.abs((place - centre + _F(0.5)) * (_F(1) / reach)), _F(0))
    weights = near * ((place >= first) & (place < last))
    return np.asarray(weights / weights.sum(axis=1, keepdims=True), _F)
