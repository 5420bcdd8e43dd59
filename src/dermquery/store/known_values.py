"""The values that a base's cases have, so that a condition written by hand is read by what there is to find."""

from __future__ import annotations

import unicodedata
from collections.abc import Collection, Iterator, Mapping
from functools import cached_property
from typing import Any

from dermquery.data.case import CASE_FIELDS, Kind
from dermquery.store.exact_order import in_parts
from dermquery.store.filters import EXTRA, AllOf, Equals, Filter, FilterError, Missing, Not, OneOf, without_extra
from dermquery.store.protocol import CaseReader

__all__ = ["KnownValues", "folded"]

_MOST_FOUND = 100_000
"""Cases that a condition on an extra column may find: a store gets their ids."""


def folded(value: str) -> str:
    """What two spellings have in common that differ only in capitals or in how their letters are composed."""
    return unicodedata.normalize("NFC", unicodedata.normalize("NFC", value).casefold())


class KnownValues:
    """Looks values up in a store as it is now; a search makes its own.

    What a table had beside the project's own columns is in no column of a store, so all cases are read for that, once.

    Args:
        store: where the cases are.
    """

    def __init__(self, store: CaseReader) -> None:
        self._store = store

    def alike(self, field: str, written: str) -> tuple[str, ...]:
        """The values of a field that are this one but for capitals; none if there are none."""
        if not field.startswith(EXTRA) and CASE_FIELDS[field].kind is Kind.ID:
            there = self._store.count(Filter(condition=Equals(field=field, value=written)))
            return (written,) if there else ()
        return tuple(value for value in self.values(field) if folded(value) == folded(written))

    def values(self, field: str) -> Collection[str]:
        """Every value of a field of words or of an extra column, most frequent first."""
        if field.startswith(EXTRA):
            found = self._extra_columns.get(field.removeprefix(EXTRA), {})
            return sorted(found, key=lambda value: -len(found[value]))
        return [str(value) for value in self._store.value_counts(field) if value is not None]

    def extras(self) -> Collection[str]:
        """Names of the extra columns."""
        return self._extra_columns.keys()

    def in_columns(self, where: Filter) -> Filter:
        """The same filter with each condition on an extra column as the ids of the cases that satisfy it.

        Raises:
            FilterError: they are too many.
        """
        if not any(field.startswith(EXTRA) for field in where.fields):
            return where
        return Filter(condition=without_extra(where.condition, self._ids))

    def _ids(self, node: Equals | OneOf | Missing) -> Any:
        """The condition on ids for a condition on an extra column."""
        column = self._extra_columns.get(node.field.removeprefix(EXTRA), {})
        wanted = column if isinstance(node, Missing) else (node.value,) if isinstance(node, Equals) else node.values
        ids = [case_id for value in wanted for case_id in column.get(str(value), ())]
        if len(ids) > _MOST_FOUND:
            raise FilterError(
                f"{len(ids):,} cases have such a value in the column {node.field.removeprefix(EXTRA)!r}, more than the "
                f"{_MOST_FOUND:,} that an extra column may find; ask for a rarer value"
            )
        parts = tuple(Not(condition=OneOf(field="case_id", values=part)) for part in in_parts(ids))
        none_of_them = AllOf(conditions=parts)
        return none_of_them if isinstance(node, Missing) else Not(condition=none_of_them)

    @cached_property
    def _extra_columns(self) -> Mapping[str, Mapping[str, list[str]]]:
        """Column, value, ids."""
        columns: dict[str, dict[str, list[str]]] = {}
        for case_id, name, value in self._pairs():
            columns.setdefault(name, {}).setdefault(value, []).append(case_id)
        return columns

    def _pairs(self) -> Iterator[tuple[str, str, str]]:
        for rows in self._store.scan(vectors=False, whole=False):
            for row in rows:
                for name, value in row.case.extra.items():
                    yield row.case.case_id, name, value
