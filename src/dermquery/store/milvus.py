"""The distributed store: one collection of a Milvus server, over the network, for many processes and machines."""

from __future__ import annotations

import json
import math
from collections import Counter
from collections.abc import Collection, Iterator, Sequence
from itertools import chain, islice
from pathlib import Path
from typing import Any

import numpy as np

from dermquery.data.case import Case
from dermquery.model.alignment import Vectors
from dermquery.store.filters import FIELDS, Filter, field_value
from dermquery.store.milvus_filter import MISSING_AGE, column_text, text_of_column, to_milvus
from dermquery.store.protocol import ImageStamp, ScoredCase, StoredCase
from dermquery.store.quantised import FEWEST, INDEX_FROM
from dermquery.store.ranking import MARGIN, SPARE, best, check_page, check_rows, check_search, id_filters, without

__all__ = ["MilvusStore", "collection_schema"]

_TEXT_COLUMNS = tuple(name for name in FIELDS if name not in ("case_id", "age"))
_MOST_LISTS = 65_536
_MOST = 16_384
"""Rows that Milvus gives in one answer."""
_ROWS_PER_PAGE = 500
_ID_BYTES, _TEXT_BYTES, _PAYLOAD_BYTES = 1024, 2048, 65_535
_BYTES_PER_WRITE = 8_000_000


def collection_schema(client: Any, size: int, description: str) -> tuple[Any, Any]:
    """Schema and index of a collection: a column for each field of a filter, the case as JSON, its vector."""
    from pymilvus import DataType

    schema = client.create_schema(auto_id=False, enable_dynamic_field=False, description=description)
    schema.add_field("case_id", DataType.VARCHAR, is_primary=True, max_length=_ID_BYTES)
    for name in _TEXT_COLUMNS:
        schema.add_field(name, DataType.VARCHAR, max_length=_TEXT_BYTES)
    schema.add_field("age", DataType.DOUBLE)
    schema.add_field("payload", DataType.VARCHAR, max_length=_PAYLOAD_BYTES)
    schema.add_field("vector", DataType.FLOAT_VECTOR, dim=size)
    index = client.prepare_index_params()
    index.add_index("vector", index_type="FLAT", metric_type="IP")
    return schema, index


class MilvusStore:
    """A :class:`~dermquery.store.protocol.CaseStore` in a collection of a Milvus server.

    Reads are strongly consistent: they see every write that was acknowledged to anyone before they asked, which costs
    the server's time tick (about .2 s). One answer holds at most 16,384 rows, so of more equal scores than that at the
    last place, which ones are found is the server's choice.

    Args:
        client: a ``pymilvus.MilvusClient``.
        collection: name or alias of a collection with :func:`collection_schema`.
        size: length of the vectors.
    """

    def __init__(self, client: Any, collection: str, size: int) -> None:
        self.collection, self.size = collection, size
        self._client = client
        self._index: dict[str, Any] | None = None

    def upsert(self, rows: Sequence[StoredCase]) -> None:
        """Add rows, replacing those with the same ``case_id``; all of them or none, in writes of at most 8 MB.

        Raises:
            ValueError: for a ``case_id`` that occurs twice, a vector of another length or with a NaN, or a case whose
                description is longer than Milvus can hold.
        """
        check_rows(rows, self.size)
        records = [_record(row) for row in rows]
        step = max(1, _BYTES_PER_WRITE // (4 * self.size + _TEXT_BYTES))
        for start in range(0, len(records), step):
            self._client.upsert(self.collection, records[start : start + step])

    def delete(self, case_ids: Collection[str]) -> int:
        """Remove cases; returns how many there were."""
        removed = 0
        for part in id_filters(case_ids):
            there = [record["case_id"] for record in self._query(to_milvus(part), ["case_id"])]
            if there:
                self._client.delete(self.collection, ids=there)
            removed += len(there)
        return removed

    def get(self, case_ids: Collection[str], *, vectors: bool = True) -> dict[str, StoredCase]:
        """The rows with these ids, by id; ids that are not there are left out."""
        columns = ["payload", "vector"] if vectors else ["payload"]
        found = (_row(r) for part in id_filters(case_ids) for r in self._query(to_milvus(part), columns))
        return {row.case.case_id: row for row in found}

    def count(self, where: Filter | None = None) -> int:
        """Number of cases, or of those that satisfy a filter."""
        return int(self._query(to_milvus(where), ["count(*)"])[0]["count(*)"])

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
        condition = to_milvus(without(where or Filter(), exclude))
        probes = _MOST_LISTS if exact else self._probes()
        fetch = depth + SPARE
        while True:
            limit = min(fetch, _MOST)
            answer = self._client.search(
                self.collection, data=[np.asarray(vector, np.float32)], limit=limit, filter=condition,
                output_fields=["payload", "vector"], consistency_level="Strong",
                search_params={"metric_type": "IP", "params": {"nprobe": probes}},
            )[0]  # fmt: skip
            rows = [_row(hit["entity"]) for hit in answer]
            ranked = best(rows, vector, depth)
            if len(rows) < limit or limit == _MOST or answer[-1]["distance"] < ranked[-1].score - MARGIN:
                return ranked[offset:]
            fetch *= 4

    def page(
        self, where: Filter | None = None, after: str | None = None, limit: int = 50, *, vectors: bool = False
    ) -> list[StoredCase]:
        """The first ``limit`` cases that satisfy a filter, in ascending order of ``case_id``, all beyond ``after``."""
        check_page(limit)
        columns = ["payload", "vector"] if vectors else ["payload"]
        start = "" if after is None else column_text(after)
        pages = self._pages(to_milvus(where), columns, min(limit, _ROWS_PER_PAGE), start)
        return [_row(record) for record in islice(chain.from_iterable(pages), limit)]

    def scan(self, *, vectors: bool = True) -> Iterator[list[StoredCase]]:
        """Every row, a bounded number at a time, in ascending order of ``case_id``."""
        columns = ["payload", "vector"] if vectors else ["payload"]
        for page in self._pages("", columns, _ROWS_PER_PAGE):
            yield [_row(record) for record in page]

    def ids(self) -> list[str]:
        """Every ``case_id``, sorted."""
        return sorted(str(text_of_column(record["case_id"])) for record in self._every("", ["case_id"]))

    def value_counts(self, field: str, where: Filter | None = None) -> dict[str | float | None, int]:
        """How often each value of a field occurs, most frequent first; None counts the cases without one."""
        if field not in FIELDS:
            raise ValueError(f"unknown field {field!r}; use one of: {', '.join(FIELDS)}")
        stored = Counter(record[field] for record in self._every(to_milvus(where), [field]))
        if field == "age":
            counts = {None if age == MISSING_AGE else age: n for age, n in stored.items()}
        else:
            counts = {text_of_column(value): n for value, n in stored.items()}
        return dict(sorted(counts.items(), key=lambda item: (-item[1], str(item[0]))))

    def compact(self) -> None:
        """Seal what was written, so that it lies in files; a collection that has grown large gets an index."""
        self._client.flush(self.collection)
        if self._index_type() == "FLAT" and self.count() >= INDEX_FROM:
            self.build_index()

    def build_index(self) -> int:
        """Build an inverted file (IVF_FLAT) in place of the list that every search reads whole.

        Every segment has one, the server extends it to new rows, and it answers exactly when all lists are read.
        Searches wait while the collection is loaded again.

        Raises:
            ValueError: for too few rows.
        """
        n = self.count()
        if n < FEWEST:
            raise ValueError(
                f"an index needs at least {FEWEST} cases, and there are {n}; every search is exact without"
            )
        client = self._client
        client.flush(self.collection)
        lists = max(16, min(_MOST_LISTS, 2 ** round(math.log2(4 * math.sqrt(n)))))
        params = client.prepare_index_params()
        params.add_index("vector", index_type="IVF_FLAT", metric_type="IP", params={"nlist": lists})
        client.release_collection(self.collection)
        try:
            client.drop_index(self.collection, "vector")
            client.create_index(self.collection, params)
        finally:
            client.load_collection(self.collection)
        self._index = None
        return n

    def _index_type(self) -> str:
        return str(self._described().get("index_type", "FLAT"))

    def _probes(self) -> int:
        """Lists that a search reads: half of them, and all where none are known of.

        Another process may have built them since the look; to the list that every search reads whole, it is all one.
        """
        lists = self._described().get("nlist")
        return _MOST_LISTS if lists is None else max(1, int(lists) // 2)

    def _described(self) -> dict[str, Any]:
        """The index of the vectors, looked up once."""
        if self._index is None:
            self._index = dict(self._client.describe_index(self.collection, "vector") or {})
        return self._index

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


def _record(row: StoredCase) -> dict[str, Any]:
    case, stamp = row.case, row.stamp
    payload = json.dumps(
        {
            "case": case.model_dump(mode="json") | {"image": str(case.image.absolute())},
            "stamp": [stamp.sha256, stamp.size, stamp.mtime_ns, stamp.phash],
        },
        ensure_ascii=False,
    )
    texts = {name: column_text(_text(case, name)) for name in _TEXT_COLUMNS}
    columns = {"case_id": column_text(case.case_id), **texts, "payload": payload}
    for name, text in columns.items():
        most = {"case_id": _ID_BYTES, "payload": _PAYLOAD_BYTES}.get(name, _TEXT_BYTES)
        if len(text.encode()) > most:
            what = "its whole description" if name == "payload" else name
            raise ValueError(
                f"case {case.case_id[:60]!r}: {what} takes {len(text.encode())} bytes, and a Milvus column holds "
                f"{most}; shorten it, or keep this base in a folder"
            )
    age = MISSING_AGE if case.age is None else float(case.age)
    return {**columns, "age": age, "vector": np.asarray(row.vector, np.float32)}


def _text(case: Case, name: str) -> str | None:
    value = field_value(case, name)
    return None if value is None else str(value)


def _row(record: dict[str, Any]) -> StoredCase:
    held = json.loads(record["payload"])
    case = Case(**{**held["case"], "image": Path(held["case"]["image"])})
    vector = np.asarray(record.get("vector", ()), np.float32)
    return StoredCase(case, vector, ImageStamp(*held["stamp"]))
