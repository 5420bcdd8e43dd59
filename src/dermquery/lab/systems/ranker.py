"""The interface of every system in the tables."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any, Protocol, runtime_checkable

from numpy.typing import NDArray

from dermquery.data.case import Case

__all__ = ["AsksWords", "Ranker", "Scores", "diagnosis_columns"]

Scores = NDArray[Any]
"""(n_queries, n_gallery), larger is more similar; `evaluate.ranking.rank` excludes and breaks ties."""


class Ranker(Protocol):
    """A system that ranks a gallery for queries; each query is a case asking with its own image and findings."""

    name: str

    @property
    def bytes_per_case(self) -> int:
        """Bytes that the system stores for one gallery case; known once it has scored."""
        ...

    @property
    def train_seconds(self) -> float | None:
        """Seconds of its training, also if an earlier run did it; None where the time of ``fit`` is meant."""
        ...

    def fit(self, training: Sequence[Case], validation: Sequence[Case]) -> None:
        """Learn from the training part; choose epochs or settings on the validation part only."""
        ...

    def score(self, queries: Sequence[Case], gallery: Sequence[Case]) -> Scores:
        """Similarity of every query to every gallery case."""
        ...


@runtime_checkable
class AsksWords(Protocol):
    """A ranker that can be asked with words alone."""

    def spoken(self) -> Ranker:
        """The same system, asked with the findings of its queries alone; it looks at none of their images."""
        ...


def diagnosis_columns(labels: Sequence[str], gallery: Sequence[Case]) -> list[int]:
    """For each gallery case the place of its diagnosis in ``labels``; ValueError names those that have none."""
    column = {label: i for i, label in enumerate(labels)}
    unknown = sorted({str(case.diagnosis) for case in gallery} - set(column))
    if unknown:
        raise ValueError(f"the training part has no case of {', '.join(unknown)}; leave them out of the gallery")
    return [column[str(case.diagnosis)] for case in gallery]
