"""The table of a folder's base as earlier versions of dermquery laid it out, read by the columns that it has."""

from __future__ import annotations

import json
from collections.abc import Collection, Iterator
from heapq import nsmallest
from pathlib import Path
from typing import Any

import numpy as np

from dermquery.data.case import Case
from dermquery.data.checklist import CRITERIA
from dermquery.model.alignment import Vectors
from dermquery.store.damage import LOST, Damage
from dermquery.store.exact_order import check_page, check_search, id_filters, products, without
from dermquery.store.filters import FIELDS, Filter, without_fields
from dermquery.store.lance.lance_table import LanceTable
from dermquery.store.lance.sql import beyond, to_lance
from dermquery.store.lance.vector_index import vectors_of
from dermquery.store.protocol import ImageStamp, ScoredCase, StoredCase, from_payload

__all__ = ["EarlierTable"]

_PLAIN = ("text", *(name for name in FIELDS if name not in CRITERIA))
_STAMP = ("image_sha256", "image_size", "image_mtime_ns", "image_phash")
_ROWS_PER_BATCH = 500


class EarlierTable:
    """A :class:`~dermquery.store.protocol.CaseReader` of a table with a column for each field: schemas 1 to 4,
    or with the case as one text, schemas 5 and 6.

    Every search looks at every row.

    Args:
        folder: where the table lies.
        size: length of the vectors.
        table: its name.

    Raises:
        ManifestError: there is no such table.
        TableError: each of its methods, where files are gone or damaged.
    """

    def __init__(self, folder: Path, size: int, table: str) -> None:
        self.size = size
        self._table = LanceTable(folder, table)
        columns = frozenset(self._table.now().schema.names)
        self._lacking = frozenset(FIELDS) - columns
        plain = [name for name in (*_PLAIN, *CRITERIA, "image", "extra", *_STAMP) if name in columns]
        self._columns = ["payload"] if "payload" in columns else plain

    def get(self, case_ids: Collection[str], *, vectors: bool = True) -> dict[str, StoredCase]:
        found = (row for part in id_filters(case_ids) for rows in self._pages(part, vectors) for row in rows)
        return {row.case.case_id: row for row in found}

    def with_image(self, sha256: str) -> list[StoredCase]:
        found = (row for rows in self._pages(Filter(), vectors=True) for row in rows if row.stamp.sha256 == sha256)
        return sorted(found, key=lambda row: row.case.case_id)

    def count(self, where: Filter | None = None) -> int:
        return self._table.now().count(self._condition(where))

    def search(
        self,
        vector: Vectors,
        where: Filter | None = None,
        top_k: int = 5,
        exclude: Collection[str] = (),
        offset: int = 0,
        *,
        exact: bool = False,
    ) -> list[ScoredCase]:
        check_search(vector, self.size, top_k, offset)
        condition = self._condition(without(where or Filter(), exclude))
        best: list[tuple[float, str]] = []
        for part in self._table.now().batches(["case_id", "vector"], _ROWS_PER_BATCH, condition):
            scores = products(vectors_of(part), vector)
            best = nsmallest(
                offset + top_k, [*best, *zip((-scores).tolist(), part["case_id"].to_pylist(), strict=True)]
            )
        ranked = best[offset:]
        rows = self.get([case_id for _, case_id in ranked])
        return [ScoredCase(rows[case_id], -minus) for minus, case_id in ranked]

    def page(
        self, where: Filter | None = None, after: str | None = None, limit: int = 50, *, vectors: bool = False
    ) -> list[StoredCase]:
        check_page(limit)
        condition = beyond(without_fields(where or Filter(), self._lacking), after)
        first = self._table.now().first("case_id", condition, limit)
        rows = self.get(first, vectors=vectors)
        return [rows[case_id] for case_id in first]

    def spread(self, limit: int) -> list[StoredCase]:
        return self.page(limit=limit, vectors=True)

    def scan(self, *, vectors: bool = True, whole: bool = True) -> Iterator[list[StoredCase]]:
        if whole:
            self._table.check_whole()
        yield from self._pages(Filter(), vectors)

    def ids(self) -> list[str]:
        return sorted(self._table.now().read(["case_id"])["case_id"].to_pylist())

    def value_counts(self, field: str, where: Filter | None = None) -> dict[str | float | None, int]:
        if field not in FIELDS:
            raise ValueError(f"unknown field {field!r}; use one of: {', '.join(FIELDS)}")
        if field in self._lacking:
            return {None: n} if (n := self.count(where)) else {}
        counted = self._table.now().read([field], self._condition(where))[field].value_counts().to_pylist()
        counts = [(entry["values"], entry["counts"]) for entry in counted]
        return dict(sorted(counts, key=lambda item: (-item[1], str(item[0]))))

    def damage(self) -> tuple[Damage, ...]:
        """Whether cases are missing; these rows have no checksum."""
        return (LOST,) if self._table.lost else ()

    def warm(self) -> None:
        """Nothing is kept between searches."""

    def _condition(self, where: Filter | None) -> str:
        return to_lance(without_fields(where or Filter(), self._lacking))

    def _pages(self, where: Filter, vectors: bool) -> Iterator[list[StoredCase]]:
        columns = [*self._columns, *(["vector"] if vectors else [])]
        for part in self._table.now().batches(columns, _ROWS_PER_BATCH, self._condition(where)):
            held = vectors_of(part) if vectors else np.empty((part.num_rows, 0), np.float32)
            records = part.select(self._columns).to_pylist()
            yield [_row(record, vector) for record, vector in zip(records, held, strict=True)]


def _row(record: dict[str, Any], vector: Vectors) -> StoredCase:
    if "payload" in record:
        return from_payload(record["payload"], vector)
    case = Case(
        image=Path(record["image"]),
        checklist={name: record[name] for name in CRITERIA if record[name]},
        extra=json.loads(record["extra"]),
        **{name: record[name] for name in _PLAIN if name in record},
    )
    return StoredCase(case, vector, ImageStamp(*(record[name] for name in _STAMP if name in record)))
