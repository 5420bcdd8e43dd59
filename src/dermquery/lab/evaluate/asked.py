"""Do hits carry the one finding that words asked for? Asked-finding P@k over every value that enough cases carry."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import Any

import numpy as np

from dermquery.data.case import Case
from dermquery.data.checklist import CRITERIA
from dermquery.lab.evaluate.intervals import percentile_interval
from dermquery.lab.evaluate.ranking import Ranking

__all__ = ["ASKED_AT", "LEAST_CARRIERS", "asked_precision", "asking_cases"]

ASKED_AT = 10
LEAST_CARRIERS = 10
"""A value that fewer cases carry is left out: ten hits could not all carry it."""


def asking_cases() -> list[Case]:
    """One query for each of the 28 values, as a case that has nothing but this finding; they have no image."""
    return [
        Case(case_id=f"{name}={value}", image=Path("none"), checklist={name: value})
        for name, criterion in CRITERIA.items()
        for value in criterion.values
    ]


def asked_precision(parts: Sequence[Ranking], k: int = ASKED_AT) -> dict[str, Any]:
    """Share of the k best that carry the asked value, the mean over values that at least ten cases carry.

    Args:
        parts: the answers to :func:`asking_cases`, one ranking for each part of the base (each part by a model that has
            not seen its cases, such as the folds of a cross-validation). The parts are merged by score.
        k: hits that count.

    Returns:
        ``p@k``, its 95 % bootstrap interval over values, ``chance`` (share of carriers), and ``values``: by value, how
        many ``carry`` it and ``p@k``.
    """
    rows: dict[str, dict[str, float]] = {}
    n_cases = sum(len(part.gallery) for part in parts)
    for place, query in enumerate(parts[0].queries):
        ((name, value),) = query.checklist.items()
        carried = sum(case.checklist.get(name) == value for part in parts for case in part.gallery)
        if carried < LEAST_CARRIERS:
            continue
        merged = [
            (-float(score), case.case_id, case.checklist.get(name) == value)
            for part in parts
            for score, case in zip(part.scores[place], (part.gallery[i] for i in part.order[place]), strict=True)
        ]
        best = sorted(merged)[:k]
        rows[query.case_id] = {"carry": carried, f"p@{k}": sum(hit for *_, hit in best) / k}
    found = np.array([row[f"p@{k}"] for row in rows.values()])
    drawn = np.random.default_rng(0).integers(0, len(found), (1000, len(found)))
    return {
        f"p@{k}": float(found.mean()),
        "interval": percentile_interval(found[drawn].mean(axis=1)),
        "chance": float(np.mean([row["carry"] for row in rows.values()]) / n_cases),
        "n_cases": n_cases,
        "values": rows,
    }
