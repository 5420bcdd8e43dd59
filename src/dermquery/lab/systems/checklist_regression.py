"""Rows without an image: the cosine of the recorded checklists, and a logistic regression on them."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
from numpy.typing import NDArray
from sklearn.linear_model import LogisticRegression

from dermquery.data.case import Case
from dermquery.data.checklist import CRITERIA
from dermquery.lab.systems.ranker import Scores, diagnosis_columns

__all__ = ["ChecklistCosine", "ChecklistRegression", "one_hot"]


def one_hot(cases: Sequence[Case]) -> NDArray[np.float64]:
    """Recorded criteria as indicators, (n, 28): one column for each value of each criterion; all zero where missing."""
    columns = [(name, value) for name, criterion in CRITERIA.items() for value in criterion.values]
    return np.array([[float(case.checklist.get(n) == v) for n, v in columns] for case in cases]).reshape(
        len(cases), len(columns)
    )


class ChecklistCosine:
    """Cosine between the checklists that were recorded for query and gallery case; nothing is learned."""

    name = "checklist cosine"
    bytes_per_case = len(CRITERIA)
    """One byte for each criterion's value."""
    train_seconds: float | None = None

    def fit(self, training: Sequence[Case], validation: Sequence[Case]) -> None:
        """Nothing to learn."""

    def spoken(self) -> ChecklistCosine:
        """Itself: it never looks at an image."""
        return self

    def score(self, queries: Sequence[Case], gallery: Sequence[Case]) -> Scores:
        left, right = (_unit(one_hot(cases)) for cases in (queries, gallery))
        return left @ right.T


class ChecklistRegression:
    """Logistic regression from the query's checklist to a diagnosis; the gallery is ranked by its recorded diagnoses.

    This is a classifier's answer, not a search: every query that is thought a melanoma gets all melanomas in one order.
    It stands in the tables because it is hard to beat on label metrics (design, section 3).
    """

    name = "checklist regression"
    bytes_per_case = 1
    """Its diagnosis."""
    train_seconds: float | None = None

    def __init__(self) -> None:
        self._model = LogisticRegression(max_iter=1000)

    def fit(self, training: Sequence[Case], validation: Sequence[Case]) -> None:
        """Learn from the training part; there is nothing to choose."""
        self._model.fit(one_hot(training), [str(case.diagnosis) for case in training])

    def score(self, queries: Sequence[Case], gallery: Sequence[Case]) -> Scores:
        chances = self._model.predict_proba(one_hot(queries))
        return np.asarray(chances[:, diagnosis_columns(self._model.classes_, gallery)])


def _unit(rows: NDArray[np.float64]) -> NDArray[np.float64]:
    unit: NDArray[np.float64] = rows / np.maximum(np.linalg.norm(rows, axis=1, keepdims=True), 1e-12)
    return unit
