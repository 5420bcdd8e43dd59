"""Rows of a table held against their checksums, and their columns against their descriptions."""

from __future__ import annotations

from typing import Any

import pyarrow as pa

from dermquery.model.alignment import Vectors
from dermquery.store.filters import FIELDS, field_value
from dermquery.store.protocol import StoredCase, left_of

__all__ = ["wrong_rows"]


def wrong_rows(table: pa.Table, vectors: Vectors) -> dict[str, StoredCase | None]:
    """What is sound of the rows of a result that are not as they were written, by their id as its column says it.

    A row whose columns alone are wrong is whole; nothing is sound of two that have one id.

    Args:
        table: of every column, or all but those that the table lacks.
        vectors: its vectors, (n, size) float32.
    """
    wrong: dict[str, StoredCase | None] = {}
    names = [name for name in table.schema.names if name != "vector"]
    for record, vector in zip(table.select(names).to_pylist(), vectors, strict=True):
        row = left_of(record["payload"], vector, record["checksum"])
        if row is None or len(row.vector) < len(vector) or not _columns_agree(row, record):
            case_id = str(record["case_id"])
            wrong[case_id] = None if case_id in wrong else row
    return wrong


def _columns_agree(row: StoredCase, record: dict[str, Any]) -> bool:
    """Whether the columns that filters ask say what the description says."""
    there = all(record[name] == field_value(row.case, name) for name in FIELDS if name in record)
    return there and bool(record["image_key"] == row.stamp.key)
