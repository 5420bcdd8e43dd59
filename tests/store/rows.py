"""Rows for the tests of the stores, and the slow search that they are held against."""

from __future__ import annotations

from pathlib import Path

import numpy as np

from dermquery.data.case import Case
from dermquery.store.protocol import CaseStore, ImageStamp, StoredCase, packed

SIZE = 12
STAMP = ImageStamp("ab" * 32, 123, 1_700_000_000_123_456_789, "0f" * 32)


def row(case_id: str, vector: np.ndarray | None = None, **fields: object) -> StoredCase:
    case = Case(case_id=case_id, image=Path("/data/a b.png"), **fields)
    return StoredCase(case, np.zeros(SIZE, np.float32) if vector is None else packed(vector), STAMP)


def random_rows(n: int, seed: int = 0, prefix: str = "") -> list[StoredCase]:
    vectors = np.random.default_rng(seed).normal(size=(n, SIZE))
    vectors /= np.linalg.norm(vectors, axis=1, keepdims=True)
    return [row(f"{prefix}{i:04d}", v, site="back" if i % 2 else None) for i, v in enumerate(vectors)]


def brute_force(rows: list[StoredCase], query: np.ndarray, top_k: int) -> list[str]:
    scored = [(-float(np.sum(r.vector.astype(float) * query.astype(float))), r.case.case_id) for r in rows]
    return [case_id for _, case_id in sorted(scored)[:top_k]]


def found(store: CaseStore, query: np.ndarray, top_k: int) -> list[str]:
    return [hit.row.case.case_id for hit in store.search(query.astype(np.float32), top_k=top_k)]
