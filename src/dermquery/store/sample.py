"""A sample of a case base that does not depend on the order of its rows."""

from __future__ import annotations

import hashlib
import heapq

from dermquery.store.protocol import CaseReader, StoredCase

__all__ = ["sample_rows"]

_ROWS_AT_ONCE = 500


def sample_rows(store: CaseReader, size: int) -> list[StoredCase]:
    """At most ``size`` rows with their vectors, sorted by ``case_id``.

    Those whose ids have the smallest SHA-256 are taken: the same base gives the same sample on any store, one more case
    replaces at most one, and only the ids of the others are read.
    """
    chosen = sorted(heapq.nsmallest(size, store.ids(), key=_drawn))
    found: dict[str, StoredCase] = {}
    for start in range(0, len(chosen), _ROWS_AT_ONCE):
        found |= store.get(chosen[start : start + _ROWS_AT_ONCE])
    return [found[case_id] for case_id in chosen if case_id in found]


def _drawn(case_id: str) -> bytes:
    return hashlib.sha256(case_id.encode()).digest()
