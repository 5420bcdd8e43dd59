"""Lesions and patients that must not be found, by ids that belong to their source.

``0``, ``clinic A:0``, or ``:0`` of the cases without a source.
"""

from __future__ import annotations

from collections.abc import Collection, Sequence
from typing import Any, Literal

from dermquery.store.exact_order import in_parts
from dermquery.store.filters import AllOf, Equals, Filter, FilterError, Missing, Not, OneOf
from dermquery.store.protocol import CaseReader

__all__ = ["excluding"]

_Field = Literal["case_id", "lesion_id", "patient_id"]
_LOOKED_AT = 100_000
"""Cases of the lesions and patients that are left out."""


def excluding(where: Filter, store: CaseReader, *ids: str | Collection[str] | None) -> Filter:
    """A filter that also leaves out cases, lesions and patients, in this order, by one id or several.

    Raises:
        FilterError: a lesion's or a patient's id is that of several sources; ``SOURCE:ID`` says whose is meant.
    """
    fields: tuple[_Field, ...] = ("case_id", "lesion_id", "patient_id")
    for field, given in zip(fields, ids, strict=True):
        chosen = (given,) if isinstance(given, str) else tuple(given or ())
        parts = tuple(Not(condition=each) for each in _of(field, chosen, store)) if chosen else ()
        if parts:
            where = where.also(*(parts if len(parts) == 1 else (AllOf(conditions=parts),)))
    return where


def _of(field: _Field, ids: Sequence[str], store: CaseReader) -> list[Any]:
    """Conditions on some cases, or on those of some lesions or patients."""
    if field == "case_id":
        return [OneOf(field=field, values=part) for part in in_parts(ids)]
    # A server counts values by reading every row, so it is asked only where an id may name its source.
    counted = store.value_counts("source") if any(":" in written for written in ids) else {}
    sources = ["" if source is None else str(source) for source in counted]
    there = _sources_of(field, ids, store)
    whole: list[str] = []
    found: list[Any] = []
    for written in ids:
        if len(several := there.get(written, ())) > 1:
            raise _ambiguous(field, written, sorted(several, key=str))
        source = max((name for name in sources if written.startswith(f"{name}:")), key=len, default=None)
        if source is None or several:
            whole.append(written)
        else:
            own = Equals(field=field, value=written[len(source) + 1 :])
            whose = Equals(field="source", value=source) if source else Missing(field="source")
            found.append(AllOf(conditions=(own, whose)))
    return [*(OneOf(field=field, values=part) for part in in_parts(whole)), *found]


def _sources_of(field: _Field, ids: Sequence[str], store: CaseReader) -> dict[str, set[str | None]]:
    """By id, the sources that have cases of it; one for an id that is the same everywhere."""
    there: dict[str, set[str | None]] = {}
    for part in in_parts(ids):
        for row in store.page(Filter(condition=OneOf(field=field, values=part)), limit=_LOOKED_AT):
            value = str(getattr(row.case, field))
            there.setdefault(value, set()).add(row.case.source if row.case.owns(value) else None)
    return there


def _ambiguous(field: _Field, written: str, sources: Sequence[str | None]) -> FilterError:
    what = field.partition("_")[0]
    named = " and ".join("no source" if source is None else repr(source) for source in sources)
    first = next(source for source in sources if source is not None)
    rest = f", :{written} for that of no source" if None in sources else ""
    return FilterError(
        f"{what} {written!r} is one of {named}, each its own; write {first}:{written} for that of {first!r}{rest}"
    )
