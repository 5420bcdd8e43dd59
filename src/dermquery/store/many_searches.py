"""A case base as a table of vectors: many queries at once, and the vectors themselves."""

from __future__ import annotations

from collections.abc import Collection, Iterable, Iterator, Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import replace
from typing import Any, NamedTuple

import numpy as np

from dermquery.data.case import Query
from dermquery.data.image import ImageSource, file_bytes, read_once
from dermquery.data.prepared_file import hashes_of
from dermquery.model.alignment import Vectors
from dermquery.model.parts import Weights
from dermquery.model.presets import AskedWeights
from dermquery.store.encoded import EncodedQuery
from dermquery.store.excluded import excluding
from dermquery.store.filters import Filter
from dermquery.store.hit_pages import page_of, told
from dermquery.store.hits import Hit, SearchResult
from dermquery.store.known_values import KnownValues
from dermquery.store.matching import matches
from dermquery.store.one_pass import best_of_each, worth_a_pass
from dermquery.store.protocol import StoredCase
from dermquery.store.searchable_base import SearchableBase, check_asks, looks_of
from dermquery.store.where import Written

__all__ = ["Asked", "AskedMany", "CaseVectors", "ManySearches"]

Asked = Query | Mapping[str, Any] | str | ImageSource
"""A query, its fields by name, a text, or an image as a path of ``pathlib``, bytes, a stream, an array or of Pillow."""
AskedMany = Iterable[Asked] | Asked
"""Several of them, or one, which counts as a list of one."""
Excluded = str | Collection[str] | None


class CaseVectors(NamedTuple):
    """Ids (n,) in ascending order, and a vector for each, (n, size) float32, as the base keeps them."""

    case_ids: tuple[str, ...]
    vectors: Vectors


class ManySearches(SearchableBase):
    """The batched half of :class:`~.casebase.CaseBase`."""

    def encode_many(self, queries: AskedMany) -> list[EncodedQuery]:
        """Read and encode queries together, as :meth:`~.SearchableBase.encode` does one.

        Raises:
            QueryError: one has neither image nor text.
            ImageError, ValueError: for an image or a term that cannot be used.
        """
        return [
            replace(one, same=next(filter(None, map(self._with_image, one.files)), ()))
            for one in self._encoded(queries)
        ]

    def search_many(
        self,
        queries: AskedMany,
        where: Filter | Written | Sequence[str] | None = None,
        top_k: int = 5,
        local_weight: float | None = None,
        exclude_case: Excluded = None,
        exclude_lesion: Excluded = None,
        exclude_patient: Excluded = None,
        offset: int = 0,
        exact: bool = False,
        weights: AskedWeights | None = None,
    ) -> list[SearchResult]:
        """The results of many searches, in order: what a loop over :meth:`~.SearchableBase.search` gives, sooner.

        Queries go through the model together, and where they are many for the size of the base, its vectors are read
        once for all of them, as with ``exact``.

        Args:
            queries: each a query, its fields by name, a text as ``str``, or an image (:data:`Asked`);
                a single one is a list of one.
            where: which cases may be found, the same for all queries, as is everything below.
            top_k: hits wanted of each.
            local_weight: λ, in place of that of ``weights``.
            exclude_case: ids of cases that must not be found.
            exclude_lesion: ids of lesions of which no case must be found.
            exclude_patient: ids of patients of whom no case must be found.
            offset: best hits of each to pass over.
            exact: look at every case also where a large base has an index.
            weights: of the parts of the score.

        Raises:
            QueryError, EmptyBaseError, FilterError, ImageError, ValueError: as for one search; there is no result then.
        """
        condition = excluding(self.filter_of(where), self.store, exclude_case, exclude_lesion, exclude_patient)
        preset, chosen = self._checked(weights, local_weight, top_k, offset)
        asked = Query.many(queries)
        if not asked:
            return []
        n_cases = self._counted()
        if not worth_a_pass(n_cases, len(asked)):
            return [
                self.search_encoded(one, condition, top_k, weights=chosen, offset=offset, exact=exact)
                for one in self.encode_many(asked)
            ]
        encoded = self._encoded(asked)
        for one in encoded:
            self._check_heard(one, chosen)
        pages = self._pages(encoded, condition, top_k, chosen, offset, n_cases)
        n_candidates = (
            n_cases if condition.is_empty else self.store.count(KnownValues(self.store).in_columns(condition))
        )
        info, damage = self._info(n_cases), self.store.damage()
        return [
            SearchResult(
                one.query, one.reading, hits, chosen, preset, condition, n_candidates, info, archive=self.archive,
                damage=damage,
            )
            for one, hits in zip(encoded, pages, strict=True)
        ]  # fmt: skip

    def vectors(self) -> CaseVectors:
        """Every vector of the base, one row for each case in the order of the ids.

        :attr:`Manifest.layout` says which numbers are which part; blocks of equation 9 have unit norm.

        Raises:
            DamageError: a row is damaged.
        """
        held = {row.case.case_id: row.vector for batch in self.store.scan() for row in batch}
        ids = tuple(sorted(held))
        empty = np.zeros((0, self.manifest.layout.size), np.float32)
        return CaseVectors(ids, np.stack([held[case_id] for case_id in ids]) if ids else empty)

    def _encoded(self, queries: AskedMany) -> list[EncodedQuery]:
        """The same without a look at which cases are of the queries' own images."""
        asked = [one.model_copy(update={"image": read_once(one.image)}) for one in Query.many(queries)]
        for one in asked:
            check_asks(one)
        if not asked:
            return []
        with ThreadPoolExecutor(max_workers=2) as pool:  # decoding releases the interpreter lock, and so does a model
            looks = pool.map(lambda one: (_files(one.image), looks_of(one.image)), asked)
            vectors = np.asarray(self.model.encode_query(asked), np.float32)
            return [
                EncodedQuery(one, one.reading, vector, next(iter(files), None), files=files, looks=found)
                for one, vector, (files, found) in zip(asked, vectors, looks, strict=True)
            ]

    def _pages(
        self,
        encoded: Sequence[EncodedQuery],
        condition: Filter,
        top_k: int,
        weights: Weights,
        offset: int,
        n_cases: int,
    ) -> list[tuple[Hit, ...]]:
        """Hits of every query, of one pass over all cases."""
        layout = self.manifest.layout
        queries = layout.weigh(np.stack([one.vector for one in encoded]), weights)
        files = {sha256: list[StoredCase]() for one in encoded for sha256 in one.files}

        def seen() -> Iterator[Sequence[StoredCase]]:
            for batch in self.store.scan(whole=False):
                for row in batch:
                    if row.stamp.sha256 in files and matches(condition, row.case):
                        files[row.stamp.sha256].append(row)
                yield batch

        ranked = best_of_each(seen(), queries, condition, offset + top_k)
        pages = []
        for one, found in zip(encoded, ranked, strict=True):
            rows = next((files[sha256] for sha256 in one.files if files[sha256]), ())
            same = sorted(rows, key=lambda row: row.case.case_id)
            closer = self._closeness(one, weights, n_cases) if same or found else None
            pages.append(page_of(layout, one, found, same, weights, closer, slice(offset, offset + top_k)))
        return told(pages, self._images_known, offset)


def _files(image: ImageSource | None) -> tuple[str, ...]:
    """Hashes of an image file, and of what preparation makes of it without encoding it again; none of decoded ones."""
    data = file_bytes(image)
    return () if data is None else tuple(hashes_of(data))
