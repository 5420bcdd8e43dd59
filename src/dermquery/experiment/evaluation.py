"""One model under one protocol."""

from __future__ import annotations

from collections.abc import Sequence

from dermquery.data.case import Case
from dermquery.evaluate.protocols import Protocol
from dermquery.evaluate.ranking import rank
from dermquery.evaluate.report import EvaluationBlock, evaluate_ranking
from dermquery.model.composed import ComposedModel
from dermquery.rankers.composed import ComposedRanker, QueryParts

__all__ = ["evaluate_model"]


def evaluate_model(
    model: ComposedModel,
    queries: Sequence[Case],
    gallery: Sequence[Case],
    protocol: Protocol | str,
    *,
    parts: QueryParts = "composed",
    local_weight: float | None = None,
    described: bool = False,
) -> EvaluationBlock:
    """One protocol of one model; a query never retrieves its own case or lesion."""
    ranker = ComposedRanker(model, parts, local_weight, described)
    return evaluate_ranking(rank(ranker.score(queries, gallery), queries, gallery), protocol=protocol)
