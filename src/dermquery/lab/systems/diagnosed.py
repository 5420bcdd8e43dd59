"""The composed model in a gallery that is ranked by its recorded diagnoses: the counterpart of checklist regression."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
from numpy.typing import NDArray
from scipy.stats import rankdata
from sklearn.metrics import log_loss

from dermquery.data.case import Case
from dermquery.lab.systems.composed import ComposedRanker
from dermquery.lab.systems.ranker import Scores, diagnosis_columns

__all__ = ["TEMPERATURES", "DiagnosedGallery"]

TEMPERATURES = (0.01, 0.02, 0.05, 0.1, 0.2)
"""Of the vote, in units of the score; one is chosen on the validation part."""
_SIMILARITY = 0.25
"""Weight of the similarity, in [−1, 1], beside places of diagnoses, 1 apart: it orders the cases of one diagnosis."""


class DiagnosedGallery:
    """Training cases vote for the query's diagnosis; cases of a diagnosis with many votes come first.

    ``P(y | q) ∝ Σ_i [y_i = y] exp(s(q, x_i) / τ)`` over the training part, τ by the log loss of the validation part
    (which the model may have seen, where it was trained on all training folds; only τ hangs on it). Like checklist
    regression this is a classifier's answer that reads what the gallery's cases were found to be, no search.

    Args:
        ranker: the composed model, trained.
    """

    name = "composed, known diagnoses"

    def __init__(self, ranker: ComposedRanker) -> None:
        self._ranker = ranker
        self._voters: list[Case] = []
        self.labels: tuple[str, ...] = ()
        self.temperature = TEMPERATURES[0]

    @property
    def bytes_per_case(self) -> int:
        """Vector and diagnosis."""
        return self._ranker.bytes_per_case + 1

    @property
    def train_seconds(self) -> float | None:
        """Seconds of the composed model's training."""
        return self._ranker.train_seconds

    def fit(self, training: Sequence[Case], validation: Sequence[Case]) -> None:
        """Keep the training part, and choose the temperature."""
        self._voters = list(training)
        self.labels = tuple(sorted({str(case.diagnosis) for case in training}))
        known = [case for case in validation if str(case.diagnosis) in self.labels]
        if known:
            scores, truth = self._ranker.score(known, self._voters), [str(case.diagnosis) for case in known]
            self.temperature = min(
                TEMPERATURES, key=lambda t: log_loss(truth, self._votes(scores, t), labels=list(self.labels))
            )

    def chances(self, queries: Sequence[Case]) -> NDArray[np.float64]:
        """P(y | q), (n_queries, n_labels), columns as :attr:`labels`."""
        return self._votes(self._ranker.score(queries, self._voters), self.temperature)

    def score(self, queries: Sequence[Case], gallery: Sequence[Case]) -> Scores:
        places = rankdata(self.chances(queries), method="dense", axis=1)
        places = places[:, diagnosis_columns(self.labels, gallery)]
        return np.asarray(places + _SIMILARITY * self._ranker.score(queries, gallery))

    def _votes(self, scores: Scores, temperature: float) -> NDArray[np.float64]:
        weights = np.exp((scores - scores.max(axis=1, keepdims=True)) / temperature, dtype=np.float64)
        mine = np.array([[str(case.diagnosis) == label for label in self.labels] for case in self._voters], np.float64)
        votes = weights @ mine
        return np.asarray(votes / votes.sum(axis=1, keepdims=True))
