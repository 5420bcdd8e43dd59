"""What every system must do to stand in a table."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any, Protocol

from numpy.typing import NDArray

from dermquery.data.case import Case

__all__ = ["Ranker", "Scores"]

Scores = NDArray[Any]
"""(n_queries, n_gallery), larger is more similar; `evaluate.ranking.rank` excludes and breaks ties."""


class Ranker(Protocol):
    """A system that ranks a gallery for queries; each query is a case asking with its own image and findings."""

    name: str

    def fit(self, training: Sequence[Case], validation: Sequence[Case]) -> None:
        """Learn from the training part; choose epochs or settings on the validation part only."""
        ...

    def score(self, queries: Sequence[Case], gallery: Sequence[Case]) -> Scores:
        """Similarity of every query to every gallery case."""
        ...
