"""From cases to vectors: images are decoded in threads ahead of the encoder, in bounded memory.

One code path, wherever it runs: :class:`LocalExecutor` in this process,
:class:`~dermquery.store.cluster.RayExecutor` in the processes of a cluster, each of which holds a local one.
"""

from __future__ import annotations

import os
from collections import deque
from collections.abc import Iterable, Iterator, Mapping, Sequence
from concurrent.futures import Future, ThreadPoolExecutor
from dataclasses import dataclass
from typing import Protocol

import numpy as np

from dermquery.data.case import Case
from dermquery.data.image import load_image
from dermquery.model.alignment import Vectors
from dermquery.model.pixels import least_side
from dermquery.store.archive import ImageArchive
from dermquery.store.examine import Examined, Known, Loader, examine, examine_archived
from dermquery.store.protocol import Encoder, ImageStamp

__all__ = ["Executor", "LocalExecutor", "Outcome"]

_PIXELS_PER_BATCH = 200_000_000
"""A batch of large photographs is encoded before it is full, so that it takes about 600 MB and not several GB."""
_CASES_PER_BATCH = 256
"""Cases that need no encoding are passed on by so many."""


@dataclass(frozen=True, eq=False)
class Outcome:
    """What became of a case, as plain values that can travel between processes.

    Attributes:
        known: whether it has a row.
        stamp: of its image file; None where nothing is to be written.
        vector: (size,) float32; None where the stored one is still right.
        unchanged: nothing to do.
        reason: why its image cannot be used.
    """

    case: Case
    known: bool
    stamp: ImageStamp | None = None
    vector: Vectors | None = None
    unchanged: bool = False
    reason: str | None = None


class Executor(Protocol):
    """Where images are read and encoded."""

    def run(self, work: Iterable[Known]) -> Iterator[list[Outcome]]:
        """What became of each case, a bounded number at a time; ``work`` is drawn from as it goes."""


class LocalExecutor:
    """Reads in a few threads and encodes in the caller's.

    Args:
        model: encodes the images; None to examine only, as a dry run does.
        archive: where images are kept, if they are.
        batch_size: images that go through the model at once.
        held: stamps of cases by id whose images are taken from the archive, and not from their files.
        load: decodes the images of files.

    Raises:
        ValueError: for a batch size below 1.
    """

    def __init__(
        self,
        model: Encoder | None,
        *,
        archive: ImageArchive | None = None,
        batch_size: int = 32,
        held: Mapping[str, ImageStamp] | None = None,
        load: Loader = load_image,
    ) -> None:
        if batch_size < 1:
            raise ValueError(f"batch size must be at least 1, got {batch_size}")
        self._held, self._load = held or {}, load
        self.model, self.archive, self.batch_size = model, archive, batch_size
        seen = getattr(model, "preprocessing", {})
        # A model that does not say what it sees gets every pixel.
        self._least_side = (
            least_side(seen["decoded_size"]) if isinstance(seen, dict) and "decoded_size" in seen else None
        )

    def run(self, work: Iterable[Known]) -> Iterator[list[Outcome]]:
        """Outcomes in the order of ``work``, a batch at a time.

        Raises:
            ArchiveError: an image cannot be kept.
            ValueError: the model gives vectors of another shape than it says.
        """
        batch: list[Examined] = []
        images = pixels = 0
        for item in self._examined(work):
            batch.append(item)
            if item.image is not None:
                images += 1
                pixels += item.image.width * item.image.height
            if images >= self.batch_size or pixels >= _PIXELS_PER_BATCH or len(batch) >= _CASES_PER_BATCH:
                yield self._encoded(batch)
                batch, images, pixels = [], 0, 0
        if batch:
            yield self._encoded(batch)

    def _examined(self, work: Iterable[Known]) -> Iterator[Examined]:
        """Examine cases a bounded number ahead of the encoder, in the order given.

        One core is left to the encoder: a thread more than that takes from it more than it gives. Where the encoder
        would have to wait for a case that nobody has begun, its thread examines that one itself, so large photographs
        keep every core busy.
        """
        threads = max(1, (os.cpu_count() or 1) - 1)
        pool = ThreadPoolExecutor(threads, thread_name_prefix="decode")
        ahead: deque[tuple[Known, Future[Examined]]] = deque()

        def first() -> Examined:
            known, begun = ahead.popleft()
            return self._examine(known) if begun.cancel() else begun.result()

        try:
            for known in work:
                ahead.append((known, pool.submit(self._examine, known)))
                if len(ahead) > max(self.batch_size, 4 * threads):
                    yield first()
            while ahead:
                yield first()
        finally:
            pool.shutdown(cancel_futures=True)

    def _examine(self, known: Known) -> Examined:
        held = self._held.get(known[0].case_id)
        if held is not None and self.archive is not None:
            return examine_archived(known, held, self.archive, self._least_side)
        return examine(known, archive=self.archive, least_side=self._least_side, load=self._load)

    def _encoded(self, batch: Sequence[Examined]) -> list[Outcome]:
        """Outcomes of a batch, whose images are on the disk then; they are taken there while the model works."""
        new = [item for item in batch if item.image is not None]
        with ThreadPoolExecutor(1, thread_name_prefix="flush") as pool:
            flushed = pool.submit(self.archive.flush) if self.archive is not None else None
            vectors = iter(self._vectors(new)) if new and self.model is not None else iter(())
            if flushed is not None:
                flushed.result()
        outcomes = []
        for item in batch:
            vector = None if item.image is None else next(vectors, None)
            reason = item.reason
            if vector is not None and not np.isfinite(vector).all():
                reason = f"{item.case.image}: the model gives no finite vector for it; check that it shows something"
                vector = None
            stamp = None if reason else item.stamp
            outcomes.append(Outcome(item.case, item.known, stamp, vector, item.unchanged, reason))
        return outcomes

    def _vectors(self, new: Sequence[Examined]) -> Vectors:
        model = self.model
        assert model is not None  # noqa: S101 - the caller looked
        images = [item.image for item in new if item.image]
        vectors = np.asarray(model.encode_case(images, [item.case.checklist for item in new]), dtype=np.float32)
        expected = (len(new), model.layout.size)
        if vectors.shape != expected:
            raise ValueError(f"model {model.name!r} gave vectors of shape {vectors.shape}, expected {expected}")
        return vectors
