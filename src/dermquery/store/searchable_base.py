"""The reading half of a case base: queries, and the hits that they find."""

from __future__ import annotations

from collections.abc import Collection, Mapping, Sequence
from dataclasses import replace
from functools import partial
from pathlib import Path

import numpy as np

from dermquery.data.case import Query
from dermquery.data.findings import Findings
from dermquery.data.image import ImageSource, file_bytes, file_hash, load_image, read_once
from dermquery.data.prepared_file import hashes_of
from dermquery.model.alignment import Vectors
from dermquery.model.parts import Weights
from dermquery.model.presets import AskedWeights, Chosen, choose, written
from dermquery.model.trained_on import NOTHING, Fingerprints, fingerprints
from dermquery.store.archive import THUMBNAIL_SIDE, ImageArchive, small_copy
from dermquery.store.base_manifest import Manifest
from dermquery.store.closeness import SAMPLE, Closeness, closeness, sample_vectors
from dermquery.store.encoded import EncodedQuery
from dermquery.store.excluded import excluding
from dermquery.store.filters import Filter
from dermquery.store.hit_pages import known_images, page_of, told
from dermquery.store.hits import BaseInfo, Hit, SearchResult
from dermquery.store.known_values import KnownValues
from dermquery.store.matching import matches
from dermquery.store.model_source import load_named_model
from dermquery.store.protocol import CaseStore, Encoder, ExplainingEncoder
from dermquery.store.where import Written, as_filter

__all__ = ["EmptyBaseError", "QueryError", "SearchableBase", "check_asks", "looks_of"]


_GROWN = 0.1
"""A base that has changed by this share is sampled again."""


class QueryError(ValueError):
    """A query cannot be answered as it was put; the message says what to change."""


class EmptyBaseError(QueryError):
    """A case base holds no case yet."""


class SearchableBase:
    """Cases that can be searched; :class:`~.casebase.CaseBase` opens and writes them.

    Attributes:
        uri: the folder or address.
        manifest: which model, which layout.
        store: the rows.
        archive: the images, if the base keeps them.
    """

    def __init__(
        self,
        uri: str | Path,
        manifest: Manifest,
        store: CaseStore,
        archive: ImageArchive | None,
        model: Encoder | None = None,
    ) -> None:
        self.uri, self.manifest, self.store, self.archive = uri, manifest, store, archive
        self._model = model
        self._sample: tuple[int, Vectors] | None = None

    @property
    def model(self) -> Encoder:
        """The model, loaded on first use by the manifest's reference and held against its hash."""
        if self._model is None:
            self._model = load_named_model(self.manifest, self.uri)
        return self._model

    def count(self, where: Filter | Written | Sequence[str] | None = None) -> int:
        """Number of cases, or of those that satisfy a filter."""
        return self.store.count(None if where is None else self.in_columns(where))

    def filter_of(self, where: Filter | Written | Sequence[str] | None, known: KnownValues | None = None) -> Filter:
        """A filter as callers pass it, its clauses read by the values that this base's cases have.

        Raises:
            FilterError: for a condition that cannot be read, or a value that no case has.
        """
        # An earlier base lacks columns, and refuses questions about them with the remedy.
        if isinstance(where, Filter) or self.manifest.outdated or not self.store.count():
            return as_filter(where)
        return as_filter(where, known or KnownValues(self.store))

    def in_columns(self, where: Filter | Written | Sequence[str] | None) -> Filter:
        """The same for the store, which has no columns for what tables had beside the project's own."""
        known = KnownValues(self.store)
        return known.in_columns(self.filter_of(where, known))

    def __len__(self) -> int:
        return self.count()

    def encode(
        self,
        image: ImageSource | None = None,
        text: str | None = None,
        checklist: Mapping[str, str] | None = None,
        file: bytes | None = None,
    ) -> EncodedQuery:
        """Read and encode a query once, to be searched with as often as weights or a filter move.

        Args:
            image: reference image.
            text: free text.
            checklist: checklist criteria as terms.
            file: the image file, where ``image`` is decoded already.

        Raises:
            QueryError: without image and text.
            ImageError, ValueError: for an image or a term that cannot be used.
        """
        image = read_once(image)
        query = Query.of({"image": image, "text": text, "checklist": checklist or {}})
        check_asks(query)
        vector = np.asarray(self.model.encode_query([query]), dtype=np.float32)[0]
        file = file_bytes(image) if file is None else file
        if file is None:
            return EncodedQuery(query, query.reading, vector, looks=looks_of(image))
        held, same = self._held(file, image)
        return EncodedQuery(query, query.reading, vector, file_hash(file), same, looks_of(image), held)

    def encoded_case(self, case_id: str) -> EncodedQuery:
        """A case of the base as a query for more like it: its stored vector, its image and its own findings.

        Raises:
            QueryError: the base has no such case.
        """
        row = self.store.get([case_id]).get(case_id)
        if row is None:
            self.check_sound(case_id)
            raise QueryError(f"{self.uri} has no case {case_id!r}")
        kept = self.archive.local_path(row.stamp.sha256) if self.archive else None
        query = row.case.as_query().model_copy(update={"image": kept or row.case.image})
        vector, sha256 = self.manifest.layout.asking(row.vector[None])[0], row.stamp.sha256
        looks = (row.stamp.phash,) if row.stamp.phash else ()
        return EncodedQuery(query, Findings(query.terms), vector, sha256, self._with_image(sha256), looks)

    def check_sound(self, case_id: str) -> None:
        """QueryError for a case that is known to be damaged, which reads like one that is not there."""
        for damage in self.store.damage():
            if case_id in damage.case_ids:
                raise QueryError(f"case {case_id!r} cannot be shown; {damage.message}")

    def choose(self, weights: AskedWeights | None = None, local_weight: float | None = None) -> Chosen:
        """The weights that a search would use, and the name of the preset that they are.

        Raises:
            QueryError: an unknown name, or weights that cannot be read or used.
        """
        try:
            return choose(self.manifest.weights, weights, local_weight)
        except ValueError as error:
            raise QueryError(str(error)) from error

    def search(
        self,
        image: ImageSource | None = None,
        text: str | None = None,
        checklist: Mapping[str, str] | None = None,
        where: Filter | Written | Sequence[str] | None = None,
        top_k: int = 5,
        local_weight: float | None = None,
        exclude_case: str | Collection[str] | None = None,
        exclude_lesion: str | Collection[str] | None = None,
        exclude_patient: str | Collection[str] | None = None,
        offset: int = 0,
        exact: bool = False,
        weights: AskedWeights | None = None,
    ) -> SearchResult:
        """Find the most similar cases.

        Args:
            image: reference image: a path, encoded bytes, a stream, an array (H, W, 3) or a decoded image.
            text: free text.
            checklist: checklist criteria as terms.
            where: which cases may be found: a filter, or clauses such as ``"site=back"``.
            top_k: hits wanted; fewer come back where fewer cases may be found.
            local_weight: λ of equation 9, between 0 (global only) and 1 (local only), in place of that of ``weights``.
            exclude_case: id or ids of cases that must not be found.
            exclude_lesion: id or ids of lesions of which no case must be found; ``SOURCE:ID`` where several sources
                have that id.
            exclude_patient: the same of patients.
            offset: best hits to pass over, so that a ranking can be read in pages; hits keep their rank in it.
            exact: look at every case also where a large base has an index (``dermquery base index``).
            weights: of the parts of the score: the name of a preset, ``"meaning=1,findings=.5,look=.3"``, the same as a
                mapping, or complete :class:`~dermquery.model.parts.Weights`; the base's default preset if not given.

        Raises:
            QueryError: without image and text, for weights that cannot be used, or with ``top_k`` below 1 or ``offset``
                below 0.
            EmptyBaseError: if the base holds no case.
            FilterError, ImageError, ValueError: for a filter, an image or a term that cannot be used.
        """
        condition = excluding(self.filter_of(where), self.store, exclude_case, exclude_lesion, exclude_patient)
        chosen = self._checked(weights, local_weight, top_k, offset)
        encoded = self.encode(image, text, checklist)
        return self.search_encoded(encoded, condition, top_k, weights=chosen.weights, offset=offset, exact=exact)

    def search_encoded(
        self,
        encoded: EncodedQuery,
        where: Filter | Written | Sequence[str] | None = None,
        top_k: int = 5,
        local_weight: float | None = None,
        offset: int = 0,
        exact: bool = False,
        weights: AskedWeights | None = None,
    ) -> SearchResult:
        """The same for a query that is encoded already; nothing goes through the network.

        Raises:
            QueryError: for weights that cannot be used, or with ``top_k`` below 1 or ``offset`` below 0.
            EmptyBaseError: if the base holds no case.
            FilterError, ValueError: for a filter that cannot be used.
        """
        preset, chosen = self._checked(weights, local_weight, top_k, offset)
        n_cases = self._counted()
        known = KnownValues(self.store)
        condition = self.filter_of(where, known)
        within = known.in_columns(condition)
        self._check_heard(encoded, chosen)
        hits = self._hits(encoded, within, top_k, chosen, offset, exact, n_cases)
        n_candidates = n_cases if condition.is_empty else self.store.count(within)
        return SearchResult(
            encoded.query, encoded.reading, hits, chosen, preset, condition, n_candidates,
            self._info(n_cases), archive=self.archive, damage=self.store.damage(),
        )  # fmt: skip

    def _counted(self) -> int:
        """Number of cases; EmptyBaseError without any."""
        if (n_cases := self.count()) == 0:
            raise EmptyBaseError(f"{self.uri} holds no case; add some with: dermquery index TABLE --base {self.uri}")
        return n_cases

    def cases_of_image(self, sha256: str) -> tuple[str, ...]:
        """Ids of the cases that were made of an image file, by the SHA-256 of its bytes, sorted.

        Rows are only read where the archive holds the image, or there is none.
        """
        if self.archive is not None and sha256 not in self.archive:
            return ()
        return self._with_image(sha256)

    def cases_of_file(self, data: bytes, image: ImageSource | None = None) -> tuple[str, ...]:
        """Ids of the cases that are of an image file: its bytes, or what preparation makes of them.

        Args:
            data: the file.
            image: the same, which may be decoded already.
        """
        return self._held(data, image)[1]

    def explain(self, result: SearchResult) -> SearchResult:
        """The same result with the evidence of every hit, for the sheet and the picture to draw.

        Raises:
            QueryError: the model cannot say where a similarity comes from.
            ImageError: the image of a hit cannot be read any more.
        """
        if not isinstance(self.model, ExplainingEncoder):
            raise QueryError(
                f"the model {self.model.name!r} cannot explain a similarity; leave --explain and --seg out"
            )
        evidence = [self.model.evidence(result.query, hit.case, image=result.picture(hit)) for hit in result.hits]
        return replace(result, evidence=tuple(evidence))

    def _info(self, n_cases: int) -> BaseInfo:
        counts = self.store.value_counts("diagnosis")
        return BaseInfo(
            uri=str(self.uri),
            version=self.manifest.version,
            levels=self.manifest.levels,
            count=n_cases,
            diagnoses={None if name is None else str(name): n for name, n in counts.items()},
            model_name=self.manifest.model_name,
            model_hash=self.manifest.model_hash,
        )

    def _checked(self, weights: AskedWeights | None, local_weight: float | None, top_k: int, offset: int) -> Chosen:
        """The weights, if a ranking can be asked for; a count of cases is left to the search, which needs it anyway."""
        chosen = self.choose(weights, local_weight)
        if top_k < 1:
            raise QueryError(f"top_k must be at least 1, got {top_k}")
        if offset < 0:
            raise QueryError(f"offset must be at least 0, got {offset}")
        return chosen

    def _check_heard(self, encoded: EncodedQuery, weights: Weights) -> None:
        """QueryError where nothing that weighs something is in the query: every case would be as good."""
        speaks = self.manifest.layout.speaks(encoded.vector)
        if not any(getattr(weights, name) and said for name, said in speaks._asdict().items()):
            raise QueryError(
                f"with the weights {written(weights)} nothing of this query counts: findings need one that is named, "
                "and the look an image and a model that has it; ask with them, or give meaning a weight"
            )

    def _held(self, data: bytes, image: ImageSource | None) -> tuple[tuple[str, ...], tuple[str, ...]]:
        """The hash by which the base holds an image file, and the ids of its cases; neither where it does not."""
        for sha256 in hashes_of(data, partial(load_image, data if image is None else image)):
            if same := self._with_image(sha256):
                return (sha256,), same
        return (), ()

    def _with_image(self, sha256: str | None) -> tuple[str, ...]:
        rows = [] if sha256 is None else self.store.with_image(sha256)
        return tuple(row.case.case_id for row in rows)

    def _hits(
        self,
        encoded: EncodedQuery,
        where: Filter,
        top_k: int,
        weights: Weights,
        offset: int,
        exact: bool,
        count: int,
    ) -> tuple[Hit, ...]:
        """A page of the ranking."""
        layout = self.manifest.layout
        query = layout.weigh(encoded.vector[None], weights)[0]
        known = self.store.get(encoded.same) if encoded.same else {}
        same = [row for row in known.values() if matches(where, row.case)]
        begin = 0 if same else offset
        found = self.store.search(query, where, offset - begin + top_k, offset=begin, exact=exact)
        closer = self._closeness(encoded, weights, count) if same or found else None
        places = slice(offset - begin, offset - begin + top_k)
        page = page_of(layout, encoded, (item.row for item in found), same, weights, closer, places)
        return told([page], self._images_known, offset)[0]

    @property
    def _images_known(self) -> Fingerprints:
        """Fingerprints (n, 32) of the images that the model was trained on, as far as it says."""
        known: Fingerprints = getattr(self.model, "trained_on", NOTHING)
        return known

    def trained_on(self, hashes: Sequence[str]) -> list[bool | None]:
        """Whether the model was trained on images, by their perceptual hashes; None where nobody knows."""
        return known_images(self._images_known, hashes)

    def _closeness(self, encoded: EncodedQuery, weights: Weights, count: int) -> Closeness | None:
        """How alike a query is to a sample of the base, which is drawn at the first search."""
        if self.manifest.outdated:
            return None
        return closeness(encoded.vector, self.sample(count), self.manifest.layout, weights)

    def sample(self, count: int) -> Vectors:
        """Vectors of a sample of a base of so many cases, (n, size), drawn at the first use and when it has changed."""
        if self._sample is None or abs(count - self._sample[0]) > _GROWN * self._sample[0]:
            self._sample = count, sample_vectors(self.store.spread(SAMPLE), self.manifest.layout.size)
        return self._sample[1]


def check_asks(query: Query) -> None:
    """QueryError for a query that has nothing to ask with."""
    if query.image is None and query.sentence is None:
        raise QueryError("the query is empty: give an image, a text or checklist terms")


def looks_of(image: ImageSource | None) -> tuple[str, ...]:
    """Perceptual hashes of a query's image, as it is and without its borders; none without one."""
    return () if image is None else fingerprints(load_image(image, least_side=THUMBNAIL_SIDE), small_copy)
