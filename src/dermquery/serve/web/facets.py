"""What the hits can be narrowed to: the values that cases have, each with how many would be left."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterator, Mapping
from dataclasses import dataclass

from dermquery.answer.language import _
from dermquery.answer.words import TITLES, upper_first, value_title
from dermquery.data.case import CASE_FIELDS, Kind
from dermquery.data.checklist import CRITERIA
from dermquery.data.vocabulary.trees import LEVEL, TREES
from dermquery.serve.service import SearchService
from dermquery.serve.web.address import CHOSEN_FIELDS, RANGES, Address, clause
from dermquery.store.where import Written

__all__ = ["Facet", "FacetValue", "Facets", "RangeFacet", "facets_of"]

_MOST_VALUES = 40
_Counts = Mapping[str | float | None, int]


@dataclass(frozen=True)
class FacetValue:
    """A value: its condition, what excludes it, how many cases have it, and what is asked of it.

    Attributes:
        depth: of a place in a hierarchy, how many of the shown places it lies below.
    """

    title: str
    only: str
    excluded: str
    count: int
    asked: str
    depth: int = 0


@dataclass(frozen=True)
class Facet:
    """A field with its values, most frequent first."""

    name: str
    title: str
    values: tuple[FacetValue, ...]
    is_finding: bool


@dataclass(frozen=True)
class RangeFacet:
    """A number or a day that is asked for by a least and a greatest value; ``most`` is a number's greatest legal."""

    name: str
    title: str
    is_day: bool
    most: float


@dataclass(frozen=True)
class Facets:
    """What can be asked.

    Attributes:
        fields: those with more than one value; others could change nothing.
        ranges: those of which any case has a value.
        others: conditions of the address that are in none of these.
    """

    fields: tuple[Facet, ...]
    ranges: tuple[RangeFacet, ...]
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
    ranges = tuple(
        RangeFacet(name, _(TITLES[name]), CASE_FIELDS[name].kind is Kind.DAY, CASE_FIELDS[name].most)
        for name in RANGES
        if any(value is not None for value in service.facts.counts(name))
    )
    return Facets(tuple(fields), ranges, address.others(known))


def _facet(name: str, whole: _Counts, left: _Counts, address: Address) -> Facet:
    places = _places(name, whole, left) if name in TREES else [(v, left.get(v, 0), 0) for v in whole if v is not None]
    found = []
    for value, count, depth in places:
        only, excluded = clause(name, str(value)), clause(name, str(value), excluded=True)
        asked = "only" if only in address.where else "not" if excluded in address.where else ""
        found.append(FacetValue(_title(name, str(value)), only, excluded, count, asked, depth))
    shown = [value for place, value in enumerate(found) if place < _MOST_VALUES or value.asked]
    title = upper_first(_(CRITERIA[name].title)) if name in CRITERIA else _(TITLES[name])
    return Facet(name, title, tuple(shown), name in CRITERIA)


def _title(name: str, value: str) -> str:
    """The value for people, of a path its last place."""
    return value_title(name, value.rpartition(LEVEL)[2] if name == "diagnosis_path" else value)


def _places(name: str, whole: _Counts, left: _Counts) -> list[tuple[str, int, int]]:
    """Every place at or below which there are cases, with how many are left and its depth, each above those below it.

    A place that has nothing but one place below it is passed over.
    """
    total, remaining, below = Counter[str](), Counter[str](), dict[str, list[str]]()
    for value, count in whole.items():
        lineage = () if value is None else TREES[name].lineage(str(value))
        for above, place in zip(("", *lineage), lineage, strict=False):
            if place not in below.setdefault(above, []):
                below[above].append(place)
            total[place] += count
            remaining[place] += left.get(value, 0)

    def listed(above: str, depth: int) -> Iterator[tuple[str, int, int]]:
        for place in sorted(below.get(above, ()), key=lambda place: (-total[place], place)):
            only = below.get(place, [])
            passed = len(only) == 1 and total[only[0]] == total[place]
            if not passed:
                yield place, remaining[place], depth
            yield from listed(place, depth if passed else depth + 1)

    return list(listed("", 0))
