"""Rows of a Milvus collection: their schema, and cases to and from them."""

from __future__ import annotations

from collections.abc import Collection, Iterator, Sequence
from typing import Any

import numpy as np

from dermquery.data.case import NUMBERS, Case
from dermquery.store.damage import checksum, is_sound
from dermquery.store.filters import FIELDS
from dermquery.store.matching import field_value
from dermquery.store.milvus.expression import MISSING_NUMBER, column_text
from dermquery.store.protocol import StoredCase, from_payload, left_of, packed, to_payload

__all__ = ["collection_schema", "in_writes", "left_of_record", "to_record", "to_row"]

_TEXT_COLUMNS = tuple(name for name in FIELDS if name not in ("case_id", *NUMBERS))
_ID_BYTES, _KEY_BYTES, _TEXT_BYTES, _PAYLOAD_BYTES = 1024, 16, 2048, 65_535
_BYTES_PER_WRITE = 8_000_000


def collection_schema(client: Any, size: int, description: str) -> tuple[Any, Any]:
    """Schema and index of a collection: a column for each field of a filter, the case as JSON, its image and vector.

    Servers before 2.4 have no vectors of half precision, so the column has single precision and holds such numbers.
    """
    from pymilvus import DataType

    schema = client.create_schema(auto_id=False, enable_dynamic_field=False, description=description)
    schema.add_field("case_id", DataType.VARCHAR, is_primary=True, max_length=_ID_BYTES)
    for name in _TEXT_COLUMNS:
        schema.add_field(name, DataType.VARCHAR, max_length=_TEXT_BYTES)
    for name in NUMBERS:
        schema.add_field(name, DataType.DOUBLE)
    schema.add_field("image_key", DataType.VARCHAR, max_length=_KEY_BYTES)
    schema.add_field("checksum", DataType.INT64)
    schema.add_field("payload", DataType.VARCHAR, max_length=_PAYLOAD_BYTES)
    schema.add_field("vector", DataType.FLOAT_VECTOR, dim=size)
    index = client.prepare_index_params()
    index.add_index("vector", index_type="FLAT", metric_type="IP")
    return schema, index


def in_writes(records: Sequence[dict[str, Any]]) -> Iterator[list[dict[str, Any]]]:
    """The records in order, in parts whose columns take at most :data:`_BYTES_PER_WRITE`, or of one record."""
    part: list[dict[str, Any]] = []
    held = 0
    for record in records:
        size = sum(len(v.encode()) if isinstance(v, str) else np.asarray(v).nbytes for v in record.values())
        if part and held + size > _BYTES_PER_WRITE:
            yield part
            part, held = [], 0
        part.append(record)
        held += size
    if part:
        yield part


def to_record(row: StoredCase, lacking: Collection[str] = ()) -> dict[str, Any]:
    """A row as Milvus takes it; ValueError for one that its columns cannot hold, or that needs one which is lacking."""
    case = row.case
    for name in lacking:
        if field_value(case, name) is not None:
            raise ValueError(
                f"case {case.case_id[:60]!r} has a {name}, and this collection was made before there was a column for "
                "it; copy the base into a new collection with `dermquery base copy`, or leave the field out"
            )
    texts = {name: column_text(_text(case, name)) for name in _TEXT_COLUMNS}
    columns = {"case_id": column_text(case.case_id), **texts, "payload": to_payload(row)}
    for name, text in columns.items():
        most = {"case_id": _ID_BYTES, "payload": _PAYLOAD_BYTES}.get(name, _TEXT_BYTES)
        if len(text.encode()) > most:
            what = "its whole description" if name == "payload" else name
            raise ValueError(
                f"case {case.case_id[:60]!r}: {what} takes {len(text.encode())} bytes, and a Milvus column holds "
                f"{most}; shorten it, or keep this base in a folder"
            )
    numbers = {name: MISSING_NUMBER if (held := getattr(case, name)) is None else float(held) for name in NUMBERS}
    record = {**columns, **numbers, "image_key": row.stamp.key, "vector": packed(row.vector)}
    record["checksum"] = checksum(columns["payload"], row.vector)
    return {name: value for name, value in record.items() if name not in lacking}


def _text(case: Case, name: str) -> str | None:
    value = field_value(case, name)
    return None if value is None else str(value)


def left_of_record(record: dict[str, Any]) -> StoredCase | None:
    """What is sound of a row as Milvus gives it (:func:`~dermquery.store.protocol.left_of`)."""
    return left_of(record["payload"], np.asarray(record["vector"], np.float32), record["checksum"])


def to_row(record: dict[str, Any]) -> StoredCase | None:
    """A row as Milvus gives it, with its vector if that was asked for; None if it is not as it was written."""
    vector = np.asarray(record.get("vector", ()), np.float32)
    if "checksum" in record and not is_sound(record["payload"], vector, record["checksum"]):
        return None
    return from_payload(record["payload"], vector)
