"""Rates of the warning that an image is unlike a base: for images that belong to it, and for others."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np
from numpy.typing import NDArray

from dermquery.data.case import Case
from dermquery.model.alignment import Vectors
from dermquery.model.parts import PartLayout, Weights, equation_9
from dermquery.store.likeness import Likeness

__all__ = ["EQUATION_9", "evaluate_likeness"]

_REPEATS = 50
EQUATION_9 = {f"λ = {weight:g}": equation_9(weight) for weight in (0.0, 0.6, 1.0)}
"""Weights of equation 9 alone, by their names."""


def evaluate_likeness(
    layout: PartLayout,
    unseen: tuple[Sequence[Case], Vectors],
    seen: tuple[Sequence[Case], Vectors],
    others: Mapping[str, Vectors],
    weights: Mapping[str, Weights] = EQUATION_9,
    seed: int = 0,
) -> list[dict[str, Any]]:
    """Rates at which images are called unlike a base.

    Args:
        layout: of the vectors.
        unseen: cases that the model was not trained on. Half of them are a base, the other half ask; repeated.
        seen: cases that it was trained on: as a base, asked by all the unseen ones.
        others: vectors of pictures that belong to no base, asked of every base.
        weights: of the scores, each by its name.
        seed: of the halves.

    Returns:
        One row for each base and weights: ``false_alarms``, and the rate for every set of ``others``.
    """
    rng = np.random.default_rng(seed)
    cases, vectors = unseen
    halves = [np.array_split(rng.permutation(len(cases)), 2) for _ in range(_REPEATS)]
    within = [(Likeness.of_vectors([cases[i] for i in a], vectors[a], layout), vectors[b]) for a, b in halves]
    across = [(Likeness.of_vectors(seen[0], seen[1], layout), vectors)]
    return [
        {
            "base": name,
            "cases": len(pairs[0][0].cases),
            "weights": title,
            "false_alarms": _mean_rate(pairs, chosen),
            **{other: _mean_rate([(base, found) for base, _ in pairs], chosen) for other, found in others.items()},
        }
        for name, pairs in (("unseen cases", within), ("cases of the training", across))
        for title, chosen in weights.items()
    ]


def _mean_rate(pairs: Sequence[tuple[Likeness, NDArray[np.float32]]], weights: Weights) -> float:
    rates = [(base.best(asked, weights) < base.threshold(weights)).mean() for base, asked in pairs]
    return round(float(np.mean(rates)), 4)
