"""What the encoder's runtime changes of a ranking: OpenVINO against PyTorch of the same model on a test fold."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from dermquery.data.case import Case
from dermquery.lab.bench.judging import judged, judging_parts
from dermquery.lab.bench.ratios import block_cosines
from dermquery.lab.evaluate.protocols import Protocol
from dermquery.lab.evaluate.ranking import Ranking, rank
from dermquery.lab.systems.composed import case_query
from dermquery.model.load import load_model
from dermquery.model.parts import equation_9

__all__ = ["bench_ranking"]

_TOP = 10


def bench_ranking(model: str, cases: Sequence[Case], *, fold: int = 0) -> dict[str, Any]:
    """Label metrics by runtime, and how far the two agree on order.

    Args:
        model: name or path of an artifact that was trained on the other folds of the table's published ones.
        cases: the whole table.
        fold: its test part asks.

    Returns:
        For each protocol and runtime mAP and Acc@1; the share of queries whose ten best are the same in the same
        order; the greatest change of a metric; the least cosine of a block.
    """
    models = {name: load_model(model, runtime=name) for name in ("torch", "openvino")}
    torch, fast = models.values()
    facts, test, training = judging_parts(torch, cases, fold)
    held = {n: m.encode_case([case.image for case in [*test, *training]]) for n, m in models.items()}
    asked = {n: m.encode_query([case_query(case) for case in test]) for n, m in models.items()}
    galleries = {Protocol.SEEN: (training, slice(len(test), None)), Protocol.UNSEEN: (test, slice(0, len(test)))}
    rows: dict[str, Any] = {}
    changes = [0.0]
    for protocol, (gallery, part) in galleries.items():
        found = {
            name: rank(m.layout.score(asked[name], held[name][part], equation_9(m.local_weight)), test, gallery)
            for name, m in models.items()
        }
        metrics = {name: judged(protocol, ranking) for name, ranking in found.items()}
        changes += [abs(metrics["torch"][m] - metrics["openvino"][m]) for m in ("map", "acc@1")]
        rows[str(protocol)] = {**metrics, "same ten best": round(_agreement(*found.values()), 4)}
    cosines = {
        what: float(block_cosines(vectors["torch"], vectors["openvino"], torch.layout).min())
        for what, vectors in (("cases", held), ("queries", asked))
    }
    return {
        **facts,
        "runtimes": [torch.runtime.name, fast.runtime.name],
        "protocols": rows,
        "greatest change": round(max(changes), 6),
        "least cosine": cosines,
    }


def _agreement(one: Ranking, other: Ranking) -> float:
    return float((one.order[:, :_TOP] == other.order[:, :_TOP]).all(axis=1).mean())
