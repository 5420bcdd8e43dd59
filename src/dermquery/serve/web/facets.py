"""What the hits can be narrowed to: the values that cases have, each with how many would be left."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass

from dermquery.answer.language import _
from dermquery.answer.words import TITLES, upper_first, value_title
from dermquery.data.checklist import CRITERIA
from dermquery.serve.service import SearchService
from dermquery.serve.web.address import CHOSEN_FIELDS, Address, clause
from dermquery.store.where import Written

__all__ = ["Facet", "FacetValue", "Facets", "facets_of"]

_MOST_VALUES = 40


@dataclass(frozen=True)
class FacetValue:
    """A value: its condition, what excludes it, how many cases have it, and what is asked of it."""

    title: str
    only: str
    excluded: str
    count: int
    asked: str


@dataclass(frozen=True)
class Facet:
    """A field with its values, most frequent first."""

    name: str
    title: str
    values: tuple[FacetValue, ...]
    is_finding: bool

    @property
    def asks(self) -> bool:
        """Whether something is asked of it."""
        return any(value.asked for value in self.values)


@dataclass(frozen=True)
class Facets:
    """What can be asked.

    Attributes:
        fields: those with more than one value; others could change nothing.
        ages, days: whether any case has an age, a date.
        others: conditions of the address that are in none of these.
    """

    fields: tuple[Facet, ...]
    ages: bool
    days: bool
    others: tuple[str, ...]


def facets_of(service: SearchService, address: Address) -> Facets:
    """Count what is left for every value, given all conditions on other fields.

    Raises:
        FilterError: a condition cannot be read.
    """
    fields = []
    for name in (*CHOSEN_FIELDS, *CRITERIA):
        whole = service.facts.counts(name)
        if sum(value is not None for value in whole) < 2:
            continue
        clauses = address.clauses(without=name)
        left = service.base.store.value_counts(name, service.base.in_columns(Written(clauses))) if clauses else whole
        fields.append(_facet(name, whole, left, address))
    known = {condition for facet in fields for value in facet.values for condition in (value.only, value.excluded)}
    others = [c for c in address.where if c not in known and not c.startswith(("age>=", "age<=", "date>=", "date<="))]
    ages, days = (any(value is not None for value in service.facts.counts(name)) for name in ("age", "date"))
    return Facets(tuple(fields), ages, days, tuple(others))


def _facet(
    name: str, whole: Mapping[str | float | None, int], left: Mapping[str | float | None, int], address: Address
) -> Facet:
    finding = name in CRITERIA
    found = []
    for value in whole:
        if value is None:
            continue
        only, excluded = clause(name, str(value)), clause(name, str(value), excluded=True)
        asked = "only" if only in address.where else "not" if excluded in address.where else ""
        found.append(FacetValue(value_title(name, value), only, excluded, left.get(value, 0), asked))
    shown = [value for place, value in enumerate(found) if place < _MOST_VALUES or value.asked]
    return Facet(name, upper_first(_(CRITERIA[name].title)) if finding else _(TITLES[name]), tuple(shown), finding)
