"""A stored case without its vector as one text, so that a hit costs a store one column and not one for each field."""

from __future__ import annotations

import json
from pathlib import Path

from dermquery.data.case import Case
from dermquery.model.alignment import Vectors
from dermquery.store.protocol import ImageStamp, StoredCase

__all__ = ["from_payload", "to_payload"]


def to_payload(row: StoredCase) -> str:
    """Case and stamp as JSON; the image's path is absolute, fields without a value are left out."""
    case, stamp = row.case, row.stamp
    fields = case.model_dump(mode="json", exclude_none=True) | {"image": str(case.image.absolute())}
    stamped = [stamp.sha256, stamp.size, stamp.mtime_ns, stamp.phash]
    return json.dumps({"case": fields, "stamp": stamped}, ensure_ascii=False, separators=(",", ":"))


def from_payload(payload: str, vector: Vectors) -> StoredCase:
    """The row that :func:`to_payload` described, with its vector."""
    held = json.loads(payload)
    case = Case(**{**held["case"], "image": Path(held["case"]["image"])})
    return StoredCase(case, vector, ImageStamp(*held["stamp"]))
