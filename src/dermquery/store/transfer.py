"""Case bases as a whole: copied between stores, written to one file, and read back, every row verified."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq

from dermquery.data.case import Case
from dermquery.data.files import replacing
from dermquery.store.archive import ImageArchive
from dermquery.store.base_manifest import SCHEMA_VERSION, Manifest, ManifestError
from dermquery.store.case_images import Reachable, count_reachable
from dermquery.store.earlier_schemas import UpgradeNeededError, current_row, upgrade_command
from dermquery.store.home import Home
from dermquery.store.places import home_of, images_place
from dermquery.store.protocol import CaseStore, ImageStamp, StoredCase
from dermquery.store.row_transfer import SnapshotError, Tell, verify_rows, write_missing

__all__ = ["SnapshotError", "Transferred", "copy_base", "restore_snapshot", "write_snapshot"]

_BATCH = 500
_MANIFEST = b"dermquery manifest"


@dataclass(frozen=True)
class Transferred:
    """What a transfer did.

    Attributes:
        rows: in the target now, each verified against the source.
        written: of them, those that were not there before.
        images: how many of them have an image within reach.
    """

    rows: int
    written: int
    images: Reachable


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
        ArchiveError: an image is damaged or cannot be written.
        MissingImagesError: all is copied that there is, but images are missing where the copy should find them.
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
        store = _target(goal, manifest.current(images=place, version=1))
        copied = goal.archive(goal.manifest())
        ids: list[str] = []
        written = 0
        for rows in held.scan():
            if archive is not None and copied is not None and copied.lasting_url != archive.lasting_url:
                copied.copy(archive, [row.stamp.sha256 for row in rows])
            ids += [row.case.case_id for row in rows]
            written += write_missing(store, rows, archive)
            if tell:
                tell(len(ids), total)
        verify_rows(store, ids, held.scan())
        store.compact()  # also where nothing was written: a transfer before may have been killed here
    return _transferred(target, store, copied, len(ids), written)


def write_snapshot(source: str | Path, path: Path, *, tell: Tell | None = None) -> Reachable:
    """Write a case base, manifest, descriptions and vectors, to one Parquet file.

    Images are not in it, it says where they are kept; what comes back is how many are there. The file appears whole
    or not at all.

    Raises:
        ManifestError: there is no base.
        MissingImagesError: the file is written, but images are missing where it says that they are kept.
    """
    home = home_of(source)
    manifest = home.manifest()
    store = home.store(manifest)
    done, total = 0, store.count()
    archive = home.archive(manifest)
    lasting = manifest.current(images=None if archive is None else archive.lasting_url, version=1)
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
    images = count_reachable(store.scan(vectors=False), archive)
    images.check(f"{path}: {done} cases written")
    return images


def restore_snapshot(path: Path, target: str | Path, *, tell: Tell | None = None) -> Transferred:
    """Make a case base of a snapshot, or go on with a restoration that was cut off.

    Raises:
        SnapshotError: the file is no snapshot, or the target does not hold what the file holds.
        ManifestError: there is another base at the target.
        MissingImagesError: every row is there, but images are missing where the snapshot says that they are kept.
    """
    file, manifest = _opened(path)
    total = file.metadata.num_rows
    goal = home_of(target)
    with goal.writing():
        store = _target(goal, manifest.current())
        archive = goal.archive(goal.manifest())
        ids: list[str] = []
        written = 0
        for rows in _rows(file, path, manifest.schema_version):
            ids += [row.case.case_id for row in rows]
            written += write_missing(store, rows, archive)
            if tell:
                tell(len(ids), total)
        verify_rows(store, ids, _rows(file, path, manifest.schema_version))
        store.compact()  # also where nothing was written: a transfer before may have been killed here
    return _transferred(target, store, archive, len(ids), written)


def _target(home: Home, manifest: Manifest) -> CaseStore:
    if not home.exists():
        return home.create(manifest)
    there = home.manifest()
    if there.outdated:
        raise UpgradeNeededError(
            f"{home.uri} holds a case base of schema {there.schema_version}, which is read-only; upgrade it first "
            f"({upgrade_command(home.uri)}), or choose another place"
        )
    if not there.same_vectors(manifest):
        raise ManifestError(
            f"{home.uri} holds a case base of model {there.model_name!r} ({there.model_hash[:12]}), and this one is of "
            f"{manifest.model_name!r} ({manifest.model_hash[:12]}); choose another place"
        )
    return home.store(there)


def _transferred(
    target: str | Path, store: CaseStore, archive: ImageArchive | None, rows: int, written: int
) -> Transferred:
    images = count_reachable(store.scan(vectors=False), archive)
    images.check(f"{target}: {rows} cases verified")
    return Transferred(rows, written, images)


# --- the file ------------------------------------------------------------------------------------------------------


def _schema(manifest: Manifest) -> pa.Schema:
    fields = [
        pa.field("case_id", pa.string(), nullable=False),
        pa.field("case", pa.string(), nullable=False),
        pa.field("image_sha256", pa.string(), nullable=False),
        pa.field("image_size", pa.int64(), nullable=False),
        pa.field("image_mtime_ns", pa.int64(), nullable=False),
        pa.field("image_phash", pa.string(), nullable=False),
        pa.field("vector", pa.list_(pa.float16(), manifest.layout.size), nullable=False),
    ]
    return pa.schema(fields, metadata={_MANIFEST: manifest.model_dump_json().encode()})


def _table(rows: Sequence[StoredCase], schema: pa.Schema) -> pa.Table:
    flat = np.concatenate([row.vector for row in rows]).astype(np.float16) if rows else np.zeros(0, np.float16)
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
        manifest = Manifest.read(written.decode(errors="replace"), str(path))
        _check_columns(file.schema_arrow, manifest)
    except FileNotFoundError as error:
        raise SnapshotError(f"{path}: no such snapshot; check the path") from error
    except (pa.ArrowException, OSError, KeyError, UnicodeDecodeError) as error:
        raise SnapshotError(
            f"{path} is no whole snapshot of a case base ({error}); write it again with: dermquery base snapshot"
        ) from error
    return file, manifest


def _check_columns(found: pa.Schema, manifest: Manifest) -> None:
    """Refuse a file whose columns are not those of a snapshot; earlier ones lack a hash and have longer numbers."""
    for field in _schema(manifest):
        if field.name not in found.names:
            if field.name != "image_phash":
                raise KeyError(f"it has no column {field.name}")
        elif field.name != "vector" and found.field(field.name).type != field.type:
            raise KeyError(f"its column {field.name} holds {found.field(field.name).type}, not {field.type}")
    vector = found.field("vector").type
    size = manifest.layout.size if manifest.schema_version == SCHEMA_VERSION else manifest.layout.blocks.size
    if not pa.types.is_fixed_size_list(vector) or not pa.types.is_floating(vector.value_type):
        raise KeyError(f"its vectors are {vector}")
    if vector.list_size != size:
        raise KeyError(f"its vectors have {vector.list_size} numbers, and those of its model {size}")


def _rows(file: pq.ParquetFile, path: Path, schema: int) -> Iterator[list[StoredCase]]:
    try:
        for batch in file.iter_batches(_BATCH):
            yield [current_row(_row(record, path), schema) for record in batch.to_pylist()]
    except (pa.ArrowException, OSError, UnicodeDecodeError) as error:
        raise SnapshotError(f"{path} is damaged ({error}); restore from another snapshot") from error


def _row(record: dict[str, Any], path: Path) -> StoredCase:
    try:
        return _read_row(record)
    except (ValueError, TypeError) as error:
        raise SnapshotError(
            f"{path}: the case {record['case_id']!r} cannot be read ({error}); restore from another snapshot"
        ) from error


def _read_row(record: dict[str, Any]) -> StoredCase:
    case, vector = Case.model_validate_json(record["case"]), np.asarray(record["vector"], np.float32)
    stamp = ImageStamp(
        record["image_sha256"], record["image_size"], record["image_mtime_ns"], record.get("image_phash") or ""
    )
    if case.case_id != record["case_id"]:
        raise ValueError(f"its description is that of {case.case_id!r}")
    if None in (stamp.sha256, stamp.size, stamp.mtime_ns) or vector.ndim != 1 or not np.isfinite(vector).all():
        raise ValueError("its image or its vector is missing")
    return StoredCase(case, vector, stamp)
