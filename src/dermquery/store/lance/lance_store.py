"""The embedded store: one table in Lance's format in a folder.

A small one is searched exhaustively. A large one gets an index (:mod:`.vector_index`), which proposes candidates;
scores are exact either way.
"""

from __future__ import annotations

import threading
from collections.abc import Collection, Iterator, Sequence
from pathlib import Path

import numpy as np
import pyarrow as pa

from dermquery.model.alignment import Vectors
from dermquery.store.damage import LOST, Damage, DamageLog, check_command, is_sound
from dermquery.store.exact_order import (
    HALF,
    SPARE,
    check_page,
    check_rows,
    check_search,
    id_filters,
    margin,
    products,
    without,
)
from dermquery.store.filters import FIELDS, Filter, without_fields
from dermquery.store.lance.columns import table_schema, to_table, wrong_rows
from dermquery.store.lance.file_sums import LOOKED_OVER
from dermquery.store.lance.lance_table import LanceTable, Snapshot, TableError, drop_files
from dermquery.store.lance.sql import beyond, of_image, to_lance
from dermquery.store.lance.vector_index import TableIndex, drop_indexes, vectors_of
from dermquery.store.protocol import Flaws, ScoredCase, StoredCase, from_payload, image_key

__all__ = ["LanceStore", "drop_table"]

_ROW = ("case_id", "payload", "checksum")
_HIT = (*_ROW, "serial")
_ROWS_PER_BATCH = 500
_BESIDE = 6
"""Candidates of the index beyond those asked for: each costs a read, and 8 bits a number misplace few by more."""


class LanceStore:
    """A :class:`~dermquery.store.protocol.CaseStore` in a folder of this machine.

    Readers and writers may be different processes; a reader sees every write that was finished before it asked.

    Args:
        folder: where the table lies.
        size: length of the vectors.
        table: its name; a base that is encoded again has two for a while.
        apart: see :class:`.quantised.IndexShape`.
        create: make folder and table, empty, if there is none.

    Raises:
        ManifestError: there is no such table, and none was to be made.
        TableError: each of its methods, where files are gone, damaged or cannot be written.
    """

    def __init__(
        self, folder: Path, size: int, table: str = "cases", *, apart: tuple[int, int] = (0, 0), create: bool = True
    ) -> None:
        self.folder = folder
        self.size = size
        self._schema = table_schema(size)
        self._table = LanceTable(folder, table, self._schema if create else None)
        self._index = TableIndex(folder, table, self._table, _HIT, apart)
        self._damage = DamageLog(folder)
        self._looking, self._looked = threading.Lock(), -1
        self._whole = False
        self._next: tuple[int, int] | None = None
        self._counted: dict[str, tuple[int, dict[str | float | None, int]]] = {}

    def upsert(self, rows: Sequence[StoredCase]) -> None:
        """Add rows, replacing those with the same ``case_id``; all of them or none.

        Raises:
            ValueError: for a ``case_id`` that occurs twice, or a vector of another length or with a NaN.
        """
        if not rows:
            return
        check_rows(rows, self.size)
        if lacking := self._lacking():
            self._table.add_columns(pa.schema(lacking))
        first = self._next_serial()
        version = self._table.merge("case_id", to_table(rows, self._schema, first))
        self._next = version, first + len(rows)
        self._damage.forget([row.case.case_id for row in rows])

    def delete(self, case_ids: Collection[str]) -> int:
        """Remove cases; returns how many there were."""
        removed = sum(self._table.delete(to_lance(part)) for part in id_filters(case_ids))
        self._damage.forget(case_ids)
        return removed

    def get(self, case_ids: Collection[str], *, vectors: bool = True) -> dict[str, StoredCase]:
        """The rows with these ids, by id; ids that are not there, or whose row is damaged, are left out."""
        return self._get(self._table.now(), case_ids, vectors=vectors)

    def with_image(self, sha256: str) -> list[StoredCase]:
        """The rows of one image file, by its hash, sorted by ``case_id``."""
        found = self._table.now().read([*_ROW, "vector"], of_image(image_key(sha256)))
        same = (row for row in self._sound(found, vectors_of(found)) if row.stamp.sha256 == sha256)
        return sorted(same, key=lambda row: row.case.case_id)

    def count(self, where: Filter | None = None) -> int:
        """Number of cases, or of those that satisfy a filter."""
        return self._table.now().count(to_lance(self._within(where)) if where else None)

    def search(
        self,
        vector: Vectors,
        where: Filter | None = None,
        top_k: int = 5,
        exclude: Collection[str] = (),
        offset: int = 0,
        *,
        exact: bool = False,
    ) -> list[ScoredCase]:
        """The ``top_k`` cases of greatest inner product with ``vector`` (size,), best first, ties by ``case_id``.

        ``offset`` of the best are passed over. Candidates come from the index if there is one, and rows written after
        it are all looked at; ``exact`` looks at every row. Products are taken in float64 of what the table holds.
        """
        check_search(vector, self.size, top_k, offset)
        self._look_over()
        while True:
            known = self._damage.case_ids
            condition = self._within(without(where or Filter(), {*exclude, *known}))
            found = self._ranked(vector, condition, offset, top_k, exact=exact)
            if self._damage.case_ids == known:
                return found

    def _ranked(self, vector: Vectors, condition: Filter, offset: int, top_k: int, *, exact: bool) -> list[ScoredCase]:
        """The ranking without the rows that turn out to be damaged, in whose places none come up."""
        depth = offset + top_k
        indexed = None if exact else self._index.nearest(vector, condition, depth + _BESIDE)
        if indexed is None:
            table, vectors = _candidates(self._table.now(), vector, to_lance(condition), depth)
        else:
            table, vectors, view = indexed
            if view.beside is not None:
                fresh = _candidates(view.table, vector, f"({to_lance(condition)} AND {view.beside})", depth)
                table = pa.concat_tables([part.select(_HIT) for part in (table, fresh[0])])
                vectors = np.concatenate([vectors, fresh[1]])
        scores = products(vectors, vector)
        ids = table["case_id"].to_pylist()
        order = sorted(range(table.num_rows), key=lambda i: (-scores[i], ids[i]))[offset:depth]
        score = {ids[i]: float(scores[i]) for i in order}
        rows = self._sound(table.take(pa.array(order, pa.int64())), vectors[order])
        return [ScoredCase(row, score[row.case.case_id]) for row in rows]

    def page(
        self, where: Filter | None = None, after: str | None = None, limit: int = 50, *, vectors: bool = False
    ) -> list[StoredCase]:
        """The first ``limit`` cases that satisfy a filter, in ascending order of ``case_id``, all beyond ``after``."""
        check_page(limit)
        table = self._table.now()
        ids = table.first("case_id", beyond(self._within(where or Filter()), after), limit)
        rows = self._get(table, ids, vectors=vectors)
        return [rows[case_id] for case_id in ids if case_id in rows]

    def spread(self, limit: int) -> list[StoredCase]:
        """At most ``limit`` cases with their vectors, at even distances in the order in which they were written."""
        table = self._table.now().spread(_columns(vectors=True), limit)
        return list(self._sound(table, vectors_of(table)))

    def scan(self, *, vectors: bool = True, whole: bool = True) -> Iterator[list[StoredCase]]:
        """Every row, a bounded number at a time, as the table was when the scan began.

        Raises:
            DamageError: a row is damaged, and ``whole`` is asked for.
            TableError: rows are lost.
        """
        if whole:
            self._table.check_whole()
        for table in self._table.now().batches(_columns(vectors=vectors), _ROWS_PER_BATCH):
            rows = list(self._sound(table, vectors_of(table) if vectors else None))
            if whole and len(rows) < table.num_rows:
                self._damage.check()
            yield rows

    def ids(self) -> list[str]:
        """Every ``case_id``, sorted."""
        return sorted(self._table.now().read(["case_id"])["case_id"].to_pylist())

    def value_counts(self, field: str, where: Filter | None = None) -> dict[str | float | None, int]:
        """How often each value of a field occurs, most frequent first; None counts the cases without one."""
        if field not in FIELDS:
            raise ValueError(f"unknown field {field!r}; use one of: {', '.join(FIELDS)}")
        table = self._table.now()
        if where is None and field in self._counted and self._counted[field][0] == table.version:
            return dict(self._counted[field][1])
        if any(column.name == field for column in self._lacking()):
            n = self.count(where)
            return {None: n} if n else {}
        values = table.read([field], to_lance(self._within(where)) if where else None)[field]
        counts = [(entry["values"], entry["counts"]) for entry in values.value_counts().to_pylist()]
        found = dict(sorted(counts, key=lambda item: (-item[1], str(item[0]))))
        if where is None:
            self._counted[field] = table.version, found
        return dict(found)

    def compact(self) -> None:
        """Merge the small files of many writes; bring the index up to date, or build one for a table that has grown.

        Versions that another process may still read are kept a week.
        """
        self._table.compact()
        self._index.refresh()

    def warm(self) -> None:
        """Open the index and read it from the disk once: some 2 bytes a number, which the operating system keeps.

        All of it is held against its checksums.
        """
        self._look_over(most=None)
        self._index.warm()

    def damage(self) -> tuple[Damage, ...]:
        """What is known to be wrong; the whole table was looked at once the first search was answered."""
        return ((LOST,) if self._table.lost else ()) + self._damage.found()

    def _look_over(self, most: int | None = LOOKED_OVER) -> None:
        """Hold the table's files against their checksums, those that were written since the last look.

        A vector that lost a bit may leave every answer, in which its row's checksum would be looked at. So where files
        are wrong, every row is held against its own. Of more than ``most`` bytes nothing is read.

        Raises:
            TableError: files cannot be read any more.
        """
        with self._looking:
            if (version := self._table.now().version) == self._looked and most is not None:
                return
            wrong = self._table.wrong_files(most)
            self._damage.note_files(wrong)
            if wrong:
                self._find_wrong_rows(wrong)
            self._looked = version

    def _find_wrong_rows(self, files: Collection[str]) -> None:
        try:
            for wrong in self._wrong_rows():
                self._damage.note(wrong)
        except TableError as error:
            raise TableError(
                f"files of {self.folder} are damaged and cannot be read: {', '.join(sorted(files))}; mend with: "
                f"{check_command(self.folder)} --repair"
            ) from error

    def _wrong_rows(self) -> Iterator[dict[str, StoredCase | None]]:
        """What is sound of the rows that are wrong, by their id as its column says it, a batch at a time."""
        lacking = {column.name for column in self._lacking()}
        columns = [column.name for column in self._schema if column.name not in lacking]
        for table in self._table.now().batches(columns, _ROWS_PER_BATCH):
            yield wrong_rows(table, vectors_of(table))

    def inspect(self) -> Flaws:
        """Read everything, and say what is wrong."""
        rows: dict[str, StoredCase | None] = {}
        unreadable = ""
        try:
            for wrong in self._wrong_rows():
                rows |= wrong
        except TableError as error:
            unreadable = str(error)
        self._damage.note(rows)
        torn = self._table.torn
        return Flaws(
            rows,
            tuple(sorted(self._table.wrong_files())),
            unreadable,
            lost="; ".join(version.lacks for version in torn if version.confirmed),
            cut_off="; ".join(version.lacks for version in torn if not version.confirmed),
            index=self._index.flaw(),
        )

    def renew(self, flaws: Flaws) -> None:
        """Write anew the rows that lie in damaged files, put aside what was cut off, and build indexes again."""
        for ids in self._table.ids_in(flaws.files, "case_id"):
            rows = self.get(ids)
            if len(rows) == len(ids):
                self.upsert(list(rows.values()))
        if flaws.cut_off:
            self._table.put_aside()
        if any(name.startswith("_indices/") for name in flaws.files):
            self._index.index_columns()
        if flaws.index:
            self._index.purge()

    def _sound(self, table: pa.Table, vectors: Vectors | None) -> Iterator[StoredCase]:
        """The rows of a result that are as they were written; the others are noted."""
        held = np.empty((table.num_rows, 0), np.float32) if vectors is None else vectors
        columns = (table[name].to_pylist() for name in _ROW)
        for case_id, payload, stored, vector in zip(*columns, held, strict=True):
            row = from_payload(payload, vector) if is_sound(payload, vector, stored) else None
            if row is None or row.case.case_id != case_id:
                self._damage.note([case_id])
            else:
                yield row

    def _get(self, table: Snapshot, case_ids: Collection[str], *, vectors: bool) -> dict[str, StoredCase]:
        columns = _columns(vectors=vectors)
        parts = (table.read(columns, to_lance(part)) for part in id_filters(case_ids))
        found = (row for part in parts for row in self._sound(part, vectors_of(part) if vectors else None))
        return {row.case.case_id: row for row in found}

    def purge(self) -> None:
        """Remove what the index still holds of rows that were deleted or written again."""
        self._index.purge()

    def build_index(self) -> int:
        """Build the index now, whatever the number of cases; returns how many are in it.

        Raises:
            ValueError: for too few cases.
        """
        return self._index.build()

    def _within(self, where: Filter) -> Filter:
        """A filter that asks for no column that the table lacks."""
        return without_fields(where, [column.name for column in self._lacking()])

    def _lacking(self) -> list[pa.Field]:
        """Columns of fields that were declared after the table was written; it gets them with the next write."""
        if not self._whole:  # another process may have added them meanwhile
            there = set(self._table.now().schema.names)
            lacking = [column for column in self._schema if column.name not in there]
            self._whole = not lacking
            return lacking
        return []

    def _next_serial(self) -> int:
        """A number greater than that of every row, and of every row that the index knows."""
        table = self._table.now()
        if self._next is not None and self._next[0] == table.version:
            return self._next[1]
        held = table.read(["serial"])["serial"].to_numpy()
        return 1 + max(int(held.max()) if len(held) else 0, self._index.last())


def drop_table(folder: Path, name: str) -> None:
    """Remove a table, its files and its index, if it is there."""
    drop_files(folder, name)
    drop_indexes(folder, name)


def _candidates(table: Snapshot, vector: Vectors, condition: str, depth: int) -> tuple[pa.Table, Vectors]:
    """Rows among which the ``depth`` best of all are, and their vectors.

    Lance rounds the query to half precision too, so it is scaled to have all of its digits. What it proposes is taken
    again in float64, and more candidates are fetched while one that was left out could still reach the last place, so
    the order never depends on how the rows lie on disk.
    """
    scaled = vector / max(float(np.abs(vector).max()), 1e-30)
    fetch = depth + SPARE
    while True:
        found = table.nearest(scaled, (*_HIT, "vector"), condition, fetch)
        vectors = vectors_of(found)
        if found.num_rows < fetch:
            return found, vectors
        worst_proposed = 1.0 - float(found["_distance"][-1].as_py())
        sure = np.partition(products(vectors, scaled), -depth)[-depth] - margin(vectors, scaled, HALF)
        if worst_proposed < sure:
            return found, vectors
        fetch *= 4


def _columns(*, vectors: bool) -> list[str]:
    return [*_ROW, "vector"] if vectors else [*_ROW]
