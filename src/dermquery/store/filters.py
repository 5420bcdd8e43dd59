"""Conditions on cases: one typed tree, read from the command line, checked in Python or compiled for a store.

Logic is two-valued: a value that was not recorded equals nothing, so ``Equals`` on it is False and ``Not(Equals)``
True. :func:`matches` defines the meaning, and every compiler must agree with it.
"""

from __future__ import annotations

import math
import re
from collections.abc import Iterable, Sequence
from typing import Annotated, Any, Literal, get_args

from pydantic import AfterValidator, BaseModel, ConfigDict, Field, ValidationError, model_validator

from dermquery.data.case import Case
from dermquery.data.checklist import CRITERIA

__all__ = [
    "FIELDS",
    "AllOf",
    "Condition",
    "Equals",
    "FieldName",
    "Filter",
    "FilterError",
    "Missing",
    "Not",
    "OneOf",
    "Range",
    "as_filter",
    "field_value",
    "matches",
    "parse_where",
]

FieldName = Literal[
    "case_id",
    "diagnosis",
    "fine_diagnosis",
    "lesion_id",
    "patient_id",
    "sex",
    "age",
    "site",
    "elevation",
    "pigment_network",
    "streaks",
    "pigmentation",
    "regression_structures",
    "dots_and_globules",
    "blue_whitish_veil",
    "vascular_structures",
]
FIELDS: tuple[str, ...] = get_args(FieldName)
"""What can be asked for: the columns of the case table that describe a case, its free text and extras left out."""

MISSING_WORD = "missing"
"""On the command line, ``site=missing`` asks for the cases without a recorded site."""
_MAX_DEPTH, _MAX_VALUES = 16, 1000
_BOUNDS = {">=": "ge", ">": "gt", "<=": "le", "<": "lt"}
_CLAUSE = re.compile(r"\s*(?P<field>\w+)\s*(?P<op>==|!=|>=|<=|=|>|<)(?P<value>.*)", re.DOTALL)


class FilterError(ValueError):
    """A condition cannot be used; the message names the part at fault and what is legal."""


def _encodable(value: str) -> str:
    try:
        value.encode()
    except UnicodeEncodeError as error:
        raise ValueError(f"{value!r} is not valid Unicode text; remove the character at {error.start}") from error
    return value


_Text = Annotated[str, Field(strict=True), AfterValidator(_encodable)]
_Number = Annotated[float, Field(strict=True, allow_inf_nan=False)]
Value = _Text | _Number


def _check(field: str, value: str | float) -> None:
    if field == "age":
        if isinstance(value, str):
            raise ValueError(f"age is a number of years, not the text {value!r}")
        return
    if not isinstance(value, str):
        # ValueError on purpose: pydantic turns it into a validation error, a TypeError would escape as it is.
        raise ValueError(  # noqa: TRY004
            f"{field} holds text; write {str(value)!r} in place of the number {value}"
        )
    if field in CRITERIA and value not in CRITERIA[field].values:
        raise ValueError(f"unknown value {value!r} for {field}; use one of: {', '.join(CRITERIA[field].values)}")


class _Node(BaseModel):
    model_config = ConfigDict(frozen=True, extra="forbid")


class Equals(_Node):
    """The field was recorded and has this value."""

    kind: Literal["equals"] = "equals"
    field: FieldName
    value: Value

    @model_validator(mode="after")
    def _typed(self) -> Equals:
        _check(self.field, self.value)
        return self


class OneOf(_Node):
    """The field was recorded and has one of these values; of none, nothing matches."""

    kind: Literal["one_of"] = "one_of"
    field: FieldName
    values: Annotated[tuple[Value, ...], Field(max_length=_MAX_VALUES)]

    @model_validator(mode="after")
    def _typed(self) -> OneOf:
        for value in self.values:
            _check(self.field, value)
        return self


class Range(_Node):
    """The age was recorded and lies within the bounds that are given (years)."""

    kind: Literal["range"] = "range"
    field: Literal["age"] = "age"
    ge: _Number | None = None
    gt: _Number | None = None
    le: _Number | None = None
    lt: _Number | None = None


class Missing(_Node):
    """The field was not recorded."""

    kind: Literal["missing"] = "missing"
    field: FieldName


class Not(_Node):
    """The condition does not hold; also true where the value it asks for was not recorded."""

    kind: Literal["not"] = "not"
    condition: Condition


class AllOf(_Node):
    """Every condition holds; of none, everything matches."""

    kind: Literal["all_of"] = "all_of"
    conditions: Annotated[tuple[Condition, ...], Field(max_length=_MAX_VALUES)] = ()


Condition = Annotated[Equals | OneOf | Range | Missing | Not | AllOf, Field(discriminator="kind")]


class Filter(_Node):
    """Which cases may be found. The default lets every case through.

    Attributes:
        condition: the root of the condition tree.
    """

    condition: Condition = AllOf()

    @model_validator(mode="after")
    def _shallow(self) -> Filter:
        if _depth(self.condition) > _MAX_DEPTH:
            raise ValueError(f"conditions are nested deeper than {_MAX_DEPTH}; write them flat with all_of")
        return self

    @property
    def is_empty(self) -> bool:
        """Whether it lets every case through because nothing is asked."""
        return isinstance(self.condition, AllOf) and not self.condition.conditions

    @property
    def fields(self) -> tuple[str, ...]:
        """The fields it asks about, each once, in order."""
        return tuple(dict.fromkeys(_fields(self.condition)))

    def also(self, *conditions: Equals | OneOf | Range | Missing | Not | AllOf) -> Filter:
        """This filter and further conditions, all of which must hold."""
        root = self.condition.conditions if isinstance(self.condition, AllOf) else (self.condition,)
        return Filter(condition=AllOf(conditions=(*root, *conditions)))


Not.model_rebuild()
AllOf.model_rebuild()
Filter.model_rebuild()


def _depth(node: Any) -> int:
    """Levels of a condition tree, found without recursion so that the deepest one can still be refused."""
    depth, level = 0, [node]
    while level:
        depth += 1
        level = [
            child
            for n in level
            for child in ((n.condition,) if isinstance(n, Not) else n.conditions if isinstance(n, AllOf) else ())
        ]
    return depth


def _fields(node: Any) -> list[str]:
    if isinstance(node, Not):
        return _fields(node.condition)
    if isinstance(node, AllOf):
        return [name for child in node.conditions for name in _fields(child)]
    return [node.field]


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
        if field != "age":
            raise FilterError(f"{op} compares numbers, and {field!r} in {clause!r} holds text; use = or !=")
        return Range.model_validate({_BOUNDS[op]: _number(written)})
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


def field_value(case: Case, field: str) -> str | float | None:
    """Value of a field of :data:`FIELDS` in a case, None if it was not recorded."""
    value: str | float | None = case.checklist.get(field) if field in CRITERIA else getattr(case, field)
    return value


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
    if isinstance(node, Equals):
        return value == node.value
    if isinstance(node, OneOf):
        return value in node.values
    age = float(value)
    bounds = ((node.ge, age.__ge__), (node.gt, age.__gt__), (node.le, age.__le__), (node.lt, age.__lt__))
    return all(bound is None or bool(compare(bound)) for bound, compare in bounds)
