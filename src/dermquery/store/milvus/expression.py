"""A filter as an expression of Milvus, and the form in which values stand in its columns.

Milvus 2.3 knows no NULL and no parameters. So a recorded text is stored behind an equals sign in ASCII without quotes
or backslashes, whatever a user wrote, and "" is a value that was not recorded; a missing number is −1. The encoding
keeps the order of code points, so the server can cut pages of cases in the order that the embedded store has.
"""

from __future__ import annotations

import datetime
import math
import re
from collections.abc import Sequence
from decimal import Decimal
from typing import Any

from dermquery.data.case import NUMBERS
from dermquery.data.vocabulary.trees import TREES, after, below
from dermquery.store.filters import FIELDS, AllOf, Filter, FilterError, Missing, Not, Range, asked_values

__all__ = ["MISSING_NUMBER", "column_text", "text_of_column", "to_milvus"]

MISSING_NUMBER = -1.0
_EVERY, _NONE = "(case_id != '')", "(case_id == '')"


def _byte_text(byte: int) -> str:
    if ord("-") <= byte <= ord("Z") or ord("_") <= byte <= ord("z"):
        return chr(byte)
    return f"{'%' if byte < ord('-') else '[' if byte < ord('_') else '~'}{byte:02X}"


_BYTE_TEXT = [_byte_text(byte) for byte in range(256)]
_ESCAPE = re.compile(rb"[%\[~]([0-9A-F]{2})")


def column_text(value: str | None) -> str:
    """A text as it stands in a column: bytes of UTF-8 from ``-`` to ``Z`` and ``_`` to ``z`` as they are.

    Each of the others is two hexadecimal digits behind ``%``, ``[`` or ``~``, whichever stands in its place among the
    plain ones.
    """
    return "" if value is None else "=" + "".join(_BYTE_TEXT[byte] for byte in value.encode())


def text_of_column(stored: str) -> str | None:
    """The text that :func:`column_text` was given."""
    if not stored:
        return None
    raw = _ESCAPE.sub(lambda escape: bytes.fromhex(escape[1].decode()), stored[1:].encode())
    return raw.decode()


def to_milvus(where: Filter | None) -> str:
    """Compile a filter; empty if every case may be found."""
    return "" if where is None or where.is_empty else _expression(where.condition)


def _expression(node: Any) -> str:
    if isinstance(node, Not):
        return f"(not {_expression(node.condition)})"
    if isinstance(node, AllOf):
        return "(" + " and ".join(_expression(child) for child in node.conditions) + ")" if node.conditions else _EVERY
    if node.field not in FIELDS:
        raise FilterError(f"{node.field!r} is in no column of the store; ask the base, which knows its cases by it")
    if isinstance(node, Missing):
        return f"({node.field} == {_missing(node.field)})"
    if isinstance(node, Range):
        known = f"{node.field} != {_missing(node.field)}"
        return "(" + " and ".join([known, *(f"{node.field} {op} {_bound(bound)}" for op, bound in node.bounds)]) + ")"
    values = asked_values(node)
    if not values:
        return _NONE
    if node.field in NUMBERS:
        listed = ", ".join(_number(float(value)) for value in values)
        return f"({node.field} != {MISSING_NUMBER} and {node.field} in [{listed}])"
    if node.field not in TREES:
        return f"({_in(node.field, values)})"
    asked = below(node.field, values)
    ranges = [f"({node.field} >= {_text(path)} and {node.field} < {_text(after(path))})" for path in asked.paths]
    return f"({' or '.join([_in(node.field, asked.values), *ranges])})"


def _in(field: str, values: Sequence[Any]) -> str:
    return f"{field} in [{', '.join(map(_text, values))}]"


def _text(value: Any) -> str:
    return repr(column_text(str(value)))


def _missing(field: str) -> str:
    return str(MISSING_NUMBER) if field in NUMBERS else "''"


def _bound(bound: float | datetime.date) -> str:
    """A day stands as ISO text, whose order is that of time."""
    return _text(bound.isoformat()) if isinstance(bound, datetime.date) else _number(bound)


def _number(value: float) -> str:
    """All digits of a finite number, without an exponent; beyond any value only the side matters."""
    exact = format(Decimal(math.copysign(min(abs(value), 1e6), value)), "f")
    return exact if "." in exact else f"{exact}.0"
