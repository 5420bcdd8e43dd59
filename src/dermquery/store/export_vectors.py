"""The vectors of a base as a file for other programs: NumPy's, or Parquet with the facts of each case."""

from __future__ import annotations

import json
from pathlib import Path

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq

from dermquery.data.case import CASE_FIELDS
from dermquery.data.files import replacing
from dermquery.store.base_manifest import Manifest
from dermquery.store.casebase import CaseBase

__all__ = ["export_vectors"]

_ROWS = 4096


def export_vectors(base: CaseBase, out: Path) -> int:
    """Write every vector, in ascending order of the case ids; returns how many.

    ``.npy`` holds (n, size) float32 alone; a ``.json`` of the same name the ids and the places of the parts.
    ``.parquet`` holds a row for each case: its id, its vector, and its fields; the places of the parts are in the
    schema's metadata. Both files are written whole or not at all.

    Raises:
        ValueError: another ending.
        DamageError: a row is damaged.
    """
    ending = out.suffix.lower()
    if ending not in (".npy", ".parquet"):
        raise ValueError(f"{out}: vectors are written as .npy or .parquet; name such a file")
    if not out.absolute().parent.is_dir():
        raise FileNotFoundError(f"{out}: there is no folder {out.parent}; make it, or correct the name")
    if ending == ".parquet":
        return _write_parquet(base, out)
    ids, vectors = base.vectors()
    with replacing(out) as part, part.open("wb") as file:
        np.save(file, vectors)
    with replacing(out.with_suffix(".json")) as part:
        described = {"case_ids": ids, **_description(base.manifest)}
        part.write_text(json.dumps(described, indent=1, ensure_ascii=False) + "\n", encoding="utf-8")
    return len(ids)


def _write_parquet(base: CaseBase, out: Path) -> int:
    rows = sorted((row for batch in base.store.scan() for row in batch), key=lambda row: row.case.case_id)
    size = base.manifest.layout.size
    names = [name for name in CASE_FIELDS if name != "case_id"]
    schema = pa.schema(
        [pa.field("case_id", pa.string()), pa.field("vector", pa.list_(pa.float32(), size))]
        + [pa.field(name, pa.string()) for name in names],
        metadata={"dermquery": json.dumps(_description(base.manifest))},
    )
    with replacing(out) as part, pq.ParquetWriter(part, schema) as writer:
        for start in range(0, len(rows), _ROWS):
            page = rows[start : start + _ROWS]
            flat = np.concatenate([row.vector for row in page]).astype(np.float32)
            columns = [pa.array([row.case.case_id for row in page]), pa.FixedSizeListArray.from_arrays(flat, size)]
            columns += [
                pa.array([_written(CASE_FIELDS[name].of(row.case)) for row in page], pa.string()) for name in names
            ]
            writer.write_table(pa.Table.from_arrays(columns, schema=schema))
    return len(rows)


def _written(value: object) -> str | None:
    return None if value is None else str(value)


def _description(manifest: Manifest) -> dict[str, object]:
    """What the numbers are: the model, and where each part of a vector lies."""
    layout = manifest.layout
    return {
        "model": manifest.model_name,
        "model_hash": manifest.model_hash,
        "size": layout.size,
        "levels": list(manifest.levels),
        "width": manifest.width,
        "parts": {name: [place.start, place.stop] for name, place in layout.slices.items()},
    }
