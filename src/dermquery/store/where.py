"""Conditions as they are written on the command line: ``site=back``, ``age>=40``, ``date<2024-03-31``."""

from __future__ import annotations

import datetime
import math
import re
from collections.abc import Collection, Iterable, Sequence
from typing import Any

from pydantic import ValidationError

from dermquery.store.exact_order import in_parts
from dermquery.store.filters import FIELDS, AllOf, Equals, Filter, FilterError, Missing, Not, OneOf, Range, iso_day

__all__ = ["as_filter", "excluding", "parse_where"]

MISSING_WORD = "missing"
"""On the command line, ``site=missing`` asks for the cases without a recorded site."""
_BOUNDS = {">=": "ge", ">": "gt", "<=": "le", "<": "lt"}
_CLAUSE = re.compile(r"\s*(?P<field>\w+)\s*(?P<op>==|!=|>=|<=|=|>|<)(?P<value>.*)", re.DOTALL)


def as_filter(where: Filter | Sequence[str] | None) -> Filter:
    """A filter from what callers pass: a filter, clauses such as ``"site=back"``, or None for every case."""
    if isinstance(where, str):
        return parse_where([where])
    return where if isinstance(where, Filter) else parse_where(where or ())


def parse_where(clauses: Iterable[str]) -> Filter:
    """Read clauses of the command line, all of which must hold.

    ``site=back``, ``site=back,chest`` (one of), ``diagnosis!=nv`` (also true where it was not recorded), ``age>=40``,
    ``age<60``, ``site=missing`` and ``site!=missing``. Spaces around field and value do not count.

    Raises:
        FilterError: for a clause of another form, an unknown field or an illegal value, naming what is legal.
    """
    return Filter(condition=AllOf(conditions=tuple(_parse(clause) for clause in clauses)))


def excluding(where: Filter, *ids: str | Collection[str] | None) -> Filter:
    """A filter that also leaves out cases, lesions and patients, in this order, by one id or several."""
    fields: tuple[Any, ...] = ("case_id", "lesion_id", "patient_id")
    for field, values in zip(fields, ids, strict=True):
        chosen = (values,) if isinstance(values, str) else tuple(values or ())
        parts = tuple(Not(condition=OneOf(field=field, values=part)) for part in in_parts(chosen))
        if parts:
            where = where.also(*(parts if len(parts) == 1 else (AllOf(conditions=parts),)))
    return where


def _parse(clause: str) -> Equals | OneOf | Range | Missing | Not:
    match = _CLAUSE.fullmatch(clause)
    if match is None:
        raise FilterError(f"cannot read the condition {clause!r}; write for example site=back, age>=40, diagnosis!=nv")
    field, op, written = match["field"], match["op"], match["value"].strip()
    if field not in FIELDS:
        raise FilterError(f"unknown field {field!r} in {clause!r}; use one of: {', '.join(FIELDS)}")
    if not written:
        raise FilterError(f"no value in {clause!r}; write {field}={MISSING_WORD} for the cases without one")
    if op in _BOUNDS:
        if field not in ("age", "date"):
            raise FilterError(f"{op} compares ages and dates, and {field!r} in {clause!r} holds text; use = or !=")
        bound = _number(written) if field == "age" else _written_day(written)
        return Range.model_validate({"field": field, _BOUNDS[op]: bound})
    positive = _one_of(field, written)
    return Not(condition=positive) if op == "!=" else positive


def _one_of(field: Any, written: str) -> Equals | OneOf | Missing:
    if written == MISSING_WORD:
        return Missing(field=field)
    parts = [part.strip() for part in written.split(",")]
    if not all(parts):
        raise FilterError(f"empty value between the commas of {field}={written}; remove the extra comma")
    values = tuple(_number(part) if field == "age" else part for part in parts)
    try:
        return Equals(field=field, value=values[0]) if len(values) == 1 else OneOf(field=field, values=values)
    except ValidationError as error:
        reasons = dict.fromkeys(e["msg"].removeprefix("Value error, ") for e in error.errors())
        raise FilterError(f"in {field}={written}: {'; '.join(reasons)}") from error


def _number(written: str) -> float:
    try:
        number = float(written)
    except ValueError:
        number = math.nan
    if not math.isfinite(number):
        raise FilterError(f"age is a number of years, not {written!r}; write for example age>=40")
    return number


def _written_day(written: str) -> datetime.date:
    try:
        return iso_day(written)
    except ValueError as error:
        raise FilterError(str(error)) from error
