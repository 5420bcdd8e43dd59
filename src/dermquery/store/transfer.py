"""Case bases as a whole: copied between stores, written to one file, and read back, every row verified."""

from __future__ import annotations

import json
from collections.abc import Callable, Iterable, Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq

from dermquery.data.case import Case
from dermquery.data.files import replacing
from dermquery.store.base_manifest import ROWS_SINCE, Manifest, ManifestError
from dermquery.store.home import Home
from dermquery.store.places import home_of, images_place
from dermquery.store.protocol import CaseStore, ImageStamp, StoredCase

__all__ = ["SnapshotError", "Transferred", "copy_base", "restore_snapshot", "write_snapshot"]

_BATCH = 500
_MANIFEST = b"dermquery manifest"
Tell = Callable[[int, int], None]
"""Takes rows done and rows in all."""


class SnapshotError(ValueError):
    """A file is no snapshot of a case base, or not a whole one; or a copy is not what it was copied from."""


@dataclass(frozen=True)
class Transferred:
    """What a transfer did.

    Attributes:
        rows: in the target now, each verified against the source.
        written: of them, those that were not there before.
    """

    rows: int
    written: int


def copy_base(
    source: str | Path, target: str | Path, *, images: str | bool = True, tell: Tell | None = None
) -> Transferred:
    """Copy a case base into a new place, another folder or a server, or go on with a copy that was cut off.

    Vectors are copied as they are; nothing is encoded, so the model is not needed. What stands in the source when its
    turn comes is copied; a base that is written to meanwhile is refused at the verification.

    Args:
        source: a folder or ``milvus://host:port/name``.
        target: likewise; empty, or an earlier copy of the same base.
        images: where the copy keeps its images: a folder or URL to which they are copied; True for the target's own
            place (a folder inside a folder; on a server they stay where they are), False to leave them where they are.
        tell: progress.

    Raises:
        ManifestError: no base at the source, or another one at the target.
        SnapshotError: the target does not hold what the source holds.
        ArchiveError: an image cannot be copied.
        BaseBusyError: another process writes to the target.
    """
    start, goal = home_of(source), home_of(target)
    manifest = start.manifest()
    held, archive = start.store(manifest), start.archive(manifest)
    place = images_place(images, goal)
    if place is None or archive is None:
        place = None if archive is None else archive.lasting_url
    total = held.count()
    with goal.writing():
        store = _target(goal, manifest.model_copy(update={"images": place, "version": 1}))
        copied = goal.archive(goal.manifest())
        ids: list[str] = []
        written = 0
        for rows in held.scan():
            if archive is not None and copied is not None and copied.lasting_url != archive.lasting_url:
                copied.copy(archive, [row.stamp.sha256 for row in rows])
            ids += [row.case.case_id for row in rows]
            written += _write(store, rows)
            if tell:
                tell(len(ids), total)
        _verify(store, ids, held.scan())
        store.compact()  # also where nothing was written: a transfer before may have been killed here
    return Transferred(len(ids), written)


def write_snapshot(source: str | Path, path: Path, *, tell: Tell | None = None) -> int:
    """Write a case base, manifest, descriptions and vectors, to one Parquet file; returns the number of rows.

    Images are not in it, it says where they are kept. The file appears whole or not at all.

    Raises:
        ManifestError: there is no base.
    """
    home = home_of(source)
    manifest = home.manifest()
    store = home.store(manifest)
    done, total = 0, store.count()
    archive = home.archive(manifest)
    lasting = manifest.model_copy(update={"images": None if archive is None else archive.lasting_url, "version": 1})
    schema = _schema(lasting)
    with (
        replacing(path) as part,
        pq.ParquetWriter(part, schema, compression="zstd", write_page_checksum=True) as writer,
    ):
        for rows in store.scan():
            writer.write_table(_table(rows, schema))
            done += len(rows)
            if tell:
                tell(done, total)
    return int(pq.read_metadata(path).num_rows)


def restore_snapshot(path: Path, target: str | Path, *, tell: Tell | None = None) -> Transferred:
    """Make a case base of a snapshot, or go on with a restoration that was cut off.

    Raises:
        SnapshotError: the file is no snapshot, or the target does not hold what the file holds.
        ManifestError: there is another base at the target.
    """
    file, manifest = _opened(path)
    total = file.metadata.num_rows
    goal = home_of(target)
    with goal.writing():
        store = _target(goal, manifest)
        ids: list[str] = []
        written = 0
        for rows in _rows(file, path):
            ids += [row.case.case_id for row in rows]
            written += _write(store, rows)
            if tell:
                tell(len(ids), total)
        _verify(store, ids, _rows(file, path))
        store.compact()  # also where nothing was written: a transfer before may have been killed here
    return Transferred(len(ids), written)


def _target(home: Home, manifest: Manifest) -> CaseStore:
    if not home.exists():
        return home.create(manifest)
    there = home.manifest()
    if not there.same_vectors(manifest):
        raise ManifestError(
            f"{home.uri} holds a case base of model {there.model_name!r} ({there.model_hash[:12]}), and this one is of "
            f"{manifest.model_name!r} ({manifest.model_hash[:12]}); choose another place"
        )
    return home.store(there)


def _write(store: CaseStore, rows: Sequence[StoredCase]) -> int:
    """Write the rows that are not there as they should be; returns how many."""
    there = store.get([row.case.case_id for row in rows])
    missing = [row for row in rows if not _same(row, there.get(row.case.case_id))]
    store.upsert(missing)
    return len(missing)


def _verify(store: CaseStore, ids: Sequence[str], source: Iterable[Sequence[StoredCase]]) -> None:
    """Hold every row of the target against the source, read once more."""
    held, wanted = set(store.ids()), set(ids)
    if held != wanted:
        more, less = sorted(held - wanted), sorted(wanted - held)
        raise SnapshotError(
            f"the target holds {len(held)} cases and the source {len(wanted)} (for instance "
            f"{(more or less)[0]!r}); was one of them written to meanwhile? Run the command again, or choose an empty "
            "place"
        )
    for rows in source:
        there = store.get([row.case.case_id for row in rows])
        for row in rows:
            if not _same(row, there.get(row.case.case_id)):
                raise SnapshotError(f"case {row.case.case_id!r} differs from the source; run the command again")


def _same(one: StoredCase, other: StoredCase | None) -> bool:
    if other is None:
        return False
    return one.case == other.case and one.stamp == other.stamp and np.array_equal(one.vector, other.vector)


# --- the file ------------------------------------------------------------------------------------------------------


def _schema(manifest: Manifest) -> pa.Schema:
    fields = [
        pa.field("case_id", pa.string(), nullable=False),
        pa.field("case", pa.string(), nullable=False),
        pa.field("image_sha256", pa.string(), nullable=False),
        pa.field("image_size", pa.int64(), nullable=False),
        pa.field("image_mtime_ns", pa.int64(), nullable=False),
        pa.field("image_phash", pa.string(), nullable=False),
        pa.field("vector", pa.list_(pa.float32(), manifest.layout.size), nullable=False),
    ]
    return pa.schema(fields, metadata={_MANIFEST: manifest.model_dump_json().encode()})


def _table(rows: Sequence[StoredCase], schema: pa.Schema) -> pa.Table:
    flat = np.concatenate([row.vector for row in rows]) if rows else np.zeros(0, np.float32)
    columns = {
        "case_id": [row.case.case_id for row in rows],
        "case": [row.case.model_dump_json() for row in rows],
        "image_sha256": [row.stamp.sha256 for row in rows],
        "image_size": [row.stamp.size for row in rows],
        "image_mtime_ns": [row.stamp.mtime_ns for row in rows],
        "image_phash": [row.stamp.phash for row in rows],
        "vector": pa.FixedSizeListArray.from_arrays(pa.array(flat), schema.field("vector").type.list_size),
    }
    return pa.table(columns, schema=schema)


def _opened(path: Path) -> tuple[pq.ParquetFile, Manifest]:
    try:
        file = pq.ParquetFile(path, page_checksum_verification=True)
        written = (file.schema_arrow.metadata or {})[_MANIFEST]
    except FileNotFoundError as error:
        raise SnapshotError(f"{path}: no such snapshot; check the path") from error
    except (pa.ArrowInvalid, OSError, KeyError) as error:
        raise SnapshotError(
            f"{path} is no whole snapshot of a case base ({error}); write it again with: dermquery base snapshot"
        ) from error
    return file, Manifest.read(written.decode(), str(path), ROWS_SINCE)


def _rows(file: pq.ParquetFile, path: Path) -> Iterator[list[StoredCase]]:
    try:
        for batch in file.iter_batches(_BATCH):
            yield [_row(record) for record in batch.to_pylist()]
    except (pa.ArrowInvalid, OSError) as error:
        raise SnapshotError(f"{path} is damaged ({error}); restore from another snapshot") from error


def _row(record: dict[str, object]) -> StoredCase:
    case = Case.model_validate(json.loads(str(record["case"])))
    size, changed = record["image_size"], record["image_mtime_ns"]
    assert isinstance(size, int)  # noqa: S101 - the file's schema says so
    assert isinstance(changed, int)  # noqa: S101
    vector = np.asarray(record["vector"], np.float32)
    stamp = ImageStamp(str(record["image_sha256"]), size, changed, str(record["image_phash"]))
    return StoredCase(case, vector, stamp)
