"""Ids belong to their source: case ``a3`` of one clinic must not be written over by case ``a3`` of another."""

from __future__ import annotations

import hashlib
from collections.abc import Callable, Sequence

from dermquery.data.case import Case
from dermquery.store.filters import Equals, Filter, Missing
from dermquery.store.protocol import CaseReader, StoredCase

__all__ = ["is_another", "others_from_elsewhere", "others_in_place"]

_CHUNK = 256
_NAMED = 3


def others_in_place(cases: Sequence[Case], store: CaseReader) -> str:
    """Which cases would be written over by those of another source, and the remedy; empty if none would."""
    sources = {case.source for case in cases}
    if len(sources) == 1 and store.count(_of(*sources)) == store.count():
        return ""
    return _said_of(cases, store, is_another)


def _of(source: str | None) -> Filter:
    return Filter(condition=Equals(field="source", value=source) if source else Missing(field="source"))


def others_from_elsewhere(cases: Sequence[Case], store: CaseReader) -> str:
    """The same for cases without a source, which nothing but their images tells apart from another clinic's.

    Another image in another folder is another case; in the same folder it may be the table's own that was changed.
    """
    return _said_of(cases, store, _is_from_elsewhere) if store.count() else ""


def _said_of(cases: Sequence[Case], store: CaseReader, is_other: Callable[[Case, StoredCase], bool]) -> str:
    taken: list[StoredCase] = []
    sources: dict[str | None, None] = {}
    for start in range(0, len(cases), _CHUNK):
        chunk = {case.case_id: case for case in cases[start : start + _CHUNK]}
        for case_id, row in store.get(list(chunk), vectors=False).items():
            if is_other(chunk[case_id], row):
                taken.append(row)
                sources[chunk[case_id].source] = None
    if not taken:
        return ""
    taken.sort(key=lambda row: row.case.case_id)
    named = ", ".join(f"{row.case.case_id!r} of {_named(row.case.source)}" for row in taken[:_NAMED])
    more = f" and {len(taken) - _NAMED:,} more" if len(taken) > _NAMED else ""
    return (
        f"the base holds {named}{more}, which the cases of these ids of {' and '.join(map(_named, sources))} would "
        "write over; nothing was written. Give these ids of their own, for example with --prefix B- (in Python: other "
        "case ids), or say with --replace (in Python: replacing=True) that they are the same cases"
    )


def is_another(case: Case, row: StoredCase) -> bool:
    """Whether a row of the same id is the case of another source.

    A source that was written into the table, or taken out of it, since it was read makes no other case of one image,
    and no more does a source of another name where the id is the same everywhere.
    """
    known = case.case_key == row.case.case_key
    if known and (case.archive_id or case.source == row.case.source):
        return False
    return bool(case.source and row.case.source and not known) or _has_another_image(case, row)


def _is_from_elsewhere(case: Case, row: StoredCase) -> bool:
    """Whether neither has a source, and the other image of the same id lies in another folder than the first did."""
    unnamed = not case.source and not row.case.source and case.archive_id is None
    return unnamed and case.image.parent != row.case.image.parent and _has_another_image(case, row)


def _has_another_image(case: Case, row: StoredCase) -> bool:
    try:
        state = case.image.stat()
        if row.stamp.same_file_state(state.st_size, state.st_mtime_ns):
            return False
        with case.image.open("rb") as file:
            return hashlib.file_digest(file, "sha256").hexdigest() != row.stamp.sha256
    except OSError:  # told with the case
        return False


def _named(source: str | None) -> str:
    return f"source {source!r}" if source else "no source"
