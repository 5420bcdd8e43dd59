"""Filters of grey images in NumPy. All continue an image beyond its edge by its mirror image, as scikit-image does."""

from __future__ import annotations

from functools import lru_cache

import numpy as np
from numpy.typing import NDArray

__all__ = ["gaussian", "moving_mean", "sobel"]

_Grey = NDArray[np.float64]
_REACH = 4.0
"""Standard deviations at which a Gaussian is cut off."""


def gaussian(image: _Grey, sigma: float) -> _Grey:
    """Smooth an image (height, width) by a Gaussian of ``sigma`` pixels."""
    rows, columns = (_gaussian_matrix(length, sigma) for length in image.shape)
    return rows @ image @ columns.T


@lru_cache(maxsize=32)
def _gaussian_matrix(length: int, sigma: float) -> _Grey:
    """The filter of a line of ``length`` pixels as a matrix (length, length)."""
    radius = int(_REACH * sigma + 0.5)
    weights = np.exp(-0.5 * (np.arange(-radius, radius + 1) / sigma) ** 2)
    source = np.pad(np.arange(length), radius, "symmetric")
    matrix = np.zeros((length, length))
    window = np.arange(len(weights))
    for row in range(length):
        np.add.at(matrix[row], source[row + window], weights / weights.sum())
    return matrix


def moving_mean(image: _Grey, length: int, axis: int) -> _Grey:
    """Mean of the ``length`` pixels, an odd number, around each pixel along an axis."""
    lines = np.moveaxis(image, axis, 0)
    padded = np.pad(lines, ((length // 2, length // 2), (0, 0)), "symmetric")
    sums = np.cumsum(np.concatenate([np.zeros((1, lines.shape[1])), padded]), axis=0)
    return np.moveaxis((sums[length:] - sums[:-length]) / length, 0, axis)


def sobel(image: _Grey, axis: int) -> _Grey:
    """Gradient along an axis by Sobel's kernel, eight times that of a plane."""
    padded = np.moveaxis(np.pad(image, 1, "symmetric"), axis, 0)
    smooth = padded[:, :-2] + 2 * padded[:, 1:-1] + padded[:, 2:]
    return np.moveaxis(smooth[2:] - smooth[:-2], 0, axis)
