"""Which images a model was trained on: fingerprints that travel with it, and the check before any number.

A fingerprint is the perceptual hash of an image without its borders, so a copy that was cropped of its frame, made
smaller or compressed again counts as the same image.
"""

from __future__ import annotations

import os
from collections.abc import Sequence
from concurrent.futures import ThreadPoolExecutor

import numpy as np
from numpy.typing import NDArray

from dermquery.data.borders import remove_borders
from dermquery.data.case import Case
from dermquery.data.image import load_image
from dermquery.store.duplicates import NEAR, perceptual_hash

__all__ = ["Fingerprints", "check_not_trained_on", "fingerprints", "trained_on"]

Fingerprints = NDArray[np.uint8]
"""(n, 32): 256 bits of each image."""
_LEAST_SIDE = 256
"""The hash looks at 64 pixels a side; a JPEG is decoded at a reduced scale that keeps this."""
_ROWS = 2048


def fingerprints(cases: Sequence[Case]) -> Fingerprints:
    """Fingerprints (n, 32) of the cases' images, in their order.

    Raises:
        ImageError: an image cannot be decoded.
    """

    def of(case: Case) -> bytes:
        return bytes.fromhex(perceptual_hash(remove_borders(load_image(case.image, least_side=_LEAST_SIDE))))

    with ThreadPoolExecutor(os.cpu_count() or 1) as pool:
        found = b"".join(pool.map(of, cases))
    return np.frombuffer(found, np.uint8).reshape(len(cases), 32)


def trained_on(known: Fingerprints, asked: Fingerprints, near: int = NEAR) -> NDArray[np.bool_]:
    """Whether each of the asked images (m, 32) is at most ``near`` bits from one of the known ones (n, 32): (m,)."""
    if not len(known) or not len(asked):
        return np.zeros(len(asked), bool)
    # Signs of the bits: an inner product of 256 is the number of equal bits less that of the others.
    signs = np.unpackbits(known, axis=1).astype(np.float32).T * 2 - 1
    found = []
    for start in range(0, len(asked), _ROWS):
        own = np.unpackbits(asked[start : start + _ROWS], axis=1).astype(np.float32) * 2 - 1
        found.append((own @ signs).max(axis=1) >= 256 - 2 * near)
    return np.concatenate(found)


def check_not_trained_on(name: str, known: Fingerprints, cases: Sequence[Case], what: str) -> None:
    """Refuse a number on cases that a model was trained on.

    Args:
        name: of the model.
        known: fingerprints of its training images, through all that it started from.
        cases: that must be new to it.
        what: they are, for the message ("test cases of fold 0").

    Raises:
        ValueError: naming how many, the first of them, and the remedy.
    """
    seen = trained_on(known, fingerprints(cases))
    if seen.any():
        first = cases[int(seen.argmax())].case_id
        raise ValueError(
            f"{int(seen.sum())} of the {len(cases)} {what} were trained on by {name!r}, {first!r} for one: a number on "
            "them says nothing of new cases. Take other cases, a fold that the model was not trained on, or a model "
            "that has not seen them"
        )
