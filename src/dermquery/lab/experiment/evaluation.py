"""Evaluate one model under one protocol."""

from __future__ import annotations

from collections.abc import Sequence

from dermquery.data.case import Case
from dermquery.lab.evaluate.protocols import Protocol
from dermquery.lab.evaluate.ranking import rank
from dermquery.lab.evaluate.result_block import EvaluationBlock, evaluate_ranking
from dermquery.lab.systems.composed import ComposedRanker, query_parts
from dermquery.lab.systems.frozen import FrozenFeatures
from dermquery.lab.systems.ranker import Ranker
from dermquery.model.encoder import ComposedModel

__all__ = ["evaluate_model"]


def evaluate_model(
    model: ComposedModel,
    queries: Sequence[Case],
    gallery: Sequence[Case],
    protocol: Protocol | str,
    *,
    system: str = "composed",
    local_weight: float | None = None,
    weights: str | None = None,
) -> EvaluationBlock:
    """One protocol of one model; a query never retrieves its own case or lesion.

    Args:
        model: what encodes.
        queries: the cases that ask.
        gallery: the cases that are ranked.
        protocol: what the two are.
        system: the part of the query that is used, or ``frozen features`` for the model's own backbone as it was
            before any training on skin: the row that training must beat.
        local_weight: λ; the model's own if None.
        weights: of the three parts, the name of a preset or as they are written; equation 9 alone if None.

    Raises:
        ValueError: an unknown system, or weights that cannot be read.
    """
    ranker: Ranker
    if system == FrozenFeatures.name:
        ranker = FrozenFeatures(model.config.vision)
    else:
        ranker = ComposedRanker(model, query_parts(system), local_weight, weights)
    return evaluate_ranking(rank(ranker.score(queries, gallery), queries, gallery), protocol=protocol)
