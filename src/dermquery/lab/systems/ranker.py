"""What every system must do to stand in a table."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any, Protocol

from numpy.typing import NDArray

from dermquery.data.case import Case

__all__ = ["Ranker", "Scores", "diagnosis_columns"]

Scores = NDArray[Any]
"""(n_queries, n_gallery), larger is more similar; `evaluate.ranking.rank` excludes and breaks ties."""


class Ranker(Protocol):
    """A system that ranks a gallery for queries; each query is a case asking with its own image and findings."""

    name: str

    @property
    def bytes_per_case(self) -> int:
        """What the system keeps of one gallery case, in bytes; known once it has scored."""
        ...

    @property
    def train_seconds(self) -> float | None:
        """How long its training took, wherever that was done; None where ``fit`` itself is all there is to time."""
        ...

    def fit(self, training: Sequence[Case], validation: Sequence[Case]) -> None:
        """Learn from the training part; choose epochs or settings on the validation part only."""
        ...

    def score(self, queries: Sequence[Case], gallery: Sequence[Case]) -> Scores:
        """Similarity of every query to every gallery case."""
        ...


def diagnosis_columns(labels: Sequence[str], gallery: Sequence[Case]) -> list[int]:
    """For each gallery case the place of its diagnosis in ``labels``; ValueError names those that have none."""
    column = {label: i for i, label in enumerate(labels)}
    unknown = sorted({str(case.diagnosis) for case in gallery} - set(column))
    if unknown:
        raise ValueError(f"the training part has no case of {', '.join(unknown)}; leave them out of the gallery")
    return [column[str(case.diagnosis)] for case in gallery]
