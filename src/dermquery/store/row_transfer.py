"""Rows carried from one store to another: only those that are not there yet, and each held against the source."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Sequence
from dataclasses import replace

import numpy as np

from dermquery.store.archive import ImageArchive
from dermquery.store.case_images import with_hash
from dermquery.store.protocol import CaseStore, StoredCase, packed

__all__ = ["SnapshotError", "Tell", "verify_rows", "write_missing"]

Tell = Callable[[int, int], None]
"""Takes rows done and rows in all."""


class SnapshotError(ValueError):
    """A file is no snapshot of a case base, or not a whole one; or a copy is not what it was copied from."""


def write_missing(store: CaseStore, rows: Sequence[StoredCase], archive: ImageArchive | None) -> int:
    """Write the rows that are not there as they should be; returns how many.

    ``archive`` holds the images of rows without a perceptual hash, which gets one on the way.
    """
    there = store.get([row.case.case_id for row in rows])
    missing = [with_hash(row, archive) for row in rows if not _same(row, there.get(row.case.case_id))]
    store.upsert(missing)
    return len(missing)


def verify_rows(store: CaseStore, ids: Sequence[str], source: Iterable[Sequence[StoredCase]]) -> None:
    """Hold every row of the target against the source, read once more.

    Raises:
        SnapshotError: the target holds more, less or something else.
    """
    held, wanted = set(store.ids()), set(ids)
    if held != wanted:
        more, less = sorted(held - wanted), sorted(wanted - held)
        raise SnapshotError(
            f"the target holds {len(held)} cases and the source {len(wanted)} (for instance "
            f"{(more or less)[0]!r}); was one of them written to meanwhile? Run the command again, or choose an empty "
            "place"
        )
    for rows in source:
        there = store.get([row.case.case_id for row in rows])
        for row in rows:
            if not _same(row, there.get(row.case.case_id)):
                raise SnapshotError(f"case {row.case.case_id!r} differs from the source; run the command again")


def _same(one: StoredCase, other: StoredCase | None) -> bool:
    """Whether ``other`` is a whole copy of ``one``; it may have a perceptual hash that ``one`` lacks."""
    if other is None:
        return False
    stamp = other.stamp if one.stamp.phash else replace(other.stamp, phash="")
    return one.case == other.case and one.stamp == stamp and np.array_equal(packed(one.vector), other.vector)
