"""The table of a folder's base as earlier versions of dermquery laid it out, read by the columns that it has."""

from __future__ import annotations

import json
from collections.abc import Collection, Iterator, Sequence
from contextlib import contextmanager
from heapq import nsmallest
from pathlib import Path
from typing import Any

import numpy as np
import pyarrow as pa

from dermquery.data.case import Case
from dermquery.data.checklist import CRITERIA
from dermquery.model.alignment import Vectors
from dermquery.store.base_manifest import ManifestError
from dermquery.store.exact_order import check_page, check_search, id_filters, products, without
from dermquery.store.filters import FIELDS, Filter
from dermquery.store.lance.sql import beyond, to_lance
from dermquery.store.protocol import ImageStamp, ScoredCase, StoredCase

__all__ = ["EarlierTable"]

_PLAIN = ("text", *(name for name in FIELDS if name not in CRITERIA))
_STAMP = ("image_sha256", "image_size", "image_mtime_ns", "image_phash")
_ROWS_PER_BATCH = 500


class EarlierTable:
    """A :class:`~dermquery.store.protocol.CaseReader` of a table with a column for each field: schemas 1 to 4.

    Every search looks at every row.

    Args:
        path: of the table, a folder whose name ends in ``.lance``.
        size: length of the vectors.

    Raises:
        ManifestError: there is no such table, or it cannot be read.
    """

    def __init__(self, path: Path, size: int) -> None:
        import lance  # takes most of a second, which only bases of earlier versions cost

        self.size, self._path = size, path
        with self._reading():
            self._table: Any = lance.dataset(str(path))
        self._columns = [name for name in (*_PLAIN, *CRITERIA, "image", "extra", *_STAMP) if self._has(name)]

    def get(self, case_ids: Collection[str], *, vectors: bool = True) -> dict[str, StoredCase]:
        found = (row for part in id_filters(case_ids) for rows in self._pages(part, vectors) for row in rows)
        return {row.case.case_id: row for row in found}

    def count(self, where: Filter | None = None) -> int:
        return int(self._table.count_rows(to_lance(where) if where else None))

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
        condition = without(where or Filter(), exclude)
        best: list[tuple[float, str]] = []
        for batch in self._batches(["case_id", "vector"], to_lance(condition)):
            scores = products(_vectors(batch["vector"]), vector)
            found = zip((-scores).tolist(), batch["case_id"].to_pylist(), strict=True)
            best = nsmallest(offset + top_k, [*best, *found])
        ranked = best[offset:]
        rows = self.get([case_id for _, case_id in ranked])
        return [ScoredCase(rows[case_id], -minus) for minus, case_id in ranked]

    def page(
        self, where: Filter | None = None, after: str | None = None, limit: int = 50, *, vectors: bool = False
    ) -> list[StoredCase]:
        check_page(limit)
        first = nsmallest(limit, self._ids(beyond(where or Filter(), after)))
        rows = self.get(first, vectors=vectors)
        return [rows[case_id] for case_id in first]

    def scan(self, *, vectors: bool = True) -> Iterator[list[StoredCase]]:
        yield from self._pages(Filter(), vectors)

    def ids(self) -> list[str]:
        return sorted(self._ids("true"))

    def value_counts(self, field: str, where: Filter | None = None) -> dict[str | float | None, int]:
        if field not in FIELDS:
            raise ValueError(f"unknown field {field!r}; use one of: {', '.join(FIELDS)}")
        condition = to_lance(where or Filter())
        batches = [batch[field] for batch in self._batches([field], condition)]
        counted = pa.chunked_array(batches, self._table.schema.field(field).type).value_counts().to_pylist()
        counts = [(entry["values"], entry["counts"]) for entry in counted]
        return dict(sorted(counts, key=lambda item: (-item[1], str(item[0]))))

    def warm(self) -> None:
        """Nothing is kept between searches."""

    def _has(self, column: str) -> bool:
        return column in self._table.schema.names

    def _ids(self, condition: str) -> list[str]:
        return [name for batch in self._batches(["case_id"], condition) for name in batch["case_id"].to_pylist()]

    def _pages(self, where: Filter, vectors: bool) -> Iterator[list[StoredCase]]:
        for batch in self._batches([*self._columns, *(["vector"] if vectors else [])], to_lance(where)):
            held = _vectors(batch["vector"]) if vectors else np.empty((batch.num_rows, 0), np.float32)
            records = batch.select(self._columns).to_pylist()
            yield [_row(record, vector) for record, vector in zip(records, held, strict=True)]

    def _batches(self, columns: Sequence[str], condition: str) -> Iterator[pa.RecordBatch]:
        chosen = None if condition == "true" else condition
        with self._reading():
            yield from self._table.to_batches(columns=list(columns), filter=chosen, batch_size=_ROWS_PER_BATCH)

    @contextmanager
    def _reading(self) -> Iterator[None]:
        try:
            yield
        except (ValueError, OSError) as error:
            raise ManifestError(
                f"the rows of {self._path.parent} ({self._path.name}) are not there or cannot be read ({error}); was "
                "it copied in part? Copy the whole folder again, or restore it from a backup"
            ) from error


def _vectors(column: pa.Array) -> Vectors:
    """Vectors of a column, (n, size) float32."""
    return np.asarray(column.flatten().to_numpy(zero_copy_only=False), np.float32).reshape(len(column), -1)


def _row(record: dict[str, Any], vector: Vectors) -> StoredCase:
    case = Case(
        image=Path(record["image"]),
        checklist={name: record[name] for name in CRITERIA if record[name]},
        extra=json.loads(record["extra"]),
        **{name: record[name] for name in _PLAIN if name in record},
    )
    return StoredCase(case, vector, ImageStamp(*(record[name] for name in _STAMP if name in record)))
