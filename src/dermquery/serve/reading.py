"""Reads a case base: its cases, their images, and its description."""

from __future__ import annotations

import logging
from pathlib import Path

from dermquery.data.decoding import Decoders
from dermquery.data.image import UprightImage
from dermquery.serve.answers import UnknownCaseError
from dermquery.serve.kept import Kept
from dermquery.serve.line import Line
from dermquery.serve.pictures import Picture, clean_picture, original_bytes, thumbnail_picture
from dermquery.serve.prometheus import Metrics
from dermquery.store.casebase import CaseBase
from dermquery.store.filters import Filter
from dermquery.store.places import home_of
from dermquery.store.protocol import StoredCase
from dermquery.store.where import Written

__all__ = ["PATIENCE", "WAITED", "BaseReader"]

_PICTURE_BYTES = 64 << 20
PATIENCE = 3
"""Seconds after which whoever waits for a first place is told that there is none."""
WAITED = f"Searches wait for more than {PATIENCE} s for their turn; ask again in a moment"
_NESTED = 10_000
"""Calls that may wait for a decoder; each comes from a thread of another line, which bounds their number."""
_log = logging.getLogger("dermquery.serve")


class BaseReader:
    """Reads a base for many people at once.

    Attributes:
        base: the case base.
        metrics: counters.
        readers: the line before the store and the images.
        probes: the line for health checks, which must not wait behind readers.
        decoding: the line before the processes that decode images.
        warmed: whether the model has encoded once.
    """

    def __init__(self, base: CaseBase, *, waiting: int, max_pixels: int, decoders: int, decode_seconds: float) -> None:
        self.base = base
        self.metrics = Metrics()
        self.readers, self.probes = Line("reading", 4, waiting), Line("probing", 1, 16)
        self.warmed = False
        self._home = home_of(base.uri)
        self._decoders = Decoders(decoders, max_pixels=max_pixels, seconds=decode_seconds)
        self.decoding = Line("decoding", decoders, _NESTED)
        self._pictures = Kept[str, Picture](most_bytes=_PICTURE_BYTES, size=lambda picture: len(picture.data))

    def close(self) -> None:
        """Finish the calls that run and cancel those that wait."""
        self._decoders.close()
        for line in (self.decoding, self.readers, self.probes):
            line.close()

    def decode(self, data: bytes, *, name: str = "", least_side: int | None = None) -> UprightImage:
        """Decode an image of a user in another process (:class:`~dermquery.data.decoding.Decoders`).

        Raises:
            ImageError: it cannot be used, or takes too long or too much memory.
        """
        return self.decoding.run(self._decoders.decode, data, name=name, least_side=least_side)

    def case(self, case_id: str) -> StoredCase:
        """A case without its vector; UnknownCaseError if the base has none of this id, QueryError if it is damaged."""
        row = self.base.store.get([case_id], vectors=False).get(case_id)
        if row is None:
            self.base.check_sound(case_id)
            raise UnknownCaseError(case_id)
        return row

    def cases(
        self, where: Filter | Written | None = None, after: str | None = None, limit: int = 50
    ) -> list[StoredCase]:
        """Cases that satisfy a filter, by id and without their vectors, from the first id greater than ``after``."""
        return self.base.store.page(self.base.in_columns(where), after, limit)

    def image(self, case_id: str) -> Picture:
        """A case's image, upright and without metadata.

        Raises:
            UnknownCaseError: the base has no such case.
            ImageGoneError: its image is not kept any more.
        """
        row = self.case(case_id)
        found = self._pictures.get(row.stamp.sha256)
        if found is None:
            found = clean_picture(original_bytes(row, self.base.archive), row.stamp.sha256, self.decode)
            if len(found.data) <= _PICTURE_BYTES // 4:  # a larger one would displace many others
                self._pictures.put(found.etag, found)
        return found

    def thumbnail(self, case_id: str) -> Picture:
        """A JPEG of at most 256 pixels a side. Errors as for :meth:`image`."""
        return thumbnail_picture(self.case(case_id), self.base.archive, self.decode)

    def unready(self) -> str | None:
        """Why the service cannot answer searches now; None if it can."""
        if not self.warmed:
            return "The model is getting ready; ask again in a moment"
        if self.size() is None:
            return "The base cannot be read; the server's log says why"
        if any(line.waited() > PATIENCE for line in (self.decoding, self.readers)):
            return WAITED
        return None

    def indexing(self) -> bool:
        """Whether an index is being built, by any process; searches are right meanwhile, but may be slower."""
        folder = Path(self.base.uri)
        return next(folder.glob("index/part-*"), None) is not None

    def size(self) -> int | None:
        """Cases in the base; None while the base cannot be read."""
        try:
            self._home.manifest()
            return self.base.count()
        except Exception as error:  # any error of the store means that it does not answer
            _log.warning("the base cannot be read: %s", error)
            return None

    def metrics_page(self) -> bytes:
        """The counters, for Prometheus."""
        return self.metrics.page(self.size())
