"""The columns of a table: its schema, rows as it takes them, and rows that are not as they were written."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import numpy as np
import pyarrow as pa

from dermquery.data.case import NUMBERS
from dermquery.model.alignment import Vectors
from dermquery.store.damage import checksum
from dermquery.store.filters import FIELDS
from dermquery.store.matching import field_value
from dermquery.store.protocol import StoredCase, left_of, to_payload

__all__ = ["table_schema", "to_table", "wrong_rows"]

_TEXT_COLUMNS = tuple(name for name in FIELDS if name not in ("case_id", *NUMBERS))


def table_schema(size: int) -> pa.Schema:
    """What filters ask for, the case as one text, its image and its vector, and a number that grows with every write.

    Vectors are kept in half precision: of unit blocks it changes no figure in four digits (docs/sizing.md).
    """
    # The key makes two processes that index at once conflict and retry, where both would else insert the same case.
    key = pa.field("case_id", pa.string(), nullable=False, metadata={"lance-schema:unenforced-primary-key": "true"})
    return pa.schema(
        [
            key,
            *(pa.field(name, pa.string()) for name in _TEXT_COLUMNS),
            *(pa.field(name, pa.float64()) for name in NUMBERS),
            pa.field("payload", pa.string(), nullable=False),
            pa.field("serial", pa.int64(), nullable=False),
            pa.field("image_key", pa.string(), nullable=False),
            pa.field("checksum", pa.int64(), nullable=False),
            pa.field("vector", pa.list_(pa.float16(), size), nullable=False),
        ]
    )


def to_table(rows: Sequence[StoredCase], schema: pa.Schema, serial: int) -> pa.Table:
    """Rows as the table takes them, numbered from ``serial`` on."""
    columns: dict[str, Any] = {name: [field_value(row.case, name) for row in rows] for name in FIELDS}
    columns["payload"] = [to_payload(row) for row in rows]
    columns["serial"] = list(range(serial, serial + len(rows)))
    columns["image_key"] = [row.stamp.key for row in rows]
    columns["checksum"] = [checksum(payload, row.vector) for payload, row in zip(columns["payload"], rows, strict=True)]
    flat = np.concatenate([row.vector for row in rows]).astype(np.float16)
    columns["vector"] = pa.FixedSizeListArray.from_arrays(pa.array(flat), len(rows[0].vector))
    return pa.table({name: columns[name] for name in schema.names}, schema=schema)


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
