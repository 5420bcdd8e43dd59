"""The composed model as a ranker, with its image-only and text-only queries as rows of their own."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Literal, cast, get_args

import numpy as np

from dermquery.data.case import Case, Query
from dermquery.model.alignment import Vectors
from dermquery.model.composed import ComposedModel
from dermquery.rankers.base import Scores

__all__ = ["ComposedRanker", "QueryParts", "case_query", "query_parts"]

QueryParts = Literal["composed", "image only", "text only"]


def query_parts(name: str) -> QueryParts:
    """Check a part's name; ValueError lists the legal ones."""
    if name not in (known := get_args(QueryParts)):
        raise ValueError(f"unknown part of a query {name!r}; use one of: {', '.join(known)}")
    return cast("QueryParts", name)


def case_query(case: Case, parts: QueryParts = "composed") -> Query:
    """The query that a case makes from its own image and findings, or from one of the two."""
    query = case.as_query()
    if parts == "image only":
        return Query(image=query.image)
    if parts == "text only":
        return Query(text=query.text, checklist=query.checklist)
    return query


class ComposedRanker:
    """Equation 9 between queries and gallery.

    Encodings are kept by case, so the rows of one model, and every λ, share one pass over the images.

    Args:
        train: makes the model from the training and validation part; or a model that is ready.
        parts: which part of the query is used.
    """

    def __init__(
        self,
        model: ComposedModel | Callable[[Sequence[Case], Sequence[Case]], ComposedModel],
        parts: QueryParts = "composed",
        local_weight: float | None = None,
    ) -> None:
        self.name: str = parts
        self.parts: QueryParts = parts
        self._source = model
        self._model = model if isinstance(model, ComposedModel) else None
        self._local_weight = local_weight
        self._gallery: dict[str, Vectors] = {}

    def fit(self, training: Sequence[Case], validation: Sequence[Case]) -> None:
        """Train the model, unless it came ready."""
        if not isinstance(self._source, ComposedModel):
            self._model = self._source(training, validation)
            self._gallery.clear()

    @property
    def model(self) -> ComposedModel:
        """The trained model; RuntimeError before ``fit``."""
        if self._model is None:
            raise RuntimeError("fit the ranker before it scores")
        return self._model

    def with_parts(self, parts: QueryParts) -> ComposedRanker:
        """The same model asking with another part of the query; gallery encodings are shared."""
        other = ComposedRanker(self.model, parts, self._local_weight)
        other._gallery = self._gallery
        return other

    def score(self, queries: Sequence[Case], gallery: Sequence[Case]) -> Scores:
        asked = self.model.encode_query([case_query(case, self.parts) for case in queries])
        weight = self.model.local_weight if self._local_weight is None else self._local_weight
        return self.model.layout.score(asked, self._encoded(gallery), weight)

    def _encoded(self, gallery: Sequence[Case]) -> Vectors:
        missing = [case for case in gallery if case.case_id not in self._gallery]
        vectors = self.model.encode_case([case.image for case in missing])
        self._gallery.update(zip((case.case_id for case in missing), vectors, strict=True))
        return np.stack([self._gallery[case.case_id] for case in gallery])
