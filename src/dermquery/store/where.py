"""Conditions as they are written on the command line: ``site=back``, ``age>=40``, ``date<2024-03-31``."""

from __future__ import annotations

import re
from collections.abc import Collection, Iterable, Sequence
from dataclasses import dataclass
from typing import Any, Literal, Protocol

from pydantic import ValidationError

from dermquery.data.case import CASE_FIELDS, NUMBERS, Case, Kind
from dermquery.data.checklist import CRITERIA
from dermquery.data.meant import did_you_mean
from dermquery.data.sources.column_names import column_named
from dermquery.data.vocabulary.diagnoses import DIAGNOSES
from dermquery.data.vocabulary.sites import SITES
from dermquery.data.vocabulary.trees import TREES
from dermquery.store.diagnoses_asked import DIAGNOSED, any_of, with_diagnosis
from dermquery.store.filters import (
    DAYS,
    EXTRA,
    FIELDS,
    LONGEST_VALUE,
    MOST_LEAVES,
    AllOf,
    Equals,
    Filter,
    FilterError,
    Missing,
    Not,
    OneOf,
    Range,
    check_leaves,
)
from dermquery.store.same_meaning import check_one_place, in_their_words, meant, places_like, values_like
from dermquery.store.written_values import check_one_number, day_asked, has_decimal_comma, number_asked

__all__ = ["Known", "Written", "apart_from", "as_filter", "of_same", "parse_where"]

MISSING_WORD = "missing"
"""On the command line, ``site=missing`` asks for the cases without a recorded site."""
_BOUNDS = {">=": "ge", ">": "gt", "<=": "le", "<": "lt"}
_CLAUSE = re.compile(
    r"""\s*+(?:"(?P<quoted>[^"]++)"\s*+|(?P<field>[^=<>!"]++))(?P<op>==|!=|>=|<=|=|>|<)(?P<value>.*)""", re.DOTALL
)
_ITEM = re.compile(r"""\s*(?:"(?P<double>(?:[^"]|"")*)"|'(?P<single>[^']*)'|(?P<plain>[^,]*))\s*(?:,|\Z)""", re.DOTALL)
_SHOWN = 12
_LONGEST = MOST_LEAVES * (LONGEST_VALUE + 4)
"""Characters of a clause, with quotes and commas."""
_NOT_ASKED = frozenset({"image", "text"})
"""Columns of a case table that nobody can ask for."""


class Known(Protocol):
    """What the cases of a base have; see :class:`~dermquery.store.known_values.KnownValues`."""

    def alike(self, field: str, written: str) -> tuple[str, ...]:
        """The values of a field that are this one but for capitals."""

    def values(self, field: str) -> Collection[str]:
        """Every value of a field of words or of an extra column."""

    def extras(self) -> Collection[str]:
        """Names of the columns that the project does not know."""


@dataclass(frozen=True)
class Written:
    """A filter as it was sent: clauses that are read by what a base holds, and a tree of conditions; all must hold.

    Attributes:
        clauses: such as ``"site=back"``.
        must: findings that a case must have, such as ``"vascular_structures=arborizing"``.
        tree: conditions.

    Raises:
        FilterError: for a clause of no known form.
    """

    clauses: tuple[str, ...] = ()
    must: tuple[str, ...] = ()
    tree: Any = None

    def __post_init__(self) -> None:
        """Find what is wrong whatever the base, before anything is encoded."""
        self.read(None)

    def read(self, known: Known | None) -> Filter:
        """The filter for a base."""
        tree = self.tree
        if tree is not None:
            check_leaves(tree)
            tree = tree if known is None else in_their_words(tree, known)
        where = parse_where([*self.clauses, *map(_finding, self.must)], known)
        try:
            where = where if tree is None else where.also(tree)
        except FilterError:
            raise
        except ValueError as error:  # too deep together
            raise FilterError(str(error)) from error
        check_leaves(where.condition)
        return where


def as_filter(where: Filter | Written | Sequence[str] | None, known: Known | None = None) -> Filter:
    """A filter from what callers pass: a filter, clauses such as ``"site=back"``, or None for every case."""
    if isinstance(where, Filter):
        return where
    if isinstance(where, Written):
        return where.read(known)
    return parse_where([where] if isinstance(where, str) else where or (), known)


def parse_where(clauses: Iterable[str], known: Known | None = None) -> Filter:
    """Read clauses of the command line, all of which must hold.

    ``site=back``, ``site=back,chest`` (one of), ``site="head, neck"``, ``diagnosis!=nv`` (also true where it was not
    recorded), ``age>=40``, ``age<60``, ``site=missing`` and ``site!=missing``. Spaces around field and value do not
    count, quotes keep commas and the word ``missing``. A field may also be a column that the project does not know,
    by its own name or behind ``extra.``.

    Args:
        clauses: the conditions.
        known: what there is to find. With it, a whole value that cases have is one value, commas and all; capitals do
            not matter; and a value that no case has is an error, which says what there is.

    Values are looked for by what they mean (:mod:`.same_meaning`): ``sex=vrouw`` finds "female", ``diagnosis=mel`` also
    another clinic's "Melanom". Numbers and days may be written as in tables: ``breslow_mm>=0,7``.

    Of a site and a diagnosis path any place of the hierarchy can be asked for, by its name or another spelling of it,
    and finds what is below it; so does a ``diagnosis`` (:mod:`.diagnoses_asked`).

    Raises:
        FilterError: for a clause of another form, an unknown field or an illegal value, naming what is legal.
    """
    where = Filter(condition=AllOf(conditions=tuple(_parse(clause, known) for clause in clauses)))
    check_leaves(where.condition)
    return where


def apart_from(case: Case) -> tuple[Not, ...]:
    """Conditions that leave out a case, its lesion and its patient."""
    parts = [Equals(field="case_id", value=case.case_id), of_same(case, "lesion_id"), of_same(case, "patient_id")]
    return tuple(Not(condition=part) for part in parts if part is not None)


def of_same(case: Case, field: Literal["lesion_id", "patient_id"]) -> Equals | AllOf | None:
    """The condition on the cases of a case's lesion or patient, whose id is its source's own; None if it is unknown."""
    of = getattr(case, field)
    if not of:
        return None
    same = Equals(field=field, value=of)
    return AllOf(conditions=(same, Equals(field="source", value=str(case.source)))) if case.owns(of) else same


def _finding(clause: str) -> str:
    """The clause for a finding that is demanded.

    Raises:
        FilterError: it is none of the checklist.
    """
    name = clause.partition("=")[0].strip()
    if name not in CRITERIA or "=" not in clause or "!" in name:
        raise FilterError(
            f"cannot demand {clause!r}; write for example vascular_structures=arborizing, with one of: "
            f"{', '.join(CRITERIA)}{did_you_mean(name, CRITERIA)}"
        )
    return clause


def _parse(clause: str, known: Known | None) -> Equals | OneOf | Range | Missing | Not | AllOf:
    if len(clause) > _LONGEST:
        raise FilterError(
            f"the condition {clause[:40]!r}… has {len(clause):,} characters; at most {MOST_LEAVES:,} values of "
            f"{LONGEST_VALUE:,} characters can be asked for"
        )
    match = _CLAUSE.fullmatch(clause)
    if match is None or len(match["quoted"] or match["field"]) > LONGEST_VALUE:
        shown = repr(clause) if len(clause) <= LONGEST_VALUE else f"{clause[:40]!r}…"
        raise FilterError(f"cannot read the condition {shown}; write for example site=back, age>=40, diagnosis!=nv")
    op, written = match["op"], match["value"].strip()
    field = _field(match["quoted"] or match["field"], clause, known)
    if not written:
        raise FilterError(f"no value in {clause!r}; write {field}={MISSING_WORD} for the cases without one")
    if op in _BOUNDS:
        if field not in (*NUMBERS, *DAYS):
            ours = column_named(field.removeprefix(EXTRA))
            hint = f". Did you mean {ours!r}?" if field.startswith(EXTRA) and ours in (*NUMBERS, *DAYS) else ""
            raise FilterError(
                f"{op} compares numbers and days, and {field!r} in {clause!r} holds text; use = or !={hint}"
            )
        check_one_number(field, op, written)
        bound = number_asked(field, written) if field in NUMBERS else day_asked(written)
        return Range.model_validate({"field": field, _BOUNDS[op]: bound})
    positive = _one_of(field, written, known)
    return Not(condition=positive) if op == "!=" else positive


def _field(name: str, clause: str, known: Known | None) -> str:
    name = name.strip()
    if name in FIELDS or name.casefold() in FIELDS:
        return name if name in FIELDS else name.casefold()
    column = name.removeprefix(EXTRA)
    if name in _NOT_ASKED:
        raise FilterError(f"unknown field {name!r} in {clause!r}; use one of: {', '.join(FIELDS)}")
    if known is None:  # whether there is such a column is seen when the base is asked
        return f"{EXTRA}{column}"
    extras = list(known.extras())
    same = [other for other in extras if other.casefold() == column.casefold()]
    if column in extras or len(same) == 1:
        return f"{EXTRA}{column if column in extras else same[0]}"
    there = [*FIELDS, *sorted(extras)]
    ours = column_named(column)
    hint = f". Did you mean {ours!r}?" if ours in FIELDS else did_you_mean(name, there)
    raise FilterError(f"unknown field {name!r} in {clause!r}; use one of: {', '.join(there)}{hint}")


def _one_of(field: str, written: str, known: Known | None) -> Equals | OneOf | Missing | Not | AllOf:
    items = _items(field, written, known)
    values = [value for value, quoted in items if quoted or value != MISSING_WORD]
    asked: Equals | OneOf | Not | AllOf | None = None
    if values:
        asked = _asked(field, values, written, known)
    if len(values) == len(items) and asked is not None:
        return asked
    missing = Missing(field=field)
    return missing if asked is None else any_of((missing, asked))


def _asked(field: str, values: Sequence[str], written: str, known: Known | None) -> Equals | OneOf | Not | AllOf:
    """What some values ask for."""
    if field not in DIAGNOSED or known is None:
        return _condition(field, [found for value in values for found in _found(field, value, known)], written)
    each = {value: with_diagnosis(field, value, known) for value in values}
    for value, conditions in each.items():
        if not conditions:
            raise _unfound(field, value, known)
    return any_of([condition for conditions in each.values() for condition in conditions])  # type: ignore[no-any-return]


def _items(field: str, written: str, known: Known | None) -> list[tuple[str, bool]]:
    """The values of a clause, each with whether it is meant as it stands."""
    may_be_one = "," in written and _is_words(field) and len(written) <= LONGEST_VALUE
    if may_be_one and field in DIAGNOSED and ", " in written and DIAGNOSES.named(written):
        return [(written, True)]  # "Nevus, Clark", but "Melanom,SSM" are two
    if known is not None and may_be_one and known.alike(field, written):
        return [(written, True)]
    if has_decimal_comma(field, written):
        return [(written, True)]
    items: list[tuple[str, bool]] = []
    at = 0
    while at <= len(written):
        if len(items) > MOST_LEAVES:
            raise FilterError(f"{field} has more than {MOST_LEAVES:,} values; ask for fewer, or in several searches")
        match = _ITEM.match(written, at)
        assert match is not None  # noqa: S101 - plain text matches anything up to a comma
        double, single = match["double"], match["single"]
        quoted = double is not None or single is not None
        value = double.replace('""', '"') if double is not None else single if single is not None else match["plain"]
        items.append((value if quoted else value.strip(), quoted))
        if match.end() == len(written) and not match[0].endswith(","):
            break
        at = match.end()
    if any(len(value) > LONGEST_VALUE for value, _ in items):
        raise FilterError(f"a value of {field} has more than {LONGEST_VALUE:,} characters; shorten it")
    if not all(value for value, _ in items):
        raise FilterError(f"empty value between the commas of {field}={written}; remove the extra comma")
    return items


def _is_words(field: str) -> bool:
    return field.startswith(EXTRA) or not (CASE_FIELDS[field].is_ordered or CASE_FIELDS[field].values)


def _found(field: str, value: str, known: Known | None) -> tuple[str | float, ...]:
    """The values that a written one stands for.

    Raises:
        FilterError: no case has it.
    """
    if field in NUMBERS:
        return (number_asked(field, value),)
    legal = () if field.startswith(EXTRA) else CASE_FIELDS[field].values
    if legal:
        return tuple(one for one in legal if one.casefold() == value.casefold()) or (value,)
    if field in DAYS:
        return (day_asked(value).isoformat(),)
    if known is None:
        return (value,)
    if field == "site" and (sided := check_one_place(value, known.alike(field, value))):
        return sided
    if found := places_like(field, value, known) if field in TREES else values_like(field, value, known):
        return found
    if not field.startswith(EXTRA) and CASE_FIELDS[field].kind is Kind.ID:
        return (value,)  # whoever asks for an id need not learn the others
    raise _unfound(field, value, known)


def _unfound(field: str, value: str, known: Known) -> FilterError:
    """That no case has a value, and which there are."""
    name = field.removeprefix(EXTRA)
    there = list(known.values(field))
    if not there:
        hint = f"ask for {EXTRA}{name}, a column of the table" if name in known.extras() else "leave the condition out"
        return FilterError(f"no case has a {name}, so none has {value!r}; {hint}")
    shown = ", ".join(f'"{one}"' if "," in one else one for one in there[:_SHOWN])
    more = f" and {len(there) - _SHOWN} more" if len(there) > _SHOWN else ""
    word = SITES.named(value) if field == "site" else meant(field, value)
    said = f"{value!r}" if word in (None, value) else f"{value!r} ({word})"
    group = DIAGNOSES.group(value) if field == "diagnosis" else ""
    wider = f". {value!r} belongs to the group {group!r}, which there is" if group in map(str.casefold, there) else ""
    hint = wider or did_you_mean(value, there)
    return FilterError(f"no case has the {name} {said}; there are: {shown}{more}{hint}")


def _condition(field: str, values: Sequence[str | float], written: str) -> Equals | OneOf:
    try:
        return Equals(field=field, value=values[0]) if len(values) == 1 else OneOf(field=field, values=tuple(values))
    except ValidationError as error:
        reasons = dict.fromkeys(e["msg"].removeprefix("Value error, ") for e in error.errors())
        raise FilterError(f"in {field}={written}: {'; '.join(reasons)}") from error
