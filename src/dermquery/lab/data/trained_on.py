"""The check before any number: were these cases in the training of this model?"""

from __future__ import annotations

import os
from collections.abc import Sequence
from concurrent.futures import ThreadPoolExecutor

import numpy as np
from numpy.typing import NDArray

from dermquery.data.case import Case
from dermquery.data.image import load_image
from dermquery.model.trained_on import Fingerprints, fingerprints, joined, trained_on

__all__ = ["check_not_trained_on", "fingerprints_of", "were_trained_on"]

_LEAST_SIDE = 256
"""The hash looks at 64 pixels a side; a JPEG is decoded at a reduced scale that keeps this."""


def fingerprints_of(cases: Sequence[Case], *more: Fingerprints) -> Fingerprints:
    """Fingerprints of the cases' images, joined with those of earlier generations.

    Raises:
        ImageError: an image cannot be decoded.
    """
    return joined((one for case in _hashes(cases) for one in case), *more)


def were_trained_on(known: Fingerprints, cases: Sequence[Case]) -> NDArray[np.bool_]:
    """Whether each case's image, as it is or without its borders, is one of the known ones: (n,)."""
    each = _hashes(cases)
    found = trained_on(known, [one for case in each for one in case])
    place = np.repeat(np.arange(len(cases)), [len(case) for case in each])
    seen = np.zeros(len(cases), bool)
    seen[place[found]] = True
    return seen


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
    seen = were_trained_on(known, cases)
    if seen.any():
        first = cases[int(seen.argmax())].case_id
        raise ValueError(
            f"{int(seen.sum())} of the {len(cases)} {what} were trained on by {name!r}, {first!r} for one: a number on "
            "them says nothing of new cases. Take other cases, a fold that the model was not trained on, or a model "
            "that has not seen them"
        )


def _hashes(cases: Sequence[Case]) -> list[tuple[str, ...]]:
    def of(case: Case) -> tuple[str, ...]:
        return fingerprints(load_image(case.image, least_side=_LEAST_SIDE))

    with ThreadPoolExecutor(os.cpu_count() or 1) as pool:
        return list(pool.map(of, cases))
