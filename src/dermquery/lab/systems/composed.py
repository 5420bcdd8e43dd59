"""The composed model as a ranker, asked with image and text or with one of them."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Literal, cast, get_args

import numpy as np
from numpy.typing import NDArray

from dermquery.data.case import Case, Query
from dermquery.lab.systems.ranker import Scores
from dermquery.model.alignment import Vectors, check_local_weight
from dermquery.model.encoder import ComposedModel
from dermquery.model.parts import Weights, equation_9
from dermquery.model.presets import choose, presets_of

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
    """Equation 9 between queries and gallery, or the parts of the vectors by other weights.

    Encodings are kept by case, so the rows of one model, and every λ, share one pass over the images.

    Args:
        model: a model that is ready; or what makes one from the training and validation part.
        parts: which part of the query is used.
        local_weight: λ; the model's own if None.
        weights: of the parts, as the name of a preset or as they are written; equation 9 alone if None.

    Raises:
        ValueError: λ out of its bounds; or weights that cannot be read, of a model that is ready.
    """

    def __init__(
        self,
        model: ComposedModel | Callable[[Sequence[Case], Sequence[Case]], ComposedModel],
        parts: QueryParts = "composed",
        local_weight: float | None = None,
        weights: str | None = None,
    ) -> None:
        self.name: str = parts
        self.parts: QueryParts = parts
        self._source = model
        self._model = model if isinstance(model, ComposedModel) else None
        self._local_weight = None if local_weight is None else check_local_weight(local_weight)
        self._weights = weights
        if self._model is not None:
            _ = self.weights  # what cannot be read is refused before anything is encoded
        self._known: dict[tuple[str, str], NDArray[np.float32]] = {}

    def fit(self, training: Sequence[Case], validation: Sequence[Case]) -> None:
        """Train the model, unless it came ready."""
        if not isinstance(self._source, ComposedModel):
            self._model = self._source(training, validation)
            self._known.clear()

    @property
    def model(self) -> ComposedModel:
        """The trained model; RuntimeError before ``fit``."""
        if self._model is None:
            raise RuntimeError("fit the ranker before it scores")
        return self._model

    @property
    def bytes_per_case(self) -> int:
        """Size of equation 9's blocks, as they are stored; a base holds a case's findings beside them."""
        return self.model.layout.blocks.size * 2

    @property
    def train_seconds(self) -> float | None:
        """Seconds of the training, as the artifact records them."""
        seconds = self.model.provenance.get("seconds")
        return None if seconds is None else float(seconds)

    def variant(self, parts: QueryParts) -> ComposedRanker:
        """The same model asking with another part of the query; encodings are shared."""
        other = ComposedRanker(self.model, parts, self._local_weight, self._weights)
        other._known = self._known
        return other

    def spoken(self) -> ComposedRanker:
        """The same model and gallery, asked with words alone."""
        return self.variant("text only")

    def score(self, queries: Sequence[Case], gallery: Sequence[Case]) -> Scores:
        return self.model.layout.score(*self._vectors(queries, gallery), self.weights)

    @property
    def weights(self) -> Weights:
        """Weights that cases are ranked by.

        Raises:
            ValueError: an unknown preset, or weights that cannot be read.
        """
        if self._weights is not None:
            presets = presets_of(self.model.layout, self.model.presets)
            return choose(presets, self._weights, self._local_weight).weights
        return equation_9(self.model.local_weight if self._local_weight is None else self._local_weight)

    def similarities(self, queries: Sequence[Case], gallery: Sequence[Case]) -> dict[str, Scores]:
        """The parts of the score: ``local`` (equation 7) and ``global`` (equation 8)."""
        vectors, score = self._vectors(queries, gallery), self.model.layout.score
        return {name: score(*vectors, equation_9(w)) for name, w in (("local", 1.0), ("global", 0.0))}

    def _vectors(self, queries: Sequence[Case], gallery: Sequence[Case]) -> tuple[Vectors, Vectors]:
        return self._encoded(queries, self.parts), self._encoded(gallery, "target")

    def _encoded(self, cases: Sequence[Case], role: QueryParts | Literal["target"]) -> Vectors:
        missing = [case for case in cases if (role, case.case_id) not in self._known]
        if role == "target":
            vectors = self.model.encode_case([case.image for case in missing])
        else:
            vectors = self.model.encode_query([case_query(case, role) for case in missing])
        self._known.update(zip(((role, case.case_id) for case in missing), vectors, strict=True))
        return np.stack([self._known[role, case.case_id] for case in cases])
