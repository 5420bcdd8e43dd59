"""The part of a table that a model may be judged on, and the two figures that it is judged by in a benchmark."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from dermquery.data.case import Case
from dermquery.lab.data.folds import published_folds
from dermquery.lab.evaluate.protocols import Protocol, protocol_sets
from dermquery.lab.evaluate.ranking import Ranking
from dermquery.lab.evaluate.result_block import EvaluationBlock, evaluate_ranking
from dermquery.model.encoder import ComposedModel

__all__ = ["check_unseen", "judged", "judging_parts"]


def check_unseen(model: ComposedModel, folds_sha256: str, fold: int) -> None:
    """Refuse to judge a model on another fold of the folds that it was trained on: ValueError, with the right one."""
    known = model.provenance
    if known.get("folds_sha256") == folds_sha256 and known.get("fold") != fold:
        own = known.get("fold")
        remedy = (
            "no fold was left out of its training" if own is None else f"it is judged on fold {own}: use --fold {own}"
        )
        raise ValueError(f"model {model.name!r} has seen the cases of fold {fold}; {remedy}")


def judging_parts(
    model: ComposedModel, cases: Sequence[Case], fold: int
) -> tuple[dict[str, Any], list[Case], list[Case]]:
    """Test and training part of one of the published folds, and what a result says of them.

    Raises:
        ValueError: the model was trained on the fold's test part.
    """
    folds = published_folds(cases)
    check_unseen(model, folds.sha256, fold)
    test, training = protocol_sets(Protocol.SEEN, folds, fold, cases)
    facts = {
        "artifact": model.artifact_hash,
        "fold": fold,
        "folds_sha256": folds.sha256,
        "queries": len(test),
        "seen gallery": len(training),
        "local_weight": model.local_weight,
    }
    return facts, test, training


def judged(protocol: Protocol, ranking: Ranking) -> dict[str, float]:
    """MAP and Acc@1 over the queries that have a relevant case, to six digits."""
    block: EvaluationBlock = evaluate_ranking(ranking, protocol=protocol, n_boot=1, keep_per_query=False)
    return {name: round(float(block.micro[name] or 0.0), 6) for name in ("map", "acc@1")}
