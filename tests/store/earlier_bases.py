"""Bases that earlier versions wrote (``tests/store/bases``), unpacked for a test."""

from __future__ import annotations

import tarfile
from pathlib import Path

from dermquery.store.protocol import CaseReader, StoredCase

__all__ = ["EARLIER", "rows_of", "unpack"]

EARLIER = (1, 2, 3, 4, 5, 6)
"""Schemas before the current one."""
_PACKED = Path(__file__).parent / "bases" / "earlier.tar.xz"


def unpack(folder: Path) -> Path:
    """The folder, with the bases ``schema-1`` to ``schema-6`` and the snapshots ``schema-N.parquet`` in it."""
    with tarfile.open(_PACKED) as packed:
        packed.extractall(folder, filter="data")
    return folder


def rows_of(store: CaseReader) -> dict[str, StoredCase]:
    """Every row by its id."""
    return {row.case.case_id: row for rows in store.scan() for row in rows}
