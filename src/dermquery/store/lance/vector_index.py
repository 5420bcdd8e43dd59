"""The index beside a Lance table: which of its vectors still stand for a row, and which rows came after it.

Every write gives its rows new serial numbers. So an index that knows the serials of its vectors needs no bookkeeping
when cases are written or removed: a serial that is gone is not looked for, rows with a later one are searched directly.
"""

from __future__ import annotations

import math
import os
import shutil
import tempfile
import threading
import time
import warnings
from collections.abc import Callable, Iterator, Sequence
from pathlib import Path

import numpy as np
import pyarrow as pa
from numpy.typing import NDArray

from dermquery.data.case import CASE_FIELDS, Kind
from dermquery.data.files import make_folder, move, remove_tree, sync_tree
from dermquery.model.alignment import Vectors
from dermquery.store.filters import Filter
from dermquery.store.lance.file_sums import LOOKED_OVER, FileSums
from dermquery.store.lance.hit_rows import HitRows, adopt, written
from dermquery.store.lance.lance_table import LanceTable, Snapshot
from dermquery.store.lance.quantised import (
    DAMAGED,
    IndexShape,
    VectorIndex,
    read_keys,
    write_index,
)
from dermquery.store.lance.view import Place, View, positions
from dermquery.store.protocol import FEWEST_INDEXED, INDEX_FROM, check_indexable

__all__ = ["TableIndex", "drop_indexes", "vectors_of"]

_DEEPEST = 1000
"""Hits up to which a ranking is taken from the index."""
_FRESH = 1000
"""Rows beside the index from which they are added to it."""
_ROWS_PER_BATCH = 5000
_AGAIN = 60.0
"""Seconds after which an index that could not be opened is tried again: what failed may have been the disk."""
_BITMAPS = tuple(name for name, field in CASE_FIELDS.items() if field.kind in (Kind.CHOICE, Kind.TREE))
_TREES = (
    *(name for name, field in CASE_FIELDS.items() if field.kind in (Kind.ID, Kind.NUMBER, Kind.DAY)),
    "image_key",
)


class TableIndex:
    """The index of one table, if there is one; see :class:`~.quantised.VectorIndex`.

    Args:
        folder: of the base.
        name: of the table.
        table: the table.
        columns: that :meth:`nearest` gives beside the vectors, ``serial`` among them; the index keeps them too.
        apart: see :class:`~.quantised.IndexShape`.
    """

    def __init__(
        self, folder: Path, name: str, table: LanceTable, columns: Sequence[str], apart: tuple[int, int] = (0, 0)
    ) -> None:
        self._folder, self._name, self._table, self._columns = folder / "index", name, table, list(columns)
        self._apart = apart
        self._seen: View | None = None
        self._unusable: Place | None = None
        self._tried = -math.inf
        self._looking = threading.Lock()

    def last(self) -> int:
        """The greatest serial in the index, 0 without one; for a writer, of which there is one at a time.

        The files of an index whose serials cannot be read any more are removed: nobody can search it, and nobody must
        find it again once other rows have its numbers. Its folder stays, so that the next ``refresh`` builds another.
        """
        while (place := self._newest()) is not None:
            try:
                return int(read_keys(place[0]).max())
            except DAMAGED as error:
                if place == self._newest():
                    self._warn(place[0], error)
                    for file in list(place[0].iterdir()):
                        file.unlink(missing_ok=True)
                    break
        return 0

    def nearest(self, vector: Vectors, where: Filter, k: int) -> tuple[pa.Table, Vectors, View] | None:
        """Rows of the index that are about the ``k`` nearest, and their vectors; None to look at every row instead.

        With them comes the view, whose :attr:`~.View.beside` are rows that must be looked at too.
        """
        if k > _DEEPEST:
            return None
        view = self._view()
        if view is None:
            return None
        chosen = np.sort(view.chosen(vector, where, k))
        found = view.hits.take(chosen)
        if found["serial"].to_pylist() != view.index.keys[chosen].tolist():
            self._refuse(view.place, "its rows are not those of its vectors")
            return None
        return found, view.index.vectors(chosen), view

    def warm(self) -> None:
        """Open the index if there is one, and read its files once, which the operating system then keeps."""
        if (view := self._view()) is not None and (wrong := FileSums(view.place[0]).wrong_of_all()):
            self._refuse(view.place, f"{', '.join(wrong)} not as written")

    def flaw(self) -> str:
        """Why the index cannot be used, every file of it read; empty if it can, or there is none."""
        with warnings.catch_warnings(record=True) as said:
            warnings.simplefilter("always")
            self.warm()
        if not self._folders() or (not said and self._view() is not None):
            return ""
        return str(said[0].message) if said else f"the index of {self._folder} could not be opened a moment ago"

    def refresh(self) -> None:
        """Build, extend or rebuild the index where the table has outgrown it or it is damaged."""
        view, n = self._view(), self._table.now().count()
        if view is None:
            if n >= (FEWEST_INDEXED if self._folders() else INDEX_FROM):
                self.build()
        elif n >= FEWEST_INDEXED and (n >= 2 * view.index.shape.trained_on or view.gone > n // 5):
            self.build()
        elif view.fresh >= max(_FRESH, n // 200):
            self._write(lambda folder: self._fill(view.table, folder, view.index.shape, None, view))

    def build(self) -> int:
        """Build the index anew, and those of the columns that filters ask for; returns the vectors in it.

        Raises:
            ValueError: for too few rows.
        """
        table = self._table.now()
        n = table.count()
        check_indexable(n)
        shape = IndexShape.of(table.schema.field("vector").type.list_size, n, self._apart)
        self._write(lambda folder: self._fill(table, folder, shape, _sample(table, shape.sample, n)))
        self.index_columns()
        return n

    def purge(self) -> None:
        """Keep nothing of rows that are gone from the table: build the index anew, or drop it if too few are left.

        An index that cannot be used may hold anything, so it is built anew too.
        """
        view = self._view()
        if not self._folders() or (view is not None and not view.gone):
            return
        if self._table.now().count() >= FEWEST_INDEXED:
            self.build()
        else:
            self.drop()

    def drop(self) -> None:
        """Remove the index and its files."""
        drop_indexes(self._folder.parent, self._name)

    def _write(self, write: Callable[[Path], None]) -> None:
        """Let a new index take the place of the old one, in one step."""
        old = self._folders()
        number = 1 + max((int(folder.name.rpartition("-")[2]) for folder in old), default=0)
        make_folder(self._folder)
        for left in self._folder.glob("part-*"):
            shutil.rmtree(left, ignore_errors=True)  # of a build that was killed: one process writes at a time
        part = Path(tempfile.mkdtemp(prefix="part-", dir=self._folder))
        try:
            write(part)
            FileSums(part).add_all()
            part.chmod(0o755)
            sync_tree(part)
            move(part, self._folder / f"{self._name}-{number}")
        finally:
            shutil.rmtree(part, ignore_errors=True)
        for folder in old:
            remove_tree(folder)  # a reader that has it open keeps it

    def _fill(
        self, table: Snapshot, folder: Path, shape: IndexShape, sample: Vectors | None, old: View | None = None
    ) -> None:
        """Write the rows of a table, or those beside an older index behind those in it, and index them."""
        schema = pa.schema([table.schema.field(name) for name in self._columns])
        if old is not None:
            adopt(folder, old.index.folder)
        rows = table.batches([*self._columns, "vector"], _ROWS_PER_BATCH, old.beside if old else None)
        with written(folder, schema) as write:

            def parts() -> Iterator[tuple[NDArray[np.int64], Vectors]]:
                for part in rows:
                    write(part.select(self._columns).cast(schema))
                    yield _serials(part), vectors_of(part)

            write_index(folder, shape, sample, parts(), old.index if old else None)

    def _folders(self) -> list[Path]:
        """Folders of this table's indexes, the newest last."""
        return _folders(self._folder, self._name)

    def _newest(self) -> Place | None:
        folders = self._folders()
        try:
            return (folders[-1], folders[-1].stat().st_mtime_ns) if folders else None
        except FileNotFoundError:
            return self._newest()  # replaced meanwhile

    def _view(self) -> View | None:
        """The newest index for the table as it is now; None without one that can be used.

        A writer may replace an index between the look at the folder and the reading of it. One thread looks at a time:
        after a write every row's number is read again, and once is enough for all that are searching.
        """
        with self._looking:
            return self._look()

    def _look(self) -> View | None:
        seen = self._seen
        while (place := self._newest()) is not None and self._worth_opening(place):
            table = self._table.now()
            same = seen is not None and seen.place == place
            if seen is not None and same and seen.table.version == table.version:
                return seen
            try:
                index, hits = (seen.index, seen.hits) if seen is not None and same else _opened(place[0])
            except DAMAGED as error:
                if place == self._newest():
                    self._refuse(place, error)
                continue
            view = self._seen = self._seen_by(place, index, hits, table)
            return view
        return None

    def _seen_by(self, place: Place, index: VectorIndex, hits: HitRows, table: Snapshot) -> View | None:
        last, ordered = int(index.keys.max()), np.argsort(index.keys, kind="stable")
        serials = _serials(table.read(["serial"]))
        known = serials <= last
        at = positions(index.keys, ordered, serials[known])
        if (at < 0).any():  # else −1 would be the last vector, and these rows would be found nowhere
            self._refuse(place, f"{int((at < 0).sum())} rows of the table are neither in it nor after it")
            return None
        there = np.zeros(len(index.keys), np.bool_)
        there[at] = True
        return View(table, place, index, hits, last, ordered, there, int((~known).sum()))

    def _worth_opening(self, place: Place) -> bool:
        return place != self._unusable or time.monotonic() - self._tried > _AGAIN

    def _refuse(self, place: Place, reason: object) -> None:
        """Search without this index for a while; the next ``refresh`` builds another."""
        self._unusable, self._tried = place, time.monotonic()
        self._warn(place[0], reason)

    def _warn(self, folder: Path, reason: object) -> None:
        warnings.warn(
            f"the index {folder} cannot be used ({reason}); searches look at every case until it is built again with: "
            f"dermquery base index {self._folder.parent}",
            RuntimeWarning,
            stacklevel=2,
        )

    def index_columns(self) -> None:
        """Build the indexes of the columns that filters ask for."""
        there = self._table.now().schema.names
        for names, kind in ((_BITMAPS, "BITMAP"), (_TREES, "BTREE")):
            for name in set(names).intersection(there):
                self._table.index_column(name, kind)


def drop_indexes(folder: Path, name: str) -> None:
    """Remove the indexes of a table and their files."""
    for index in _folders(folder / "index", name):
        remove_tree(index)


def _folders(folder: Path, table: str) -> list[Path]:
    try:
        names = [entry.name for entry in os.scandir(folder)]
    except FileNotFoundError:
        return []
    parts = [(name, name.rpartition("-")) for name in names]
    mine = [name for name, (of, _, number) in parts if of == table and number.isdecimal()]
    return [folder / name for name in sorted(mine, key=lambda name: int(name.rpartition("-")[2]))]


def _sample(table: Snapshot, wanted: int, n: int) -> Vectors:
    """About so many vectors drawn at random, in random order."""
    rng = np.random.default_rng(0)
    parts = (vectors_of(part) for part in table.batches(["vector"], _ROWS_PER_BATCH))
    drawn = [vectors[rng.random(len(vectors)) < wanted / n] for vectors in parts]
    sample = np.concatenate(drawn)
    return np.asarray(sample[rng.permutation(len(sample))])


def _opened(folder: Path) -> tuple[VectorIndex, HitRows]:
    if wrong := FileSums(folder).wrong_of_all(LOOKED_OVER):
        raise ValueError(f"{', '.join(wrong)} not as written")
    index, hits = VectorIndex(folder), HitRows(folder)
    if len(hits) != len(index.keys):
        raise ValueError(f"{folder} holds {len(hits)} rows for {len(index.keys)} vectors")
    return index, hits


def _serials(table: pa.Table) -> NDArray[np.int64]:
    return np.asarray(table["serial"].to_numpy(), np.int64)


def vectors_of(table: pa.Table) -> Vectors:
    """Vectors of a result, (n, size) float32."""
    column = table["vector"].combine_chunks()
    size = column.type.list_size
    return np.asarray(column.flatten().to_numpy(zero_copy_only=False), dtype=np.float32).reshape(-1, size)
