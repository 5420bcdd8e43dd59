"""A filter as an expression of Lance's query language."""

from __future__ import annotations

import datetime
from collections.abc import Sequence
from typing import Any

from dermquery.data.vocabulary.trees import TREES, after, below
from dermquery.store.filters import FIELDS, AllOf, Filter, FilterError, Missing, Not, Range, asked_values

__all__ = ["beyond", "of_image", "to_lance"]


def to_lance(where: Filter) -> str:
    """Compile for Lance's query language (DataFusion SQL).

    Field names come from a closed list, numbers are printed by ``repr`` of a finite float, and text is a literal in
    single quotes with every quote doubled, the only escape that this SQL knows. ``IS NOT NULL`` beside each comparison
    keeps SQL's third truth value out, which would otherwise survive a NOT.
    """
    return _sql(where.condition)


def beyond(where: Filter, after: str | None) -> str:
    """The same for the cases whose ``case_id`` follows another in the order of code points."""
    condition = to_lance(where)
    return condition if after is None else f"({condition} AND case_id > {_literal(after)})"


def of_image(key: str) -> str:
    """The same for the cases of one image (:func:`~dermquery.store.protocol.image_key`)."""
    return f"(image_key = {_literal(key)})"


def _sql(node: Any) -> str:
    if isinstance(node, Not):
        return f"(NOT {_sql(node.condition)})"
    if isinstance(node, AllOf):
        return "(" + " AND ".join(_sql(child) for child in node.conditions) + ")" if node.conditions else "true"
    if node.field not in FIELDS:
        raise FilterError(f"{node.field!r} is in no column of the store; ask the base, which knows its cases by it")
    if isinstance(node, Missing):
        return f"({node.field} IS NULL)"
    if isinstance(node, Range):
        terms = [f"{node.field} {op} {_literal(bound)}" for op, bound in node.bounds]
        return "(" + " AND ".join([f"{node.field} IS NOT NULL", *terms]) + ")"
    values = asked_values(node)
    if not values:
        return "false"
    if node.field not in TREES:
        return f"({node.field} IS NOT NULL AND {_in(node.field, values)})"
    asked = below(node.field, values)
    ranges = [f"({node.field} >= {_literal(path)} AND {node.field} < {_literal(after(path))})" for path in asked.paths]
    return f"({node.field} IS NOT NULL AND ({' OR '.join([_in(node.field, asked.values), *ranges])}))"


def _in(field: str, values: Sequence[str | float]) -> str:
    return f"{field} IN ({', '.join(map(_literal, values))})"


def _literal(value: str | float | datetime.date) -> str:
    if isinstance(value, datetime.date):
        return f"'{value.isoformat()}'"  # the column holds ISO days, whose order as text is that of time
    if isinstance(value, str):
        return "'" + value.replace("'", "''") + "'"
    return repr(float(value) + 0.0)  # adding 0.0 makes -0.0 plain 0.0, which Arrow would tell apart
