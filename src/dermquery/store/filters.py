"""Conditions on cases: one typed tree, read from the command line, checked in Python or compiled for a store.

In a hierarchy (:mod:`dermquery.data.vocabulary.trees`) a value is a place, and asked for by any place above it too.
Logic is two-valued: a value that was not recorded equals nothing, so ``Equals`` on it is False and ``Not(Equals)``
True. :func:`dermquery.store.matching.matches` defines the meaning, and every compiler must agree with it.
"""

from __future__ import annotations

import datetime
from collections.abc import Callable, Collection
from typing import Annotated, Any, Literal

from pydantic import AfterValidator, BaseModel, ConfigDict, Field, model_validator

from dermquery.data.case import CASE_FIELDS, NUMBERS, Kind

__all__ = [
    "DAYS",
    "EXTRA",
    "FIELDS",
    "LONGEST_VALUE",
    "MOST_LEAVES",
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
    "asked_values",
    "check_leaves",
    "iso_day",
    "without_extra",
    "without_fields",
]

FIELDS: tuple[str, ...] = tuple(name for name, field in CASE_FIELDS.items() if field.kind is not Kind.PROSE)
"""What can be asked for: the columns of the case table that describe a case, its free text and extras left out."""
DAYS: tuple[str, ...] = tuple(name for name, field in CASE_FIELDS.items() if field.kind is Kind.DAY)
"""Names of the fields that hold days."""
EXTRA = "extra."
"""Before the name of a column that the project does not know, which its table had beside the case's own fields."""


def _known(name: str) -> str:
    if name not in FIELDS:
        raise ValueError(f"unknown field {name!r}; use one of: {', '.join(FIELDS)}")
    return name


def _askable(name: str) -> str:
    return name if name.startswith(EXTRA) and name != EXTRA else _known(name)


def _ordered(name: str) -> str:
    if name not in (*NUMBERS, *DAYS):
        raise ValueError(f"{name!r} has no order; ask for a range of one of: {', '.join((*NUMBERS, *DAYS))}")
    return name


FieldName = Annotated[str, AfterValidator(_known), Field(json_schema_extra={"enum": list(FIELDS)})]
_Asked = Annotated[
    str,
    AfterValidator(_askable),
    Field(max_length=200, json_schema_extra={"anyOf": [{"enum": list(FIELDS)}, {"pattern": r"^extra\..+"}]}),
]
"""A field, or a column of a table's own behind ``extra.``."""
_Ordered = Annotated[str, AfterValidator(_ordered), Field(json_schema_extra={"enum": [*NUMBERS, *DAYS]})]
_MAX_DEPTH, _MAX_VALUES = 16, 1000
MOST_LEAVES = 2000
"""Values and other conditions of a filter that somebody sends; a store checks each of them for every case."""
LONGEST_VALUE = 1000
"""Characters of a value to compare with."""


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
_Bound = _Number | datetime.date
Value = _Text | _Number


def _check(field: str, value: str | float) -> None:
    if field in NUMBERS:
        if isinstance(value, str):
            raise ValueError(f"{field} is a number, not the text {value!r}")
        return
    if not isinstance(value, str):
        # ValueError on purpose: pydantic turns it into a validation error, a TypeError would escape as it is.
        raise ValueError(  # noqa: TRY004
            f"{field} holds text; write {str(value)!r} in place of the number {value}"
        )
    if field in DAYS:
        iso_day(value)
    legal = () if field.startswith(EXTRA) else CASE_FIELDS[field].values
    if legal and value not in legal:
        raise ValueError(f"unknown value {value!r} for {field}; use one of: {', '.join(legal)}")


class _Node(BaseModel):
    model_config = ConfigDict(frozen=True, extra="forbid")


class Equals(_Node):
    """The field was recorded and has this value."""

    kind: Literal["equals"] = "equals"
    field: _Asked
    value: Value

    @model_validator(mode="after")
    def _typed(self) -> Equals:
        _check(self.field, self.value)
        return self


class OneOf(_Node):
    """The field was recorded and has one of these values; of none, nothing matches."""

    kind: Literal["one_of"] = "one_of"
    field: _Asked
    values: Annotated[tuple[Value, ...], Field(max_length=_MAX_VALUES)]

    @model_validator(mode="after")
    def _typed(self) -> OneOf:
        for value in self.values:
            _check(self.field, value)
        return self


class Range(_Node):
    """A number or a day was recorded and lies within the bounds that are given."""

    kind: Literal["range"] = "range"
    field: _Ordered = "age"
    ge: _Bound | None = None
    gt: _Bound | None = None
    le: _Bound | None = None
    lt: _Bound | None = None

    @model_validator(mode="after")
    def _typed(self) -> Range:
        for bound in (self.ge, self.gt, self.le, self.lt):
            if bound is not None and isinstance(bound, datetime.date) != (self.field in DAYS):
                raise ValueError(f"the bounds of {self.field} are {'days' if self.field in DAYS else 'numbers'}")
        return self

    @property
    def bounds(self) -> list[tuple[str, float | datetime.date]]:
        """The given bounds with their operators."""
        pairs = ((">=", self.ge), (">", self.gt), ("<=", self.le), ("<", self.lt))
        return [(operator, bound) for operator, bound in pairs if bound is not None]


class Missing(_Node):
    """The field was not recorded."""

    kind: Literal["missing"] = "missing"
    field: _Asked


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
        level = _children(level)
    return depth


def check_leaves(condition: Any) -> None:
    """Refuse conditions that ask for too much; what the service itself leaves out of an answer does not count.

    Raises:
        FilterError: more than :data:`MOST_LEAVES` leaves, or a value of more than :data:`LONGEST_VALUE` characters.
    """
    leaves, level = 0, [condition]
    while level and leaves <= MOST_LEAVES:
        for node in level:
            values = asked_values(node) if isinstance(node, Equals | OneOf) else ()
            leaves += len(values) or not isinstance(node, OneOf | Not | AllOf)
            if any(isinstance(value, str) and len(value) > LONGEST_VALUE for value in values):
                raise FilterError(f"a value of {node.field} has more than {LONGEST_VALUE:,} characters; shorten it")
        level = _children(level)
    if leaves > MOST_LEAVES:
        raise FilterError(
            f"the filter has more than {MOST_LEAVES:,} values and conditions; ask for fewer, or in several searches"
        )


def _children(level: list[Any]) -> list[Any]:
    return [
        child
        for n in level
        for child in ((n.condition,) if isinstance(n, Not) else n.conditions if isinstance(n, AllOf) else ())
    ]


def _fields(node: Any) -> list[str]:
    if isinstance(node, Not):
        return _fields(node.condition)
    if isinstance(node, AllOf):
        return [name for child in node.conditions for name in _fields(child)]
    return [node.field]


def asked_values(node: Equals | OneOf) -> tuple[Any, ...]:
    """The values of which a field must have one."""
    return (node.value,) if isinstance(node, Equals) else node.values


def iso_day(value: str) -> datetime.date:
    """A day written as 2024-03-31; ValueError for any other form, also a legal one."""
    try:
        day = datetime.date.fromisoformat(value)
    except ValueError as error:
        raise ValueError(f"{value!r} is no day; write it as 2024-03-31") from error
    if day.isoformat() != value:
        raise ValueError(f"{value!r} is no day in the one form that is compared; write it as {day.isoformat()}")
    return day


def without_fields(where: Filter, lacking: Collection[str]) -> Filter:
    """The same filter for a store without columns for the fields ``lacking``, in which they were recorded for no case.

    A base that was written before a field was declared has no column for it.
    """
    return where if set(lacking).isdisjoint(where.fields) else Filter(condition=_without(where.condition, lacking))


def _without(node: Any, lacking: Collection[str]) -> Any:
    if isinstance(node, Not):
        return Not(condition=_without(node.condition, lacking))
    if isinstance(node, AllOf):
        return AllOf(conditions=tuple(_without(child, lacking) for child in node.conditions))
    if node.field not in lacking:
        return node
    return AllOf() if isinstance(node, Missing) else OneOf(field="case_id", values=())  # of no values, none is one


def without_extra(node: Any, instead: Callable[[Any], Any]) -> Any:
    """A condition tree in which something else stands for each condition on an extra column."""
    if isinstance(node, Not):
        return Not(condition=without_extra(node.condition, instead))
    if isinstance(node, AllOf):
        return AllOf(conditions=tuple(without_extra(child, instead) for child in node.conditions))
    return instead(node) if node.field.startswith(EXTRA) else node
