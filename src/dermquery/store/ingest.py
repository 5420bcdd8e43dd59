"""Loading cases into a store: images are decoded ahead of the encoder, and every batch is durable before the next."""

from __future__ import annotations

import hashlib
import time
from collections import Counter, deque
from collections.abc import Callable, Iterable, Iterator, Sequence
from concurrent.futures import Future, ThreadPoolExecutor
from dataclasses import dataclass, field
from pathlib import Path

import numpy as np
from PIL import Image

from dermquery.data.case import Case
from dermquery.data.image import ImageError, load_image
from dermquery.store.protocol import CaseStore, Encoder, ImageStamp, StoredCase

__all__ = ["BadImage", "IngestProgress", "IngestReport", "index_cases"]

_WORKERS = 2
_LOOKAHEAD = 16
_PIXELS_PER_BATCH = 200_000_000
"""A batch of large photographs is encoded before it is full, so that it takes about 600 MB and not several GB."""
_CHUNK = 256
"""Cases whose stored rows are looked up at once."""


@dataclass(frozen=True)
class BadImage:
    """A case that was left out because its image cannot be used.

    Attributes:
        reason: names the file, what is wrong and the remedy.
    """

    case_id: str
    image: Path
    reason: str


@dataclass(frozen=True)
class IngestProgress:
    """Where an ingest stands.

    Attributes:
        done, total: cases.
        encoded: images that went through the model in this run.
        bad: images that could not be used so far.
        rate: encoded images per second since the first one was taken up; 0 before it is through.
        eta_seconds: expected time for the rest at that rate; None before there is one.
    """

    done: int
    total: int
    encoded: int
    bad: int
    rate: float
    eta_seconds: float | None


@dataclass(frozen=True)
class IngestReport:
    """What an ingest did.

    Attributes:
        added: cases that are new in the base.
        updated: cases whose image or description changed.
        unchanged: cases that were there already with the same image bytes and description.
        bad: cases left out, each with its reason. Of a case that was in the base before, the old row stays.
        seconds: wall time.
    """

    added: int
    updated: int
    unchanged: int
    bad: tuple[BadImage, ...]
    seconds: float


@dataclass(frozen=True)
class _Examined:
    """A case held against its stored row. Without ``image``, its stored vector is still right."""

    case: Case
    known: bool
    image: Image.Image | None = None
    stamp: ImageStamp | None = None
    unchanged: bool = False
    reason: str | None = None


def index_cases(
    cases: Iterable[Case],
    store: CaseStore,
    model: Encoder,
    *,
    described: bool = False,
    batch_size: int = 32,
    progress: Callable[[IngestProgress], None] | None = None,
) -> IngestReport:
    """Encode cases and write them to a store.

    Can be interrupted at any point, also by ``kill -9``, and run again: what was reported as done is there, and cases
    that did not change since are skipped. An image that cannot be used is reported and stops nothing.

    Args:
        cases: each with its own ``case_id``.
        store: where the rows go; its vectors must have the length of the model's layout.
        model: encodes the images.
        described: compose every image with its case's own findings, as a query is composed.
        batch_size: images that go through the model and into the store at once.
        progress: called after every write and every chunk of skipped cases.

    Raises:
        ValueError: for a ``case_id`` that occurs twice or a batch size below 1.
    """
    cases = tuple(case.model_copy(update={"image": case.image.absolute()}) for case in cases)
    twice = [case_id for case_id, n in Counter(case.case_id for case in cases).items() if n > 1]
    if twice:
        raise ValueError(f"case ids occur more than once: {', '.join(twice[:5])}; give each case its own id")
    if batch_size < 1:
        raise ValueError(f"batch size must be at least 1, got {batch_size}")
    run = _Run(store, model, len(cases), progress, described=described)
    batch: list[_Examined] = []
    for item in _examined(cases, store, described=described):
        if item.reason is not None or item.unchanged:
            run.count(item)
            continue
        batch.append(item)
        pixels = sum(i.image.width * i.image.height for i in batch if i.image is not None)
        if len(batch) >= batch_size or pixels >= _PIXELS_PER_BATCH:
            run.write(batch)
            batch = []
    run.write(batch)
    return run.finish()


def _examined(cases: Sequence[Case], store: CaseStore, *, described: bool) -> Iterator[_Examined]:
    """Examine cases in a few threads, a bounded number ahead of the consumer, in the order given."""
    pool = ThreadPoolExecutor(_WORKERS, thread_name_prefix="decode")
    ahead: deque[Future[_Examined]] = deque()
    try:
        for start in range(0, len(cases), _CHUNK):
            chunk = cases[start : start + _CHUNK]
            known = store.get([case.case_id for case in chunk], vectors=False)
            for case in chunk:
                ahead.append(pool.submit(_examine, case, known.get(case.case_id), described=described))
                if len(ahead) > _LOOKAHEAD:
                    yield ahead.popleft().result()
        while ahead:
            yield ahead.popleft().result()
    finally:
        pool.shutdown(cancel_futures=True)


def _examine(case: Case, old: StoredCase | None, *, described: bool) -> _Examined:
    try:
        str(case.image).encode()
        state = case.image.stat()
        if old and old.case == case and old.stamp.same_file_state(state.st_size, state.st_mtime_ns):
            return _Examined(case, known=True, unchanged=True)
        data = case.image.read_bytes()
        stamp = ImageStamp(hashlib.sha256(data).hexdigest(), state.st_size, state.st_mtime_ns)
        same_words = old is not None and (old.case.text, old.case.checklist) == (case.text, case.checklist)
        if old and old.stamp.sha256 == stamp.sha256 and (same_words or not described):
            return _Examined(case, known=True, stamp=stamp)
        return _Examined(case, known=old is not None, stamp=stamp, image=load_image(data))
    except ImageError as error:
        reason = str(error).replace(f"the image of {len(data)} bytes", str(case.image))
    except OSError as error:
        reason = f"{case.image}: cannot be read ({error.strerror or error}); check the path and its permissions"
    except UnicodeEncodeError:
        reason = f"{case.image!r}: the file name is not valid Unicode; rename the file"
    return _Examined(case, known=old is not None, reason=reason)


@dataclass
class _Run:
    """The state of one ingest."""

    store: CaseStore
    model: Encoder
    total: int
    progress: Callable[[IngestProgress], None] | None
    described: bool = False
    added: int = 0
    updated: int = 0
    unchanged: int = 0
    encoded: int = 0
    writes: int = 0
    bad: list[BadImage] = field(default_factory=list)
    started: float = field(default_factory=time.monotonic)
    encoding_since: float | None = None

    def count(self, item: _Examined) -> None:
        """Book a case that needs no write."""
        if item.reason is not None:
            self.bad.append(BadImage(item.case.case_id, item.case.image, item.reason))
        else:
            self.unchanged += 1
        if self.done % _CHUNK == 0:
            self._tell()

    def write(self, batch: Sequence[_Examined]) -> None:
        """Encode what has a new image, keep the stored vector of the others, write all in one transaction."""
        if not batch:
            return
        rows = [*self._encoded(batch), *self._refreshed(batch)]
        self.store.upsert(rows)
        self.writes += 1
        known = {item.case.case_id for item in batch if item.known}
        self.updated += sum(row.case.case_id in known for row in rows)
        self.added += sum(row.case.case_id not in known for row in rows)
        self._tell()

    def finish(self) -> IngestReport:
        """Tidy the store after many writes, and report."""
        if self.writes:
            self.store.compact()
        self._tell()
        seconds = time.monotonic() - self.started
        return IngestReport(self.added, self.updated, self.unchanged, tuple(self.bad), seconds)

    @property
    def done(self) -> int:
        return self.added + self.updated + self.unchanged + len(self.bad)

    def _encoded(self, batch: Sequence[_Examined]) -> list[StoredCase]:
        new = [(item.case, item.image, item.stamp) for item in batch if item.image and item.stamp]
        if not new:
            return []
        if self.encoding_since is None:
            self.encoding_since = time.monotonic()
        if self.described:
            asked = [case.as_query().model_copy(update={"image": image}) for case, image, _ in new]
            vectors = np.asarray(self.model.encode_query(asked), dtype=np.float32)
        else:
            vectors = np.asarray(self.model.encode_case([image for _, image, _ in new]), dtype=np.float32)
        expected = (len(new), self.model.layout.size)
        if vectors.shape != expected:
            raise ValueError(f"model {self.model.name!r} gave vectors of shape {vectors.shape}, expected {expected}")
        self.encoded += len(new)
        rows = []
        for (case, _, stamp), vector in zip(new, vectors, strict=True):
            if np.isfinite(vector).all():
                rows.append(StoredCase(case, vector, stamp))
            else:
                reason = f"{case.image}: the model gives no finite vector for it; check that it shows something"
                self.bad.append(BadImage(case.case_id, case.image, reason))
        return rows

    def _refreshed(self, batch: Sequence[_Examined]) -> list[StoredCase]:
        same = [(item.case, item.stamp) for item in batch if item.image is None and item.stamp]
        old = self.store.get([case.case_id for case, _ in same]) if same else {}
        return [StoredCase(case, old[case.case_id].vector, stamp) for case, stamp in same]

    def _tell(self) -> None:
        if self.progress is None:
            return
        spent = time.monotonic() - self.encoding_since if self.encoding_since is not None else 0.0
        rate = self.encoded / spent if spent > 0 else 0.0
        eta = (self.total - self.done) / rate if rate > 0 else None
        self.progress(IngestProgress(self.done, self.total, self.encoded, len(self.bad), rate, eta))
