"""Cases of a source that the base holds and a newer table of that source has no more."""

from __future__ import annotations

from collections.abc import Collection, Mapping

from dermquery.store.exact_order import id_filters
from dermquery.store.filters import Equals, Filter
from dermquery.store.protocol import CaseReader

__all__ = ["left_behind"]


def left_behind(ids: Collection[str], sources: Collection[str], store: CaseReader) -> Mapping[str, list[str]]:
    """By source, the ids of its cases that are not in a table, sorted.

    A server reads out every id that it counts, so it is asked for numbers first, and for the ids of a source only where
    some are gone.

    Args:
        ids: every id of the table, also those of rows that cannot be used.
        sources: of its cases. One of which the base holds none of these ids is left out: the table is no newer release
            of what the base has, but more of it.
        store: before the table is put in.
    """
    there = set(ids)
    found: dict[str, list[str]] = {}
    for source in sources:
        of_source = Equals(field="source", value=source)
        where = Filter(condition=of_source)
        if not (total := store.count(where)):
            continue
        if 0 < sum(store.count(part.also(of_source)) for part in id_filters(there)) < total:
            held = {str(each) for each in store.value_counts("case_id", where)}
            found[source] = sorted(held - there)
    return found
