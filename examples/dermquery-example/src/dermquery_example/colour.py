"""A system of the tables: cases of the same mean colour; nothing is learned."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np

from dermquery.data.case import Case
from dermquery.data.image import load_image
from dermquery.lab.experiment.registry import System
from dermquery.lab.systems.ranker import Scores

__all__ = ["SYSTEM", "MeanColour"]


class MeanColour:
    """Minus the distance between the mean colours of two images."""

    name = "mean colour"
    bytes_per_case = 12
    train_seconds: float | None = None

    def fit(self, training: Sequence[Case], validation: Sequence[Case]) -> None:
        """Nothing to learn."""

    def score(self, queries: Sequence[Case], gallery: Sequence[Case]) -> Scores:
        """Scores (n_queries, n_gallery)."""
        asked, held = (np.stack([self._colour(case) for case in cases]) for cases in (queries, gallery))
        return np.asarray(-np.linalg.norm(asked[:, None] - held[None], axis=-1))

    def _colour(self, case: Case) -> Scores:
        pixels = np.asarray(load_image(case.image, least_side=64), np.float32)
        return np.asarray(pixels.mean(axis=(0, 1)))


SYSTEM = System("example_colour", "mean colour", "image", "image", None, lambda bench: MeanColour())
