"""Lesions and patients that must not be found, by ids that belong to their source.

``0``, ``clinic A:0``, or ``:0`` of the cases without a source.
"""

from __future__ import annotations

from collections.abc import Collection, Sequence
from typing import Any, Literal

from dermquery.data.meant import did_you_mean
from dermquery.store.exact_order import in_parts
from dermquery.store.filters import AllOf, Equals, Filter, FilterError, Missing, Not, OneOf
from dermquery.store.protocol import CaseReader

__all__ = ["excluding"]

_Field = Literal["case_id", "lesion_id", "patient_id"]
_FIELDS: tuple[_Field, ...] = ("case_id", "lesion_id", "patient_id")
_SHOWN = 12
_LOOKED_AT = 100_000
"""Cases of the lesions and patients that are left out."""


def excluding(where: Filter, store: CaseReader, *ids: str | Collection[str] | None) -> Filter:
    """A filter that also leaves out cases, lesions and patients, in this order, by one id or several.

    Raises:
        FilterError: an id is nobody's, or a lesion's or a patient's that of several sources, of which ``SOURCE:ID``
            says whose is meant.
    """
    for field, given in zip(_FIELDS, ids, strict=True):
        chosen = (given,) if isinstance(given, str) else tuple(given or ())
        parts = tuple(Not(condition=each) for each in _of(field, chosen, store)) if chosen else ()
        if parts:
            where = where.also(*(parts if len(parts) == 1 else (AllOf(conditions=parts),)))
    return where


def _of(field: _Field, ids: Sequence[str], store: CaseReader) -> list[Any]:
    """Conditions on some cases, or on those of some lesions or patients."""
    there = _sources_of(field, ids, store)
    # A server counts values by reading every row, so it is asked only where an id may name its source.
    may_name = field != "case_id" and any(":" in written and written not in there for written in ids)
    sources = _sources(store) if may_name else []
    named = {
        written: max((s for s in sources if written.startswith(f"{s}:")), key=len, default=None) for written in ids
    }
    own = {written: written if source is None else written[len(source) + 1 :] for written, source in named.items()}
    of_sources = _sources_of(field, [own[written] for written in ids if named[written] is not None], store)
    whole: list[str] = []
    found: list[Any] = []
    for written in ids:
        if field != "case_id" and len(several := there.get(written, ())) > 1:
            raise _ambiguous(field, written, sorted(several, key=str))
        if written in there:
            whole.append(written)
            continue
        source, asked = named[written], _asked(field, own[written], named[written])
        if (source or None) not in of_sources.get(own[written], ()) and not store.count(Filter(condition=asked)):
            raise _unfound(field, written, source, store)
        found.append(asked)
    return [*(OneOf(field=field, values=part) for part in in_parts(whole)), *found]


def _asked(field: _Field, own: str, source: str | None) -> Any:
    """The condition on an id, of one source ("" for none) if it is said."""
    value = Equals(field=field, value=own)
    if source is None:
        return value
    return AllOf(conditions=(value, Equals(field="source", value=source) if source else Missing(field="source")))


def _sources(store: CaseReader) -> list[str]:
    return ["" if source is None else str(source) for source in store.value_counts("source")]


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
    named = _listed(sources)
    first = next(source for source in sources if source is not None)
    rest = f", :{written} for that of no source" if None in sources else ""
    return FilterError(
        f"{what} {written!r} is one of {named}, each its own; write {first}:{written} for that of {first!r}{rest}"
    )


def _unfound(field: _Field, written: str, source: str | None, store: CaseReader) -> FilterError:
    """That an id is nobody's, and whose it would be otherwise; ids themselves are not listed, as for conditions."""
    what = field.partition("_")[0]
    own = written if source is None else written[len(source) + 1 :]
    if elsewhere := _sources_of(field, [own], store).get(own):
        whose = _listed(sorted(elsewhere, key=str))
        return FilterError(f"nothing to leave out: there is no {what} {written!r}; {own!r} is of {whose}")
    kinds = (each for each in _FIELDS if store.count(Filter(condition=Equals(field=each, value=own))))
    if other := next(kinds, "").partition("_")[0]:
        return FilterError(
            f"nothing to leave out: there is no {what} {written!r}, but {own!r} is a {other}; exclude that instead"
        )
    sources = [name for name in _sources(store) if name]
    if source is None and ":" in written and field != "case_id" and sources:
        typed = written.partition(":")[0]
        shown = ", ".join(sources[:_SHOWN]) + (f" and {len(sources) - _SHOWN} more" if len(sources) > _SHOWN else "")
        hint = did_you_mean(typed, sources)
        return FilterError(
            f"nothing to leave out: there is no {what} {written!r}, nor a source {typed!r}; there are: {shown}{hint}"
        )
    return FilterError(
        f"nothing to leave out: there is no {what} {written!r}; write the id as a hit shows it, or leave it out"
    )


def _listed(sources: Sequence[str | None]) -> str:
    return " and ".join("no source" if source is None else repr(source) for source in sources)
