"""A table in Lance's format: the version that a reader looks at, and the writes that make new ones."""

from __future__ import annotations

import copy
import threading
import warnings
from collections.abc import Collection, Iterator, Sequence
from contextlib import contextmanager
from datetime import timedelta
from functools import cached_property
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import TYPE_CHECKING, Any

import numpy as np
import pyarrow as pa

from dermquery.data.files import make_folder, move, remove_tree
from dermquery.model.alignment import Vectors
from dermquery.store.base_manifest import ManifestError
from dermquery.store.damage import check_command
from dermquery.store.lance.commits import Commits, is_failure, live_files, manifests, newest_whole, set_aside

if TYPE_CHECKING:
    from lance import LanceDataset

__all__ = ["LanceTable", "Snapshot", "TableError", "drop_files", "tables"]

_SUFFIX = ".lance"
_KEPT = timedelta(days=7)
"""How long a version stays that another process may still read."""
_AT_ONCE = 1024
"""Rows whose products are taken at once: with Lance's own 8192 their vectors leave the caches, which takes longer."""


class TableError(OSError):
    """A table cannot be read or written; the message says why and what to do."""


class Snapshot:
    """One version of a table. It never changes, so threads may share it.

    Conditions are SQL (:mod:`.sql`); ``"true"`` and None let every row through.

    Raises:
        TableError: each of its methods, where files are gone or damaged.
    """

    def __init__(self, dataset: LanceDataset) -> None:
        self._dataset = dataset

    @cached_property
    def version(self) -> int:
        """Its number; every write makes a greater one."""
        return int(self._dataset.version)

    @cached_property
    def schema(self) -> pa.Schema:
        """Names and types of the columns."""
        return self._dataset.schema

    def count(self, condition: str | None = None) -> int:
        """Number of rows that satisfy a condition."""
        with _translated(self._dataset):
            return int(self._dataset.count_rows(_filter(condition)))

    def read(self, columns: Sequence[str], condition: str | None = None) -> pa.Table:
        """These columns of the rows that satisfy a condition."""
        with _translated(self._dataset):
            return self._dataset.to_table(columns=list(columns), filter=_filter(condition))

    def first(self, column: str, condition: str | None, limit: int) -> list[Any]:
        """The ``limit`` smallest values of a column among the rows that satisfy a condition, ascending."""
        with _translated(self._dataset):
            found = self._dataset.scanner([column], _filter(condition), limit, order_by=[column]).to_table()
        return list(found[column].to_pylist())

    def spread(self, columns: Sequence[str], rows: int) -> pa.Table:
        """These columns of at most so many rows, at even distances from the first to the last written."""
        with _translated(self._dataset):
            held = self._dataset.count_rows()
            chosen = np.linspace(0, held - 1, min(rows, held)).astype(np.int64)
            return self._dataset.take(chosen.tolist(), columns=list(columns))

    def batches(self, columns: Sequence[str], rows: int, condition: str | None = None) -> Iterator[pa.Table]:
        """The same as :meth:`read`, at most so many rows at a time."""
        with _translated(self._dataset):
            for batch in self._dataset.to_batches(columns=list(columns), filter=_filter(condition), batch_size=rows):
                yield pa.Table.from_batches([batch])

    def nearest(self, vector: Vectors, columns: Sequence[str], condition: str | None, limit: int) -> pa.Table:
        """The ``limit`` rows of greatest inner product with ``vector`` (size,), best first, among all of a condition.

        Every row is looked at, in float32. Column ``_distance`` is 1 minus the product.
        """
        with _translated(self._dataset):
            return self._dataset.to_table(
                columns=[*columns, "_distance"],
                filter=_filter(condition),
                prefilter=True,
                batch_size=_AT_ONCE,
                nearest={"column": "vector", "q": vector, "k": limit, "metric": "dot", "use_index": False},
            )


class LanceTable:
    """A table in a folder, which threads and processes may read while one of them writes.

    A write is on the disk when the call returns (:mod:`.commits`). Versions that are not whole are passed over, with a
    warning that names them.

    Lance's own object must not be moved to another version while another thread reads it. So a copy is moved (the
    copies share their caches), and then takes the place of the object that it was made from.

    Args:
        folder: where the table lies.
        name: its name.
        schema: of the table to make if there is none; None to make none.

    Raises:
        ManifestError: there is no such table, and none was to be made.
        TableError: it cannot be made, or no version of it is whole; each of its methods, where files are gone, damaged
            or cannot be written.
    """

    def __init__(self, folder: Path, name: str, schema: pa.Schema | None = None) -> None:
        self.path = _path(folder, name)
        self._commits = Commits(self.path)
        self._checking, self._checked, self._wrong = threading.Lock(), frozenset[str](), frozenset[str]()
        if schema is None and not manifests(self.path):
            raise ManifestError(
                f"{folder} has a manifest, but its rows (table {name!r}) are not there; open the base again if it "
                "was encoded again or upgraded meanwhile, else copy the whole folder, or restore it from a backup"
            )
        if schema is not None and not manifests(self.path):
            _make(self.path, schema)
        found, self.torn = newest_whole(self.path, self._commits)
        if found is None:
            raise TableError(
                f"no version of the table {self.path} is whole ({'; '.join(torn.lacks for torn in self.torn)}); "
                "restore the base from a backup"
            )
        self._dataset = found
        if self.torn:
            warnings.warn(self._passed_over(), RuntimeWarning, stacklevel=2)

    def now(self) -> Snapshot:
        """The newest version, with every write that was finished before this call."""
        with _translated(self._dataset):
            self._dataset = newest = self._newest()
        return Snapshot(newest)

    def merge(self, key: str, rows: pa.Table) -> int:
        """Add rows, replacing those with the same key, all of them or none; returns the version that this made."""
        with self._writing() as dataset:
            dataset.merge_insert(key).when_matched_update_all().when_not_matched_insert_all().execute(rows)
        return int(dataset.version)

    def add_columns(self, columns: pa.Schema) -> None:
        """Add columns without values."""
        with self._writing() as dataset:
            dataset.add_columns(columns)

    def delete(self, condition: str) -> int:
        """Remove the rows that satisfy a condition; returns how many there were."""
        with self._writing() as dataset:
            return int(dataset.delete(condition)["num_deleted_rows"])

    def compact(self) -> None:
        """Merge small files, remove versions that are a week old, and bring the indexes of columns up to date."""
        with self._writing() as dataset:
            dataset.optimize.compact_files()
            dataset.cleanup_old_versions(_KEPT, error_if_tagged_old_versions=False)
            dataset.optimize.optimize_indices()
            self._commits.prune()

    def index_column(self, column: str, kind: Any) -> None:
        """Build the index of a column anew, ``"BTREE"`` or ``"BITMAP"``."""
        with self._writing() as dataset:
            dataset.create_scalar_index(column, kind, replace=True)

    @property
    def lost(self) -> bool:
        """Whether cases are missing."""
        return any(torn.confirmed for torn in self.torn)

    def check_whole(self) -> None:
        """TableError if cases are missing, because the newest version lost files after it was written."""
        if self.lost:
            lacks = "; ".join(torn.lacks for torn in self.torn)
            raise TableError(
                f"files of the table {self.path} that were written and confirmed are lost ({lacks}), so cases are "
                f"missing; restore the base from a backup, or see what can be mended: {check_command(self.path.parent)}"
            )

    def wrong_files(self, most: int | None = None) -> frozenset[str]:
        """Files of the newest version that are not as they were written, by their path in the table's folder.

        Each file is read once in the life of this object, or none if all together have more than ``most`` bytes.
        """
        with _translated(self._dataset), self._checking:
            dataset = self._newest()
            version = int(dataset.version)
            live = {name for name, _ in live_files(self.path, dataset)}
            live |= {manifest.relative_to(self.path).as_posix() for n, manifest in manifests(self.path) if n == version}
            fresh = sorted(live - self._checked)
            if most is None or sum((self.path / name).stat().st_size for name in fresh) <= most:
                self._wrong = (self._wrong & live) | frozenset(self._commits.sums.wrong(fresh))
                self._checked = frozenset(live)
            return self._wrong

    def ids_in(self, files: Collection[str], key: str) -> list[list[Any]]:
        """The keys of the rows that lie in some files, a list for each file's fragment."""
        with _translated(self._dataset):
            fragments = self._newest().get_fragments()
            damaged = (one for one in fragments if any(f"data/{file.path}" in files for file in one.metadata.files))
            return [list(fragment.to_table(columns=[key])[key].to_pylist()) for fragment in damaged]

    def put_aside(self) -> None:
        """Move versions of which a write was cut off out of the way, as the next write would."""
        with self._writing():
            pass

    def _passed_over(self) -> str:
        lost = "; ".join(f"version {torn.version}, because {torn.lacks}" for torn in self.torn)
        remedy = check_command(self.path.parent)
        return f"the table {self.path} goes on with version {self._dataset.version}; passed over: {lost}. " + (
            f"Files were lost, so cases are missing, and nothing can be written; see: {remedy}"
            if self.lost
            else f"A write was cut off before it was confirmed; put it in again. More says: {remedy}"
        )

    @contextmanager
    def _writing(self) -> Iterator[LanceDataset]:
        with _translated(self._dataset), self._commits.alone():
            self.check_whole()
            for torn in self.torn:
                set_aside(self.path, torn)
            dataset = self._newest()
            yield dataset
            self._dataset = dataset

    def _newest(self) -> LanceDataset:
        dataset = copy.copy(self._dataset)
        if self.torn:  # until a writer has moved them aside, there is nothing newer
            self.torn = [torn for torn in self.torn if torn.there]
        if not self.torn:
            dataset.checkout_latest()
        return dataset


def tables(folder: Path) -> list[str]:
    """Names of the tables in a folder."""
    return sorted(path.stem for path in folder.glob(f"*{_SUFFIX}") if path.is_dir())


def drop_files(folder: Path, name: str) -> None:
    """Remove the files of a table, if it is there."""
    if _path(folder, name).exists():
        remove_tree(_path(folder, name))


def _make(path: Path, schema: pa.Schema) -> None:
    """An empty table, made beside its place: of two made at once in one place, the second may overwrite the first."""
    import lance

    try:
        make_folder(path.parent)
        with TemporaryDirectory(prefix="part-", dir=path.parent) as part:
            made = Path(part, path.name)
            lance.write_dataset(schema.empty_table(), made, schema=schema, commit_lock=Commits(made))
            move(made, path)
    except OSError as error:
        if not manifests(path):  # else another process made it meanwhile
            raise TableError(f"the table {path} cannot be made ({error}); is the disk full?") from error


@contextmanager
def _translated(dataset: LanceDataset) -> Iterator[None]:
    """Lance's errors as one of ours: it says that a file is gone by a ValueError, which passes for a wrong question."""
    try:
        yield
    except TableError:
        raise
    except BaseException as error:
        if not is_failure(error):
            raise
        raise TableError(
            f"the table {dataset.uri} cannot be read or written ({error}); open the base again if it was encoded again "
            "meanwhile, else look whether the disk is full, and what is damaged: dermquery base check "
            f"{Path(str(dataset.uri)).parent} says it, and with --repair mends what can be mended"
        ) from error


def _path(folder: Path, name: str) -> Path:
    return folder / f"{name}{_SUFFIX}"


def _filter(condition: str | None) -> str | None:
    return None if condition == "true" else condition
