"""What a filter means, told case by case."""

from __future__ import annotations

import datetime
import operator
from collections.abc import Callable
from typing import Any

from dermquery.data.case import CASE_FIELDS, Case
from dermquery.data.vocabulary.trees import TREES, below
from dermquery.store.filters import DAYS, EXTRA, AllOf, Equals, Filter, Missing, Not, OneOf, asked_values, iso_day

__all__ = ["field_value", "matches"]

_COMPARE: dict[str, Callable[[Any, Any], bool]] = {
    ">=": operator.ge,
    ">": operator.gt,
    "<=": operator.le,
    "<": operator.lt,
}


def field_value(case: Case, field: str) -> str | float | None:
    """Value of a field of :data:`.filters.FIELDS` in a case, a date as 2024-03-31; None if it was not recorded.

    Behind ``extra.`` the name of a column that the project does not know.
    """
    if field.startswith(EXTRA):
        return case.extra.get(field.removeprefix(EXTRA))
    value = CASE_FIELDS[field].of(case)
    return value.isoformat() if isinstance(value, datetime.date) else value


def matches(where: Filter, case: Case) -> bool:
    """Whether a case satisfies a filter: the reference that every compiled form must agree with."""
    return _holds(where.condition, case)


def _holds(node: Any, case: Case) -> bool:
    if isinstance(node, Not):
        return not _holds(node.condition, case)
    if isinstance(node, AllOf):
        return all(_holds(child, case) for child in node.conditions)
    value = field_value(case, node.field)
    if isinstance(node, Missing):
        return value is None
    if value is None:
        return False
    if isinstance(node, Equals | OneOf):
        asked = asked_values(node)
        return below(node.field, asked).holds(str(value)) if node.field in TREES else value in asked
    own = iso_day(str(value)) if node.field in DAYS else float(value)
    return all(_COMPARE[op](own, bound) for op, bound in node.bounds)
