"""Bases that earlier versions wrote (``tests/store/bases``), unpacked for a test."""

from __future__ import annotations

import tarfile
from pathlib import Path

import lance
import pyarrow as pa

from dermquery.store.archive import ImageArchive
from dermquery.store.protocol import CaseReader, StoredCase

__all__ = ["EARLIER", "bring_images", "rows_of", "unpack"]

EARLIER = (1, 2, 3, 4, 5, 6)
"""Schemas before the current one."""
_PACKED = Path(__file__).parent / "bases" / "earlier.tar.xz"


def unpack(folder: Path) -> Path:
    """The folder, with the bases ``schema-1`` to ``schema-6`` and the snapshots ``schema-N.parquet`` in it."""
    with tarfile.open(_PACKED) as packed:
        packed.extractall(folder, filter="data")
    return folder


def bring_images(folder: Path, schema: int) -> list[Path]:
    """Let a base of schema 1 or 2, unpacked in the folder, name its images where they are: ``0.jpg`` to ``2.jpg``."""
    table, archive = str(folder / f"schema-{schema}" / "cases.lance"), ImageArchive(folder / "schema-3" / "images")
    rows = lance.dataset(table).to_table()
    paths = [folder / f"{case_id.partition('/')[2]}.jpg" for case_id in rows["case_id"].to_pylist()]
    for path, sha256 in zip(paths, rows["image_sha256"].to_pylist(), strict=True):
        path.write_bytes(archive.original(sha256))
    moved = rows.set_column(rows.schema.names.index("image"), "image", pa.array(map(str, paths)))
    lance.write_dataset(moved, table, mode="overwrite")
    return sorted(paths)


def rows_of(store: CaseReader) -> dict[str, StoredCase]:
    """Every row by its id."""
    return {row.case.case_id: row for rows in store.scan() for row in rows}
