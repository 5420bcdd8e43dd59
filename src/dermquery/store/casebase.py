"""The case base: a manifest, a store and a model behind three verbs, ``create``, ``open`` and ``search``."""

from __future__ import annotations

from collections.abc import Callable, Collection, Iterable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import replace
from pathlib import Path

import numpy as np

from dermquery.data.case import Case, Query
from dermquery.data.image import ImageSource
from dermquery.model.alignment import LOCAL_WEIGHT, check_local_weight
from dermquery.store.base_manifest import Manifest, ManifestError
from dermquery.store.encoded import EncodedQuery
from dermquery.store.encoding import Executor, LocalExecutor
from dermquery.store.filters import Filter
from dermquery.store.hits import BaseInfo, Hit, SearchResult, compare_criteria
from dermquery.store.home import Home
from dermquery.store.ingest import IngestProgress, IngestReport, index_cases
from dermquery.store.model_source import ModelSource, load_model_of, load_source
from dermquery.store.places import home_of, images_place
from dermquery.store.protocol import CaseStore, Encoder, ExplainingEncoder
from dermquery.store.where import as_filter, excluding

__all__ = ["CaseBase", "EmptyBaseError", "QueryError"]


class QueryError(ValueError):
    """A query cannot be answered as it was put; the message says what to change."""


class EmptyBaseError(QueryError):
    """A case base holds no case yet."""


class CaseBase:
    """Cases that can be searched, in a place that knows the model of their vectors.

    Use :meth:`create`, :meth:`open` or :meth:`open_or_create`.

    Attributes:
        uri: the folder or address.
        manifest: which model, which layout.
        store: the rows.
        archive: the images, if the base keeps them.
    """

    def __init__(self, home: Home, manifest: Manifest, store: CaseStore, model: Encoder | None = None) -> None:
        self.uri = home.uri
        self.manifest = manifest
        self.store = store
        self.archive = home.archive(manifest)
        self._home = home
        self._model = model

    @classmethod
    def create(
        cls,
        uri: str | Path,
        model: ModelSource,
        *,
        reference: str | None = None,
        described: bool = False,
        images: str | bool = True,
    ) -> CaseBase:
        """Make an empty case base.

        Args:
            uri: a folder, made if there is none, or ``milvus://host:port/name`` (:mod:`.home`).
            model: a loaded model, or the name or path of one.
            reference: name or path by which a model that is already loaded can be loaded again; without it, later
                openings must name the model.
            described: compose the cases' images with their own recorded findings; for the life of the base.
            images: where to keep the images and their thumbnails: a folder or a URL such as ``s3://bucket/prefix``;
                True for the place's own (a folder inside a folder, none on a server), False to keep none.

        Raises:
            ManifestError: if there is a case base already, or something else in the way.
            ArchiveError: images cannot be kept there.
        """
        home = home_of(uri)
        loaded, known_as = load_source(model)
        manifest = Manifest.of(loaded, reference or known_as, described=described, images=images_place(images, home))
        home.archive(manifest)
        return cls(home, manifest, home.create(manifest), loaded)

    @classmethod
    def open(cls, uri: str | Path, model: ModelSource | None = None) -> CaseBase:
        """Open a case base.

        Args:
            uri: its folder, or ``milvus://host:port/name``.
            model: the model to encode queries with; without it, the manifest's own is loaded at the first query.

        Raises:
            ManifestError: if there is no case base, or one of another version.
            ModelMismatchError: if the model is not the one that made the base's vectors.
        """
        home = home_of(uri)
        manifest = home.manifest()
        loaded = None if model is None else load_source(model)[0]
        if loaded is not None:
            manifest.check(loaded)
        return cls(home, manifest, home.store(manifest), loaded)

    @classmethod
    def open_or_create(
        cls, uri: str | Path, model: ModelSource, *, described: bool = False, images: str | bool = True
    ) -> CaseBase:
        """Open the case base in a folder, or make one: what a command that can be interrupted and repeated needs.

        Args are those of :meth:`create`; ``images=True`` agrees with any base that is there.

        Raises:
            ManifestError: as :meth:`open` and :meth:`create`, or the base that is there is described otherwise.
        """
        if not home_of(uri).exists():
            return cls.create(uri, model, described=described, images=images)
        base = cls.open(uri, model)
        if images is not True and (kept := base.manifest.images) != (asked_for := images_place(images, home_of(uri))):
            raise ManifestError(
                f"{base.uri} keeps its images {f'in {kept}' if kept else 'nowhere'}, and not "
                f"{f'in {asked_for}' if asked_for else 'nowhere'}; leave out --images, or choose another base"
            )
        if base.manifest.described != described:
            is_, asked = ("with", "without") if base.manifest.described else ("without", "with")
            raise ManifestError(
                f"{base.uri} holds cases encoded {is_} their findings, and cases {asked} them cannot stand beside; "
                f"{'add' if base.manifest.described else 'leave out'} --described, or choose another folder"
            )
        return base

    @property
    def model(self) -> Encoder:
        """The model, loaded on first use by the manifest's reference and held against its hash."""
        if self._model is None:
            reference = self.manifest.model_reference
            if reference is None:
                raise ManifestError(
                    f"{self.uri} does not say where its model {self.manifest.model_name!r} "
                    f"({self.manifest.model_hash}) lies; name it by --model, or CaseBase.open(uri, model=...)"
                )
            try:
                model = load_model_of(reference)[0]
            except (OSError, ValueError) as error:
                raise ManifestError(
                    f"the model of {self.uri} cannot be loaded from {reference!r} ({error}); "
                    f"name the artifact with hash {self.manifest.model_hash} by --model"
                ) from error
            self.manifest.check(model)
            self._model = model
        return self._model

    def add(
        self,
        cases: Iterable[Case],
        *,
        batch_size: int = 32,
        executor: Executor | None = None,
        progress: Callable[[IngestProgress], None] | None = None,
    ) -> IngestReport:
        """Encode cases and put them in, replacing those with the same ids; see :func:`~.ingest.index_cases`.

        Args:
            cases: each with its own ``case_id``.
            batch_size: images that go through the model and into the store at once.
            executor: where images are read and encoded; in this process if not given.
            progress: called after every write.

        Raises:
            BaseBusyError: another process is writing.
            ManifestError: the base was encoded again since it was opened.
        """
        if executor is None:
            described = self.manifest.described
            executor = LocalExecutor(self.model, described=described, archive=self.archive, batch_size=batch_size)
        with self._writing():
            return index_cases(cases, self.store, executor, progress=progress)

    def delete(self, case_ids: Collection[str]) -> int:
        """Remove cases; returns how many there were. Their images stay until ``dermquery base tidy``.

        Raises:
            BaseBusyError: another process is writing.
            ManifestError: the base was encoded again since it was opened.
        """
        with self._writing():
            return self.store.delete(case_ids)

    def build_index(self) -> int:
        """Build the index for approximate search now, whatever the number of cases; returns the number in it.

        Raises:
            ValueError: for too few cases.
            BaseBusyError: another process is writing.
            ManifestError: the base was encoded again since it was opened.
        """
        with self._writing():
            return self.store.build_index()

    def count(self, where: Filter | Sequence[str] | None = None) -> int:
        """Number of cases, or of those that satisfy a filter."""
        return self.store.count(None if where is None else as_filter(where))

    def __len__(self) -> int:
        return self.count()

    def encode(
        self,
        image: ImageSource | None = None,
        text: str | None = None,
        checklist: Mapping[str, str] | None = None,
    ) -> EncodedQuery:
        """Read and encode a query once, to be searched with as often as λ or a filter moves.

        Args are those of :meth:`search`.

        Raises:
            QueryError: without image and text.
            ImageError, ValueError: for an image or a term that cannot be used.
        """
        query = Query(image=image, text=text, checklist=checklist or {})
        if query.image is None and query.sentence is None:
            raise QueryError("the query is empty: give an image, a text or checklist terms")
        unit = np.asarray(self.model.encode_query([query]), dtype=np.float32)[0]
        return EncodedQuery(query, query.terms, query.findings.unread, unit)

    def encoded_case(self, case_id: str) -> EncodedQuery:
        """A case of the base as a query for more like it: its stored vector, its image and its own findings.

        Raises:
            QueryError: the base has no such case.
        """
        row = self.store.get([case_id]).get(case_id)
        if row is None:
            raise QueryError(f"{self.uri} has no case {case_id!r}")
        kept = self.archive.local_path(row.stamp.sha256) if self.archive else None
        query = row.case.as_query().model_copy(update={"image": kept or row.case.image})
        return EncodedQuery(query, query.terms, (), row.vector)

    def search(
        self,
        image: ImageSource | None = None,
        text: str | None = None,
        checklist: Mapping[str, str] | None = None,
        where: Filter | Sequence[str] | None = None,
        top_k: int = 5,
        local_weight: float = LOCAL_WEIGHT,
        exclude_case: str | Collection[str] | None = None,
        exclude_lesion: str | Collection[str] | None = None,
        exclude_patient: str | Collection[str] | None = None,
        offset: int = 0,
        exact: bool = False,
    ) -> SearchResult:
        """Find the most similar cases.

        Args:
            image: reference image: a path, encoded bytes or a decoded image.
            text: free text.
            checklist: checklist criteria as terms.
            where: which cases may be found: a filter, or clauses such as ``"site=back"``.
            top_k: hits wanted; fewer come back where fewer cases may be found.
            local_weight: λ of equation 9, between 0 (global only) and 1 (local only).
            exclude_case: id or ids of cases that must not be found.
            exclude_lesion: id or ids of lesions of which no case must be found.
            exclude_patient: id or ids of patients of whom no case must be found.
            offset: best hits to pass over, so that a ranking can be read in pages; hits keep their rank in it.
            exact: look at every case also where a large base has an index (``dermquery base index``).

        Raises:
            QueryError: without image and text, or with ``top_k`` below 1 or ``offset`` below 0.
            EmptyBaseError: if the base holds no case.
            FilterError, ImageError, ValueError: for a filter, an image, a term or a weight that cannot be used.
        """
        condition = excluding(as_filter(where), exclude_case, exclude_lesion, exclude_patient)
        _check_search(top_k, local_weight, offset)
        return self.search_encoded(self.encode(image, text, checklist), condition, top_k, local_weight, offset, exact)

    def search_encoded(
        self,
        encoded: EncodedQuery,
        where: Filter | Sequence[str] | None = None,
        top_k: int = 5,
        local_weight: float = LOCAL_WEIGHT,
        offset: int = 0,
        exact: bool = False,
    ) -> SearchResult:
        """The same for a query that is encoded already; nothing goes through the network.

        Raises:
            QueryError: with ``top_k`` below 1 or ``offset`` below 0.
            EmptyBaseError: if the base holds no case.
            FilterError, ValueError: for a filter or a weight that cannot be used.
        """
        condition = as_filter(where)
        weight = _check_search(top_k, local_weight, offset)
        n_cases = self.count()
        if n_cases == 0:
            raise EmptyBaseError(f"{self.uri} holds no case; add some with: dermquery index TABLE --base {self.uri}")
        info = BaseInfo(
            uri=str(self.uri),
            version=self.manifest.version,
            levels=self.manifest.levels,
            count=n_cases,
            diagnoses=_by_name(self.store.value_counts("diagnosis")),
            model_name=self.manifest.model_name,
            model_hash=self.manifest.model_hash,
        )
        hits = self._hits(encoded, condition, top_k, weight, offset, exact)
        n_candidates = n_cases if condition.is_empty else self.store.count(condition)
        return SearchResult(
            encoded.query, encoded.terms, encoded.unread, hits, weight, condition, n_candidates, info,
            archive=self.archive,
        )  # fmt: skip

    def explain(self, result: SearchResult) -> SearchResult:
        """The same result with the evidence of every hit, for the sheet and the picture to draw.

        Raises:
            QueryError: the model cannot say where a similarity comes from.
            ImageError: the image of a hit cannot be read any more.
        """
        if not isinstance(self.model, ExplainingEncoder):
            raise QueryError(f"the model {self.model.name!r} cannot explain a similarity; leave --explain out")
        described = self.manifest.described
        evidence = [
            self.model.evidence(result.query, hit.case, described=described, image=result.picture(hit))
            for hit in result.hits
        ]
        return replace(result, evidence=tuple(evidence))

    @contextmanager
    def _writing(self) -> Iterator[None]:
        """The right to write, to the version that readers get: what goes into an older one is lost with it."""
        with self._home.writing():
            current = self._home.manifest().version
            if current != self.manifest.version:
                raise ManifestError(
                    f"{self.uri} was encoded again since it was opened: it is at version {current}, and this is "
                    f"{self.manifest.version}; open it again (restart what serves it), then write"
                )
            yield

    def _hits(
        self, encoded: EncodedQuery, where: Filter, top_k: int, weight: float, offset: int, exact: bool
    ) -> tuple[Hit, ...]:
        layout, unit = self.manifest.layout, encoded.vector[None]
        found = self.store.search(layout.weigh(unit, weight)[0], where, top_k, offset=offset, exact=exact)
        scored = []
        for item in found:
            # One case at a time: a product over several rows may round equal vectors apart.
            local, global_ = (float(part[0, 0]) for part in layout.parts(unit, item.row.vector[None]))
            scored.append((weight * local + (1.0 - weight) * global_, local, global_, item.row))
        scored.sort(key=lambda entry: (-entry[0], entry[3].case.case_id))
        return tuple(
            Hit(rank, row.case, score, local, global_, *compare_criteria(encoded.terms, row.case), row.stamp.sha256)
            for rank, (score, local, global_, row) in enumerate(scored, start=offset + 1)
        )


def _check_search(top_k: int, local_weight: float, offset: int) -> float:
    """λ, if a ranking can be asked for with these; a count of cases is left to the search, which needs it anyway."""
    weight = check_local_weight(local_weight)
    if top_k < 1:
        raise QueryError(f"top_k must be at least 1, got {top_k}")
    if offset < 0:
        raise QueryError(f"offset must be at least 0, got {offset}")
    return weight


def _by_name(counts: Mapping[str | float | None, int]) -> dict[str | None, int]:
    return {None if name is None else str(name): n for name, n in counts.items()}
