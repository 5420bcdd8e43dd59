"""Any image to decoded pixels, and those to the network's input in search (docs/decisions/0006)."""

from __future__ import annotations

from collections.abc import Sequence
from functools import lru_cache
from typing import Any

import numpy as np
from numpy.typing import NDArray
from PIL import Image
from scipy import sparse

from dermquery.data.borders import remove_borders, visible_box
from dermquery.data.image import ImageSource, load_image
from dermquery.model.architecture import VisionConfig

__all__ = ["network_input", "prepare_pixels", "visible_part"]

_F = np.float32


def prepare_pixels(source: ImageSource, config: VisionConfig) -> NDArray[np.uint8]:
    """Decode, crop borders and resize to (S, S, 3), S = ``config.decoded_size``: the one path from any image to pixels.

    Args:
        source: path, encoded bytes or decoded image.
        config: the artifact's preprocessing.

    Raises:
        ImageError: the image cannot be decoded; the message names it.
    """
    image = load_image(source)
    if config.remove_borders:
        image = remove_borders(image)
    side = config.decoded_size
    # A copy, because PIL's buffer is read-only and torch must be able to own it.
    return np.array(image.resize((side, side), Image.Resampling.BICUBIC), dtype=np.uint8)


def visible_part(source: ImageSource, config: VisionConfig) -> tuple[int, int, int, int]:
    """The box (left, top, right, bottom) of an image that becomes pixels.

    Raises:
        ImageError: the image cannot be decoded.
    """
    image = load_image(source)
    return visible_box(image) if config.remove_borders else (0, 0, *image.size)


def network_input(pixels: Sequence[NDArray[np.uint8]], config: VisionConfig) -> NDArray[np.float32]:
    """Network input (B, 3, H, W) from decoded pixels, each (S, S, 3): as ``lab/network/normalise.py`` does.

    Resizing is a product with one thin matrix from either side. That takes a third of the time of PyTorch's
    interpolation, and agrees with it to the last digits of float32.
    """
    side = config.image_size
    mean, std = (np.array(value, _F)[:, None, None] for value in (config.mean, config.std))
    scale, shift = 1 / (_F(255) * std), mean / std
    inputs = np.empty((len(pixels), 3, side, side), _F)
    for image, out in zip(pixels, inputs, strict=True):
        height, width, _ = image.shape
        rows = _resizing(height, side) @ image.reshape(height, -1).astype(_F)  # (side, width·3)
        columns = np.ascontiguousarray(rows.reshape(side, width, 3).transpose(1, 2, 0)).reshape(width, -1)
        resized = (_resizing(width, side) @ columns).reshape(side, 3, side)
        np.multiply(resized.transpose(1, 2, 0), scale, out=out)
        out -= shift
    return inputs


@lru_cache(maxsize=8)
def _resizing(given: int, wanted: int) -> Any:
    """Matrix (wanted, given) of bilinear interpolation with antialiasing, in PyTorch's own float32 arithmetic.

    Rounded otherwise, a weight would differ in its fifth digit.
    """
    ratio = _F(given) / _F(wanted)
    reach = max(ratio, _F(1))
    centre = (ratio * (np.arange(wanted, dtype=_F) + _F(0.5)))[:, None]
    first = np.maximum((centre - reach + _F(0.5)).astype(int), 0)
    last = np.minimum((centre + reach + _F(0.5)).astype(int), given)
    place = np.arange(given, dtype=_F)
    near = np.maximum(_F(1) - np.abs((place - centre + _F(0.5)) * (_F(1) / reach)), _F(0))
    weights = near * ((place >= first) & (place < last))
    return sparse.csr_matrix(weights / weights.sum(axis=1, keepdims=True))
