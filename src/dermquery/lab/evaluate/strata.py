"""Break an evaluation down by sex, site, age, diagnosis or another column of the querying cases.

The gallery stays whole. A part of few queries has a wide interval and no power to show a difference; the parts are
there to show where a system is not to be trusted, not to be compared by their means.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np

from dermquery.data.case import CASE_FIELDS, Case, Kind
from dermquery.data.vocabulary.trees import TREES
from dermquery.lab.evaluate.intervals import bootstrap_interval
from dermquery.lab.evaluate.levels import place_at, split_level
from dermquery.lab.evaluate.metrics import mean_known
from dermquery.lab.evaluate.result_block import EvaluationBlock, query_name, to_json

__all__ = ["NOT_RECORDED", "STRATUM_METRICS", "check_columns", "strata"]

NOT_RECORDED = "not recorded"
STRATUM_METRICS = ("acc@1", "map", "checklist_agreement@5")
_FIELDS = tuple(name for name, field in CASE_FIELDS.items() if field.kind in (Kind.CHOICE, Kind.WORD))
_AGE_BAND = 20


def strata(
    block: EvaluationBlock, queries: Sequence[Case], by: Sequence[str], *, n_boot: int = 1000, seed: int = 0
) -> dict[str, list[dict[str, Any]]]:
    """Means over the queries of each value of each of the columns ``by``.

    Args:
        block: an evaluation with its rows per query.
        queries: the cases that asked, in any order.
        by: a field of few or many words (``sex``, ``fine_diagnosis``), a hierarchy with or without a level (``site:1``,
            ``diagnosis_path:2``), ``age`` (bands of twenty years), or a further column of the case table.
        n_boot: resamples of groups (patients or lesions) for the 95 % intervals.
        seed: of the resamples.

    Returns:
        By column, a row for each value, most queries first: ``value``, ``n``, and for each of
        :data:`STRATUM_METRICS` its mean and ``[low, high]`` under ``intervals``; None where it is not defined.

    Raises:
        ValueError: a column that no query has, or an evaluation without its rows per query.
    """
    if not block.per_query:
        raise ValueError("this evaluation was made without its rows per query; make it again with them")
    check_columns(queries, by)
    cases = {case.case_id: case for case in queries}
    return {
        name: _rows(
            block.per_query, [_value(cases[str(row["case_id"])], name) for row in block.per_query], n_boot, seed
        )
        for name in by
    }


def check_columns(queries: Sequence[Case], by: Sequence[str]) -> None:
    """Raise ValueError for a column that no query has, before hours of encoding are spent on it."""
    for name in by:
        if (
            name != "age"
            and split_level(name)[0] not in (*_FIELDS, *TREES)
            and not any(name in case.extra for case in queries)
        ):
            known = ", ".join(
                dict.fromkeys([*_FIELDS, *TREES, "age", *(key for case in queries for key in case.extra)])
            )
            raise ValueError(f"no querying case has a column {name!r}; choose from: {known}")


def _value(case: Case, name: str) -> str:
    if name == "age":
        if case.age is None:
            return NOT_RECORDED
        start = int(case.age // _AGE_BAND) * _AGE_BAND
        return f"{start} to {start + _AGE_BAND - 1}"
    if (split := split_level(name))[0] in TREES:
        return place_at(case, *split) or NOT_RECORDED
    recorded = getattr(case, name) if name in _FIELDS else case.extra.get(name)
    return recorded or NOT_RECORDED


def _rows(
    per_query: Sequence[Mapping[str, Any]], values: Sequence[str], n_boot: int, seed: int
) -> list[dict[str, Any]]:
    rows = []
    for value in sorted(set(values), key=lambda v: (-values.count(v), v)):
        members = [row for row, own in zip(per_query, values, strict=True) if own == value]
        groups = [str(row["group"]) for row in members]
        found: dict[str, Any] = {"value": value, "n": len(members), "intervals": {}}
        for metric in STRATUM_METRICS:
            column = np.array([np.nan if (v := row[query_name(metric)]) is None else v for row in members], np.float64)
            found[metric] = to_json(mean_known(column))
            ends = bootstrap_interval(column, groups=groups, n_boot=n_boot, seed=seed)
            found["intervals"][metric] = [to_json(end) for end in ends]
        rows.append(found)
    return rows
