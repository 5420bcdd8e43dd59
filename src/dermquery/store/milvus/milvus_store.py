"""The distributed store: one collection of a Milvus server, over the network, for many processes and machines."""

from __future__ import annotations

import json
import time
from collections import Counter
from collections.abc import Collection, Iterator, Sequence
from contextlib import contextmanager
from functools import cached_property
from itertools import chain, islice
from typing import Any

import numpy as np

from dermquery.data.case import NUMBERS
from dermquery.model.alignment import Vectors
from dermquery.store.damage import Damage, DamageLog
from dermquery.store.exact_order import (
    SINGLE,
    SPARE,
    best,
    check_page,
    check_rows,
    check_search,
    id_filters,
    margin,
    without,
)
from dermquery.store.filters import FIELDS, Filter, without_fields
from dermquery.store.milvus.columns import in_writes, left_of_record, to_record, to_row
from dermquery.store.milvus.connection import TranslatedClient
from dermquery.store.milvus.expression import MISSING_NUMBER, column_text, text_of_column, to_milvus
from dermquery.store.milvus.list_index import REMEMBERED_SECONDS, ListIndex
from dermquery.store.protocol import INDEX_FROM, Flaws, ScoredCase, StoredCase, image_key

__all__ = ["MilvusStore"]

_MOST = 16_384
"""Rows that Milvus gives in one answer."""
_ROWS_PER_PAGE = 500


class MilvusStore:
    """A :class:`~dermquery.store.protocol.CaseStore` in a collection of a Milvus server.

    Reads are strongly consistent: they see every write that was acknowledged to anyone before they asked, for which
    each waits for the server's time tick (about .2 s). Whatever the server fails at is a
    :class:`.connection.StoreError`. One answer holds at most 16,384 rows, so of more equal scores than that at the last
    place, which ones are found is the server's choice.

    Args:
        client: a ``pymilvus.MilvusClient``.
        collection: name or alias of a collection with :func:`~dermquery.store.milvus.columns.collection_schema`.
        size: length of the vectors.
        uri: the base, for messages.
    """

    def __init__(self, client: Any, collection: str, size: int, *, uri: str = "") -> None:
        self.collection, self.size = collection, size
        self._damage = DamageLog(uri or collection)
        self._client = client if isinstance(client, TranslatedClient) else TranslatedClient(client)
        self._index = ListIndex(self._client, collection)
        self._counted: dict[str, tuple[int, float, dict[str | float | None, int]]] = {}
        self._wrote = False
        self._writes = 0

    def upsert(self, rows: Sequence[StoredCase]) -> None:
        """Add rows, replacing those with the same ``case_id``.

        Nothing is written if one row cannot be held. Then they go in writes of at most 8 MB, far below what the server
        takes at once; each of these is there as a whole or not at all, and one that fails leaves those before it.

        Raises:
            ValueError: for a ``case_id`` that occurs twice, a vector of another length or with a NaN, or a case whose
                description is longer than Milvus can hold.
        """
        check_rows(rows, self.size)
        records = [to_record(row, self._lacking) for row in rows]
        for part in in_writes(records):
            with self._changing():
                self._client.upsert(self.collection, part)
        self._damage.forget([row.case.case_id for row in rows])

    def delete(self, case_ids: Collection[str]) -> int:
        """Remove cases; returns how many there were."""
        removed = 0
        for part in id_filters(case_ids):
            there = [record["case_id"] for record in self._query(to_milvus(part), ["case_id"])]
            if there:
                with self._changing():
                    self._client.delete(self.collection, ids=there)
            removed += len(there)
        self._damage.forget(case_ids)
        return removed

    def get(self, case_ids: Collection[str], *, vectors: bool = True) -> dict[str, StoredCase]:
        """The rows with these ids, by id; ids that are not there are left out."""
        columns = self._row_columns(vectors=vectors)
        found = (row for part in id_filters(case_ids) for row in self._sound(self._query(to_milvus(part), columns)))
        return {row.case.case_id: row for row in found}

    def with_image(self, sha256: str) -> list[StoredCase]:
        """The rows of one image file, by its hash, sorted by ``case_id``."""
        found = self._query(f"image_key == {json.dumps(image_key(sha256))}", self._row_columns(vectors=True))
        same = (row for row in self._sound(found) if row.stamp.sha256 == sha256)
        return sorted(same, key=lambda row: row.case.case_id)

    def count(self, where: Filter | None = None) -> int:
        """Number of cases, or of those that satisfy a filter."""
        return int(self._query(self._condition(where), ["count(*)"])[0]["count(*)"])

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

        As in the embedded store, the server proposes in float32, and products are taken again here in float64.
        ``offset`` of the best are passed over. Of an index some lists are read, and all of them if ``exact``.

        Raises:
            ValueError: for a ranking deeper than the rows of one answer.
        """
        check_search(vector, self.size, top_k, offset)
        depth = offset + top_k
        if depth > _MOST:
            raise ValueError(
                f"offset {offset} + top_k {top_k} = {depth} hits, and Milvus ranks at most {_MOST}; ask for fewer, or "
                "narrow the filter"
            )
        condition = self._condition(without(where or Filter(), exclude))
        probes = self._index.probes(exact=exact)
        fetch = depth + SPARE
        while True:
            limit = min(fetch, _MOST)
            answer = self._client.search(
                self.collection, data=[np.asarray(vector, np.float32)], limit=limit, filter=condition,
                output_fields=["case_id", *self._row_columns(vectors=True)], consistency_level="Strong",
                search_params={"metric_type": "IP", "params": {"nprobe": probes}},
            )[0]  # fmt: skip
            rows = self._sound([hit["entity"] for hit in answer])
            ranked = best(rows, vector, depth)
            off = margin(np.stack([row.vector for row in rows]), vector, SINGLE) if rows else 0.0
            sure = ranked[-1].score - off if ranked else 0.0
            if len(answer) < limit or limit == _MOST or answer[-1]["distance"] < sure:
                return ranked[offset:]
            fetch *= 4

    def page(
        self, where: Filter | None = None, after: str | None = None, limit: int = 50, *, vectors: bool = False
    ) -> list[StoredCase]:
        """The first ``limit`` cases that satisfy a filter, in ascending order of ``case_id``, all beyond ``after``."""
        check_page(limit)
        columns = self._row_columns(vectors=vectors)
        start = "" if after is None else column_text(after)
        pages = self._pages(self._condition(where), columns, min(limit, _ROWS_PER_PAGE), start)
        return self._sound(list(islice(chain.from_iterable(pages), limit)))

    def spread(self, limit: int) -> list[StoredCase]:
        """The first ``limit`` cases by id with their vectors: a server has no cheaper sample."""
        return self.page(limit=limit, vectors=True)

    def scan(self, *, vectors: bool = True, whole: bool = True) -> Iterator[list[StoredCase]]:
        """Every row, a bounded number at a time, in ascending order of ``case_id``; DamageError if one is damaged."""
        for page in self._pages("", self._row_columns(vectors=vectors), _ROWS_PER_PAGE):
            rows = self._sound(page)
            if whole and len(rows) < len(page):
                self._damage.check()
            yield rows

    def ids(self) -> list[str]:
        """Every ``case_id``, sorted."""
        return sorted(str(text_of_column(record["case_id"])) for record in self._every("", ["case_id"]))

    def value_counts(self, field: str, where: Filter | None = None) -> dict[str | float | None, int]:
        """How often each value of a field occurs, most frequent first; None counts the cases without one.

        The server counts no groups, so every row's value is read. Without a filter the answer is remembered: for a
        minute at most, and until the number of cases changes or something is written here.
        """
        if field not in FIELDS:
            raise ValueError(f"unknown field {field!r}; use one of: {', '.join(FIELDS)}")
        if where is not None:
            return self._value_counts(field, where)
        writes, n, now = self._writes, self.count(), time.monotonic()
        known = self._counted.get(field)
        if known is None or known[0] != n or now - known[1] > REMEMBERED_SECONDS:
            known = n, now, self._value_counts(field, None)
            if writes == self._writes:  # else another thread wrote meanwhile, and these may be the counts of before
                self._counted[field] = known
        return dict(known[2])

    def _value_counts(self, field: str, where: Filter | None) -> dict[str | float | None, int]:
        if field in self._lacking:
            n = self.count(where)
            return {None: n} if n else {}
        stored = Counter(record[field] for record in self._every(self._condition(where), [field]))
        if field in NUMBERS:
            counts = {None if number == MISSING_NUMBER else number: n for number, n in stored.items()}
        else:
            counts = {text_of_column(value): n for value, n in stored.items()}
        return dict(sorted(counts.items(), key=lambda item: (-item[1], str(item[0]))))

    def compact(self) -> None:
        """Seal what was written, so that it lies in files; a collection that has grown large gets an index."""
        if self._wrote:  # servers take one flush in ten seconds, and what others wrote they seal themselves
            self._client.flush(self.collection)
            self._wrote = False
        self._index.forget()
        if self._index.is_flat and self.count() >= INDEX_FROM:
            self.build_index()

    def inspect(self) -> Flaws:
        """Read every row, and say what is wrong; the server answers for its files."""
        columns = self._row_columns(vectors=True)
        wrong: dict[str, StoredCase | None] = {}
        for page in self._pages("", columns, _ROWS_PER_PAGE):
            sound = {row.case.case_id for row in self._sound(page)}
            records = ((str(text_of_column(record["case_id"])), record) for record in page)
            wrong |= {case_id: left_of_record(record) for case_id, record in records if case_id not in sound}
        return Flaws(wrong)

    def renew(self, flaws: Flaws) -> None:
        """Nothing: the server answers for its files."""

    def damage(self) -> tuple[Damage, ...]:
        """What is known to be wrong with rows that were read."""
        return self._damage.found()

    def warm(self) -> None:
        """Nothing: the server holds a loaded collection in memory already."""

    def build_index(self) -> int:
        """Build an inverted file in place of the list that every search reads whole (:class:`.list_index.ListIndex`).

        Raises:
            ValueError: for too few rows.
        """
        n = self.count()
        self._index.build(n)
        return n

    @cached_property
    def _lacking(self) -> frozenset[str]:
        """Fields that were declared after the collection was made, whose columns stay as they are."""
        return frozenset(FIELDS) - self._there

    @cached_property
    def _there(self) -> frozenset[str]:
        columns = self._client.describe_collection(self.collection)["fields"]
        return frozenset(column["name"] for column in columns)

    def _row_columns(self, *, vectors: bool) -> list[str]:
        """What a row is made of; collections of earlier schemas have no checksums."""
        return ["payload", *({"checksum"} & self._there), *(["vector"] if vectors else [])]

    def _sound(self, records: Sequence[dict[str, Any]]) -> list[StoredCase]:
        """The rows of an answer that are as they were written; the others are noted."""
        rows = []
        for record in records:
            row, case_id = to_row(record), str(text_of_column(record["case_id"]))
            if row is None or row.case.case_id != case_id:
                self._damage.note([case_id])
            else:
                rows.append(row)
        return rows

    def _condition(self, where: Filter | None) -> str:
        if where is None or not where.fields:
            return to_milvus(where)
        return to_milvus(without_fields(where, self._lacking))

    @contextmanager
    def _changing(self) -> Iterator[None]:
        self._wrote = True
        try:
            yield
        finally:
            self._writes += 1
            self._counted.clear()

    def _query(self, condition: str, columns: list[str], limit: int = _MOST) -> list[dict[str, Any]]:
        options: dict[str, Any] = {} if columns == ["count(*)"] else {"limit": limit}
        return list(
            self._client.query(
                self.collection, filter=condition, output_fields=columns, consistency_level="Strong", **options
            )
        )

    def _every(self, condition: str, columns: list[str]) -> Iterator[dict[str, Any]]:
        """All rows that satisfy a condition."""
        return chain.from_iterable(self._pages(condition, columns, _MOST))

    def _pages(self, condition: str, columns: list[str], step: int, after: str = "") -> Iterator[list[dict[str, Any]]]:
        """The same, at most ``step`` at a time, in the order of the ids, in which Milvus cuts an answer.

        ``after`` is an id as it stands in the column; "" comes before all.
        """
        while True:
            beyond = f"case_id > {after!r}" if after else ""
            both = " and ".join(part for part in (condition, beyond) if part)
            found = self._query(both, list(dict.fromkeys(["case_id", *columns])), step)
            if found:
                yield sorted(found, key=lambda record: str(record["case_id"]))
            if len(found) < step:
                return
            after = max(str(record["case_id"]) for record in found)
