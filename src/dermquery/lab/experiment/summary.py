"""From blocks of many systems to what is published: means over folds, paired tests, curves."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

from dermquery.lab.evaluate.combine import combine_folds, compare_systems
from dermquery.lab.evaluate.intervals import PairedTest, holm
from dermquery.lab.evaluate.result_block import EvaluationBlock

__all__ = ["Found", "curve_points", "means_over_folds", "paired_tests"]

Found = Mapping[tuple[str, str], Sequence[EvaluationBlock]]
"""(protocol, system) to its blocks, one for each fold, with per-query rows."""
_TESTED = ("map", "acc@1")
_CURVE_KEYS = ("protocol", "n", "n_folds", "micro", "macro", "usefulness", "intervals", "sd")


def means_over_folds(found: Found) -> list[dict[str, Any]]:
    """One dictionary for each protocol and system, as :func:`combine_folds` makes it, with the system's name."""
    return [{"system": system, **combine_folds(blocks)} for (_, system), blocks in found.items()]


def paired_tests(found: Found, reference: str) -> list[dict[str, Any]]:
    """The reference against every other system, for mAP and Acc@1; ``p_holm`` is corrected over all of them."""
    tests = [
        {"protocol": protocol, "against": system, "metric": metric}
        | _fields(compare_systems(found[protocol, reference], blocks, metric))
        for (protocol, system), blocks in found.items()
        for metric in _TESTED
        if system != reference
    ]
    for test, corrected in zip(tests, holm([test["p_value"] for test in tests]), strict=True):
        test["p_holm"] = corrected
    return tests


def curve_points(blocks: Mapping[float, Sequence[EvaluationBlock]]) -> list[dict[str, Any]]:
    """Means over folds at every λ, without what a curve has no use for."""
    return [
        {"local_weight": weight, **{k: v for k, v in combine_folds(listed).items() if k in _CURVE_KEYS}}
        for weight, listed in blocks.items()
    ]


def _fields(result: PairedTest) -> dict[str, Any]:
    return {**vars(result), "interval": list(result.interval)}
