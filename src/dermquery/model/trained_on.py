"""Which images a model was trained on: fingerprints that travel with it through every generation.

A fingerprint is the perceptual hash of an image as it is, and of the same without its borders, so a copy that was
cropped of its frame, made smaller or compressed again counts as the same image.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Sequence

import numpy as np
from numpy.typing import NDArray
from PIL import Image

from dermquery.data.borders import remove_borders
from dermquery.data.perceptual_hash import NEAR, perceptual_hash

__all__ = ["NOTHING", "Fingerprints", "fingerprints", "joined", "trained_on"]

Fingerprints = NDArray[np.uint8]
"""(n, 32): 256 bits of each picture."""
NOTHING: Fingerprints = np.zeros((0, 32), np.uint8)
_ROWS = 2048


def fingerprints(image: Image.Image, shrink: Callable[[Image.Image], Image.Image] | None = None) -> tuple[str, ...]:
    """Hashes of an image, and of the same without its borders where that is another: one or two of 64 digits.

    Args:
        image: mode ``RGB``; one that was searched for borders is not searched again.
        shrink: applied to each of the two before it is hashed, which takes long for millions of pixels.
    """
    field = remove_borders(image)
    views = (image,) if field is image else (image, field)
    return tuple(dict.fromkeys(perceptual_hash(view if shrink is None else shrink(view)) for view in views))


def joined(hashes: Iterable[str], *more: Fingerprints) -> Fingerprints:
    """All fingerprints as one sorted array (n, 32), each once."""
    found = b"".join(map(bytes.fromhex, hashes))
    every = np.concatenate([np.frombuffer(found, np.uint8).reshape(-1, 32), *more])
    return np.unique(every, axis=0) if len(every) else NOTHING


def trained_on(known: Fingerprints, asked: Sequence[str], near: int = NEAR) -> NDArray[np.bool_]:
    """Whether each of the hashes asked for is at most ``near`` bits from one of the known (n, 32): (m,)."""
    if not len(known) or not len(asked):
        return np.zeros(len(asked), bool)
    # Signs of the bits: an inner product of 256 is the number of equal bits less that of the others.
    signs = np.unpackbits(known, axis=1).astype(np.float32).T * 2 - 1
    bits = np.unpackbits(np.frombuffer(b"".join(map(bytes.fromhex, asked)), np.uint8).reshape(-1, 32), axis=1)
    return np.concatenate(
        [
            ((bits[i : i + _ROWS].astype(np.float32) * 2 - 1) @ signs).max(axis=1) >= 256 - 2 * near
            for i in range(0, len(bits), _ROWS)
        ]
    )
