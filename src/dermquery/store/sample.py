"""A sample of a case base that does not depend on the order of its rows."""

from __future__ import annotations

import hashlib
import heapq
from itertools import chain

from dermquery.store.protocol import CaseStore, StoredCase

__all__ = ["sample_rows"]


def sample_rows(store: CaseStore, size: int) -> list[StoredCase]:
    """At most ``size`` rows with their vectors, sorted by ``case_id``.

    Those whose ids have the smallest SHA-256 are taken: the same base gives the same sample in any order of rows and on
    any store, and one more case replaces at most one. One scan, and no more rows in memory than the sample.
    """
    chosen = heapq.nsmallest(size, chain.from_iterable(store.scan()), key=_drawn)
    return sorted(chosen, key=lambda row: row.case.case_id)


def _drawn(row: StoredCase) -> tuple[bytes, str]:
    case_id = row.case.case_id
    return hashlib.sha256(case_id.encode()).digest(), case_id
