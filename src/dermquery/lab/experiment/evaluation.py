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

__all__ = ["evaluate_ranker", "ranker_of"]


def ranker_of(
    model: ComposedModel,
    system: str = "composed",
    local_weight: float | None = None,
    weights: str | None = None,
) -> Ranker:
    """A model as it is asked; what cannot be used is refused here, before anything is encoded.

    Args:
        model: what encodes.
        system: the part of the query that is used, or ``frozen features`` for the model's own backbone as it was
            before any training on skin: the row that training must beat.
        local_weight: λ; the model's own if None.
        weights: of the three parts, the name of a preset or as they are written; equation 9 alone if None.

    Raises:
        ValueError: an unknown system, weights that cannot be read, or λ out of its bounds.
    """
    if system == FrozenFeatures.name:
        return FrozenFeatures(model.config.vision)
    return ComposedRanker(model, query_parts(system), local_weight, weights)


def evaluate_ranker(
    ranker: Ranker, queries: Sequence[Case], gallery: Sequence[Case], protocol: Protocol | str
) -> EvaluationBlock:
    """One protocol; a query never retrieves its own case or lesion.

    Args:
        ranker: one that is ready.
        queries: the cases that ask.
        gallery: the cases that are ranked.
        protocol: what the two are.
    """
    return evaluate_ranking(rank(ranker.score(queries, gallery), queries, gallery), protocol=protocol)
