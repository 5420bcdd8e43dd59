"""Rows that earlier versions of dermquery wrote, as rows of today: read-only, until ``dermquery base upgrade``.

What every schema brought:

== ======================================================================================================
2  ``source`` and ``date`` of a case
3  the perceptual hash of an image; images in an archive, versions of a base
4  serial numbers in a folder's table; Milvus texts that sort as ids do
5  the case as one text in a folder's table
6  the recorded findings in the vector, the image's hash in a column, vectors in half precision
7  a checksum of each row, and of each file of a folder's table
== ======================================================================================================

A new schema needs: its number (``SCHEMA_VERSION``), a reader of the columns of before
(:mod:`.lance.earlier_table`, :mod:`.milvus.milvus_store`), and a step here if old rows lack something. What takes
longer than a read allows, such as a look at the images, belongs into :func:`.upgrade.upgrade`.
"""

from __future__ import annotations

import datetime
from collections.abc import Callable, Collection, Iterator, Mapping, Sequence
from dataclasses import replace
from pathlib import Path
from typing import NoReturn

import numpy as np

from dermquery.model.alignment import Vectors
from dermquery.model.heads import recorded_values
from dermquery.store.base_manifest import SCHEMA_VERSION, Manifest, ManifestError
from dermquery.store.damage import Damage
from dermquery.store.filters import FIELDS, Filter
from dermquery.store.protocol import CaseReader, Flaws, ScoredCase, StoredCase

__all__ = ["EarlierRows", "UpgradeNeededError", "current_row", "upgrade_command"]

_FIELD_SINCE: Mapping[str, int] = {"source": 2, "date": 2}
"""Schema that brought a field; all others were there from the beginning."""
_IMAGE_KEY_SINCE = 6


class UpgradeNeededError(ManifestError):
    """A base of an earlier version was to be written to, or asked what its schema cannot answer."""


def upgrade_command(uri: str | Path) -> str:
    """What the user types to bring a base to the current schema."""
    return f"dermquery base upgrade {uri}"


def _with_source_and_date(row: StoredCase) -> StoredCase:
    """Schema 1 kept these columns of a case table among the extra ones."""
    extra = dict(row.case.extra)
    found: dict[str, object] = {}
    if source := extra.pop("source", None):
        found["source"] = source
    if written := extra.pop("date", None):
        try:
            found["date"] = datetime.datetime.fromisoformat(written).date()
        except ValueError:
            extra["date as written"] = written
    return replace(row, case=row.case.model_copy(update={**found, "extra": extra})) if extra != row.case.extra else row


def _with_findings(row: StoredCase) -> StoredCase:
    """Vectors before schema 6 had equation 9's blocks only, of models that had nothing else."""
    if not len(row.vector):
        return row
    findings = recorded_values([row.case.checklist])[0]
    return replace(row, vector=np.concatenate([row.vector, findings], dtype=np.float32))


_STEPS: Mapping[int, Callable[[StoredCase], StoredCase]] = {1: _with_source_and_date, 5: _with_findings}
"""From the rows of a schema to those of the next; where there is none, nothing changes."""


def current_row(row: StoredCase, schema: int) -> StoredCase:
    """A row as it was read from a base or snapshot of a schema, taken through every step to the current one."""
    for version in range(schema, SCHEMA_VERSION):
        if version in _STEPS:
            row = _STEPS[version](row)
    return row


class EarlierRows:
    """A :class:`~dermquery.store.protocol.CaseStore` that reads rows of an earlier schema and writes none.

    Args:
        reader: gives the rows by the columns that they have.
        manifest: of the base.
        uri: the base, for messages.
        unasked: further fields that conditions cannot ask about in this place.
    """

    def __init__(self, reader: CaseReader, manifest: Manifest, uri: str | Path, unasked: Collection[str] = ()) -> None:
        self._reader, self._schema, self._uri = reader, manifest.schema_version, uri
        self._size = manifest.stored_size
        self._absent = frozenset(name for name in FIELDS if _FIELD_SINCE.get(name, 1) > self._schema)
        self._unasked = self._absent | frozenset(unasked)

    def get(self, case_ids: Collection[str], *, vectors: bool = True) -> dict[str, StoredCase]:
        self._check_fields(["case_id"] if case_ids else [])
        found = self._reader.get(case_ids, vectors=vectors)
        return {case_id: current_row(row, self._schema) for case_id, row in found.items()}

    def with_image(self, sha256: str) -> list[StoredCase]:
        """Before schema 6 nobody: there an image is found by its likeness only."""
        return self._reader.with_image(sha256) if self._schema >= _IMAGE_KEY_SINCE else []

    def count(self, where: Filter | None = None) -> int:
        self._check(where)
        return self._reader.count(where)

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
        self._check(where)
        self._check_fields(["case_id"] if exclude else [])
        if vector[self._size :].any():
            raise UpgradeNeededError(
                f"{self._uri} has schema {self._schema}, whose vectors hold no findings; upgrade it, then search with "
                f"weights other than the paper's: {upgrade_command(self._uri)}"
            )
        found = self._reader.search(vector[: self._size], where, top_k, exclude, offset, exact=exact)
        return [ScoredCase(current_row(hit.row, self._schema), hit.score) for hit in found]

    def page(
        self, where: Filter | None = None, after: str | None = None, limit: int = 50, *, vectors: bool = False
    ) -> list[StoredCase]:
        self._check(where)
        self._check_fields(["case_id"])
        return [current_row(row, self._schema) for row in self._reader.page(where, after, limit, vectors=vectors)]

    def spread(self, limit: int) -> list[StoredCase]:
        return self.page(limit=limit, vectors=True)

    def scan(self, *, vectors: bool = True, whole: bool = True) -> Iterator[list[StoredCase]]:
        for rows in self._reader.scan(vectors=vectors, whole=whole):
            yield [current_row(row, self._schema) for row in rows]

    def ids(self) -> list[str]:
        return self._reader.ids()

    def value_counts(self, field: str, where: Filter | None = None) -> Mapping[str | float | None, int]:
        self._check(where)
        if field in self._absent:
            return {None: n} if (n := self._reader.count(where)) else {}
        return self._reader.value_counts(field, where)

    def damage(self) -> tuple[Damage, ...]:
        return self._reader.damage()

    def warm(self) -> None:
        self._reader.warm()

    def upsert(self, rows: Sequence[StoredCase]) -> None:
        self._refuse()

    def delete(self, case_ids: Collection[str]) -> int:
        self._refuse()

    def compact(self) -> None:
        self._refuse()

    def build_index(self) -> int:
        self._refuse()

    def inspect(self) -> Flaws:
        self._refuse()

    def renew(self, flaws: Flaws) -> None:
        self._refuse()

    def _check(self, where: Filter | None) -> None:
        self._check_fields(() if where is None else where.fields)

    def _check_fields(self, fields: Collection[str]) -> None:
        if unasked := self._unasked.intersection(fields):
            raise UpgradeNeededError(
                f"{self._uri} has schema {self._schema}, in which no condition can ask about "
                f"{', '.join(sorted(unasked))}; upgrade it, then ask again: {upgrade_command(self._uri)}"
            )

    def _refuse(self) -> NoReturn:
        raise UpgradeNeededError(
            f"{self._uri} has schema {self._schema} and is read-only; bring it to schema {SCHEMA_VERSION} with: "
            f"{upgrade_command(self._uri)}"
        )
