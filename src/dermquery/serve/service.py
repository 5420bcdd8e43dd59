"""The service behind the API and the page: one case base, its queries, its writers. Synchronous and thread-safe."""

from __future__ import annotations

import hashlib
import threading
import time
from collections.abc import Collection, Mapping, Sequence
from dataclasses import replace
from pathlib import Path
from threading import BoundedSemaphore
from typing import Literal

import numpy as np
from PIL import Image

from dermquery.answer.content import Warned
from dermquery.data.case import Case, Query
from dermquery.data.checklist import check_values
from dermquery.data.dicom.frames import said_of_frames
from dermquery.data.files import replacing
from dermquery.data.image import ImageError, UprightImage
from dermquery.data.image_quality import check_image
from dermquery.model.alignment import Vectors
from dermquery.model.presets import AskedWeights
from dermquery.serve.answers import MAX_RANK, Answer, UnknownCaseError
from dermquery.serve.base_facts import BaseFacts
from dermquery.serve.cautions import Cautions
from dermquery.serve.job_queue import JobQueue
from dermquery.serve.kept import Kept
from dermquery.serve.line import Line
from dermquery.serve.overlays import Explained, draw_overlay
from dermquery.serve.pictures import original_bytes, query_copy
from dermquery.serve.prepared import Exclusions, Prepared, PreparedQueries, new_key
from dermquery.serve.reading import PATIENCE, WAITED, BaseReader
from dermquery.serve.settings import ServeSettings
from dermquery.serve.upload_budget import disk_is_full
from dermquery.serve.writing import CaseWriter
from dermquery.store.casebase import CaseBase, QueryError
from dermquery.store.encoded import EncodedQuery
from dermquery.store.filters import Filter, FilterError
from dermquery.store.protocol import ExplainingEncoder, StoredCase
from dermquery.store.same_image import said_of, said_of_hits
from dermquery.store.where import Written

__all__ = ["SearchService"]


class SearchService(BaseReader):
    """Searches in one case base for many people at once, and changes it for those who may.

    Attributes:
        encoders: the line before the network.
        writer: adds, changes and deletes cases.
        jobs: the queue of jobs that add many cases.
        intake: the line before it.
        facts: counts, map and duplicates of the base.
        viewer: where the images of cases open; None for none.
    """

    def __init__(self, base: CaseBase, settings: ServeSettings) -> None:
        state, waiting = settings.state, settings.waiting
        # One place more than the network has, so that one is left while somebody's images take all their time.
        places = settings.concurrency + 1
        super().__init__(
            base,
            waiting=4 * waiting,
            max_pixels=settings.max_pixels,
            decoders=places,
            decode_seconds=settings.decode_seconds,
        )
        self.encoders = Line("encoding", places, max(0, waiting - 1))
        self._network = BoundedSemaphore(settings.concurrency)
        self.writer = CaseWriter(base, state, self.metrics, waiting=waiting, decode=self.decode)
        self.jobs = JobQueue(
            self.writer, state / "jobs", image_bytes=settings.upload_bytes, disk_bytes=settings.job_disk_bytes
        )
        self.intake, self.facts = Line("intake", 2, 16), BaseFacts(base)
        for line in (self.encoders, self.decoding, self.readers, self.writer.line, self.intake):
            self.metrics.watch(line.name, line.__len__)
        self._queries, self._cautions = PreparedQueries(), Cautions(base)
        self._evidence = Kept[tuple[str, str, str], Explained](512)
        self._keep_images = state / "queries" if settings.keep_query_images else None
        self._loading, self._state = threading.Lock(), state
        self.viewer = settings.viewer

    def warm(self) -> None:
        """Encode once, so that no query waits for the first use of the model."""
        self._decoders.start()
        with self._loading:  # its first use prepares the network, which must not happen twice
            if not self.warmed:
                grey, model = Image.new("RGB", (64, 64), "grey"), self.base.model
                self.base.encode(grey, None, {"pigment_network": "typical"})
                if isinstance(model, ExplainingEncoder):  # needs PyTorch, which OpenVINO's queries do not
                    grey_case = Case(case_id="grey", image=Path("grey"))
                    model.evidence(Query(image=grey), grey_case, image=grey)
                self.warmed = True
                self._cautions.measure(self.base.count())

    def unready(self) -> str | None:
        """Why the service cannot answer searches now; None if it can."""
        if disk_is_full(self._state):
            return "The server's disk is full; its administrator has to make room"
        if self.encoders.waited() > PATIENCE:
            return WAITED
        return super().unready()

    def close(self) -> None:
        """Finish the calls that run and cancel those that wait."""
        self._decoders.close()  # first, so that nobody waits for an image
        self.jobs.stop()
        for line in (self.encoders, self.writer.line, self.intake):
            line.close()
        self._cautions.close()
        super().close()

    def encode(self, owner: str, image: bytes | None, text: str | None, checklist: Mapping[str, str]) -> Prepared:
        """Encode a query and keep it for its owner. The caller must hold a place in ``encoders``.

        Raises:
            QueryError: the query is empty, or a term or the text cannot be used.
            ImageError: the image cannot be used.
        """
        picture, sha256 = None, None
        if image is not None:
            picture, sha256 = self.decode(image), hashlib.sha256(image).hexdigest()
        with self._network:
            encoded = self._encoded(picture, text, checklist, image)
            if picture is None or sha256 is None:
                return self._queries.put(Prepared(new_key(), owner, encoded))
            # The decoded image may take 200 MB, so only a small copy is kept.
            shown = query_copy(picture)
            self._keep(sha256, shown)
            encoded = replace(encoded, query=encoded.query.model_copy(update={"image": shown}))
            found: list[Warned] = [*said_of_frames(picture.frames), *said_of(encoded.same), *check_image(picture)]
            alone = self._cautions.alone(picture)
            return self._queries.put(Prepared(new_key(), owner, encoded, shown, sha256, tuple(found), alone))

    def _encoded(
        self, picture: UprightImage | None, text: str | None, checklist: Mapping[str, str], file: bytes | None
    ) -> EncodedQuery:
        self.warm()
        begun = time.perf_counter()
        try:
            check_values(checklist)
            encoded = self.base.encode(picture, text, checklist, file)
        except (ImageError, QueryError):
            raise
        except ValueError as error:
            raise QueryError(str(error)) from error
        self.metrics.encodings.inc()
        self.metrics.encoding_seconds.observe(time.perf_counter() - begun)
        return encoded

    def prepared(self, owner: str, key: str) -> Prepared:
        """An earlier query of this owner.

        Raises:
            ExpiredQueryError: it is not kept any more, or is somebody else's.
        """
        return self._queries.get(owner, key)

    def like(self, owner: str, case_id: str) -> Prepared:
        """A query for more like a case, from its stored vector; it excludes the case, its lesion and its patient.

        Raises:
            UnknownCaseError: the base has no such case.
        """
        row = self.case(case_id)
        encoded = self.base.encoded_case(case_id)
        try:
            shown = query_copy(self.decode(original_bytes(row, self.base.archive)))
        except (LookupError, OSError, ImageError):  # the search needs the vector only
            shown = None
        excluded = Exclusions(like=row.case)
        return self._queries.put(
            Prepared(new_key(), owner, encoded, shown, row.stamp.sha256, excluded=excluded, like=case_id)
        )

    def marked(self, owner: str, key: str, relevant: Sequence[str], irrelevant: Sequence[str]) -> Prepared:
        """A new query, moved towards the relevant hits and away from the irrelevant ones; the old one stays.

        Raises:
            ExpiredQueryError: as :meth:`prepared`.
            UnknownCaseError: the base does not have one of the cases.
            QueryError: a case is in both lists, or both are empty.
        """
        prepared = self.prepared(owner, key)
        if both := sorted(set(relevant) & set(irrelevant)):
            raise QueryError(f"case {both[0]!r} is marked as relevant and as irrelevant; choose one")
        if not relevant and not irrelevant:
            raise QueryError("no case is marked; name at least one relevant or irrelevant case")
        rows = self.base.store.get([*relevant, *irrelevant])
        for case_id in (*relevant, *irrelevant):
            if case_id not in rows:
                raise UnknownCaseError(case_id)
        layout = self.base.manifest.layout
        vectors = [_stacked([rows[i] for i in ids], layout.size) for ids in (relevant, irrelevant)]
        marks = dict.fromkeys(relevant, True) | dict.fromkeys(irrelevant, False)
        moved = replace(prepared, key=new_key(), encoded=prepared.encoded.moved(layout, *vectors), marks=marks)
        return self._queries.put(moved)

    def without(self, prepared: Prepared, lesions: Sequence[str], patients: Sequence[str]) -> Prepared:
        """The same query under a key of its own, which finds neither some lesions nor some patients."""
        old = prepared.excluded
        excluded = replace(old, lesions=(*old.lesions, *lesions), patients=(*old.patients, *patients))
        return self._queries.put(replace(prepared, key=new_key(), excluded=excluded))

    def search(
        self,
        prepared: Prepared,
        where: Filter | Written | None = None,
        top_k: int = 10,
        local_weight: float | None = None,
        offset: int = 0,
        exclude_case: Collection[str] = (),
        exclude_lesion: Collection[str] = (),
        exclude_patient: Collection[str] = (),
        weights: AskedWeights | None = None,
    ) -> Answer:
        """Rank the base, without the network.

        Raises:
            QueryError: a number is out of its bounds.
            EmptyBaseError: the base holds no case.
            FilterError: a condition or an exclusion cannot be used.
        """
        if top_k < 1 or offset < 0 or offset + top_k > MAX_RANK:
            raise QueryError(f"offset is at least 0, top_k at least 1, and together they reach rank {MAX_RANK} at most")
        chosen = Exclusions(tuple(exclude_case), tuple(exclude_lesion), tuple(exclude_patient))
        store = self.base.store
        condition = prepared.excluded.within(chosen.within(self.base.filter_of(where), store), store)
        try:
            result = self.base.search_encoded(prepared.encoded, condition, top_k, local_weight, offset, weights=weights)
        except (QueryError, FilterError):
            raise
        except ValueError as error:  # a weight out of its bounds
            raise QueryError(str(error)) from error
        self.metrics.searches.inc()
        self._cautions.measure(result.base.count)
        alone = prepared.alone if result.hits else None
        unlike = self._cautions.unlike(prepared.key, alone, result.weights)
        said = (*prepared.warnings, *said_of_hits(result.hits), *unlike, *result.damage)
        return Answer(prepared, result.with_links(self.viewer), offset, said)

    def overlay(self, prepared: Prepared, case_id: str, level: str | None, over: Literal["case", "query"]) -> bytes:
        """Which parts make up the local similarity with a case: a transparent PNG with the aspect of an image.

        The caller must hold a place in ``encoders``.

        Raises:
            UnknownCaseError: the base has no such case.
            QueryError: the level is unknown, the query has no image, or the model cannot explain.
            ImageGoneError: the case's image is not kept any more.
        """
        row, levels = self.case(case_id), self.base.manifest.levels
        if level is not None and level not in levels:
            raise QueryError(f"unknown level {level!r}; use one of: {', '.join(levels)}, or none for all together")
        name = (prepared.key, case_id, row.stamp.sha256)
        found = self._evidence.get(name)
        if found is None:
            found = self._evidence.put(name, self._explained(prepared, row))
        return draw_overlay(found, None if level is None else levels.index(level), over)

    def _explained(self, prepared: Prepared, row: StoredCase) -> Explained:
        self.warm()
        model, query = self.base.model, prepared.encoded.query
        if not isinstance(model, ExplainingEncoder):
            raise QueryError(f"the model {model.name!r} cannot explain a similarity")
        asked = None if query.image is None else UprightImage.of(query.image)  # our own copy
        image = self.decode(original_bytes(row, self.base.archive))
        with self._network:
            evidence = model.evidence(query.model_copy(update={"image": asked}), row.case, image=image)
        return Explained(evidence, None if asked is None else asked.size, image.size)

    def _keep(self, sha256: str, image: bytes) -> None:
        if self._keep_images is not None:
            with replacing(self._keep_images / sha256[:2] / f"{sha256}.jpg") as part:
                part.write_bytes(image)


def _stacked(rows: Sequence[StoredCase], size: int) -> Vectors:
    return np.stack([row.vector for row in rows]) if rows else np.zeros((0, size), np.float32)
