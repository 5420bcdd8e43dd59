"""Adds, changes and deletes cases, one writer at a time."""

from __future__ import annotations

import uuid
from collections.abc import Callable, Collection, Iterable, Iterator, Sequence
from dataclasses import replace
from pathlib import Path
from typing import Any

from PIL import Image

from dermquery.data.case import Case
from dermquery.data.image import ImageError
from dermquery.serve.answers import CaseExistsError, ImageGoneError, UnknownCaseError
from dermquery.serve.fields import CaseFields
from dermquery.serve.line import Line, asking, who_asks
from dermquery.serve.pictures import original_bytes
from dermquery.serve.prometheus import Metrics
from dermquery.store.archive import ImageArchive
from dermquery.store.casebase import CaseBase
from dermquery.store.encoding import Executor, LocalExecutor, Outcome
from dermquery.store.examine import Known, Loader
from dermquery.store.ingest import IngestProgress, IngestReport
from dermquery.store.protocol import StoredCase

__all__ = ["CaseWriter"]

_BATCH = 16


class CaseWriter:
    """Every change of the base by the service goes through here.

    The base's archive keeps an uploaded image. If that is no folder of this machine, or there is none, a copy stays in
    ``uploads`` of ``folder``, so that a case always names a lasting file. As many as ``waiting`` writes may wait for
    their turn.
    """

    def __init__(self, base: CaseBase, folder: Path, metrics: Metrics, *, waiting: int, decode: Loader) -> None:
        self.base, self.line = base, Line("writing", 1, waiting)
        self._uploads, self._scratch = ImageArchive(folder / "uploads"), folder / "scratch"
        self._metrics, self._decode = metrics, decode

    def put(self, fields: CaseFields, image: bytes, *, update: bool = False) -> tuple[StoredCase, bool]:
        """Encode a case and write it, durable when this returns; also whether it is new.

        The caller must hold a place in ``line``.

        Raises:
            CaseExistsError: the base has the id, and ``update`` is False.
            ImageError: the image cannot be used.
            BaseBusyError: another process is writing.
        """
        held = self.base.store.get([fields.case_id], vectors=False)
        if held and not update:
            raise CaseExistsError(fields.case_id)
        return self._write(fields, image), not held

    def change(self, fields: CaseFields, image: bytes | None) -> StoredCase:
        """Replace the fields of a case, and its image if one is given; encodes only what changed.

        Raises:
            UnknownCaseError: the base has no such case.
            ImageError, ImageGoneError: the image cannot be used, or the old one is not kept any more.
            BaseBusyError: another process is writing.
        """
        held = self.base.store.get([fields.case_id], vectors=False).get(fields.case_id)
        if held is None:
            raise UnknownCaseError(fields.case_id)
        if image is None:
            image = original_bytes(held, self.base.archive)
        return self._write(fields, image)

    def delete(self, case_ids: Collection[str]) -> int:
        """Delete cases; returns how many existed. Their images stay until ``dermquery base tidy``.

        Raises:
            BaseBusyError: another process is writing.
        """
        n = self.base.delete(case_ids)
        self._metrics.written.labels("deleted").inc(n)
        return n

    def ingest(
        self,
        cases: Sequence[Case],
        progress: Callable[[IngestProgress], None] | None = None,
        *,
        replacing: bool = False,
    ) -> IngestReport:
        """Add cases whose image files are temporary, if ``replacing`` in the places of other sources' cases too.

        Raises:
            BaseBusyError, StoreWriteError, ArchiveError: as :meth:`CaseBase.add`.
        """
        base, owner = self.base, who_asks()

        def load(*args: Any, **kwargs: Any) -> Image.Image:
            with asking(owner):  # in threads of the executor
                return self._decode(*args, **kwargs)

        inner = LocalExecutor(
            base.model,
            archive=self._uploads if base.archive is None else base.archive,
            batch_size=_BATCH,
            load=load,
        )
        report = base.add(cases, executor=_Lasting(inner, self._lasting), replacing=replacing, progress=progress)
        for outcome, n in (("added", report.added), ("updated", report.updated), ("bad", len(report.bad))):
            self._metrics.written.labels(outcome).inc(n)
        return report

    def _write(self, fields: CaseFields, image: bytes) -> StoredCase:
        self._scratch.mkdir(parents=True, exist_ok=True)
        file = self._scratch / uuid.uuid4().hex
        try:
            file.write_bytes(image)
            report = self.ingest([fields.case(file)], replacing=True)  # one case, that somebody has before him
        finally:
            file.unlink(missing_ok=True)
        if report.bad:
            raise ImageError(report.bad[0].reason.replace(str(file), "the image"))
        row = self.base.store.get([fields.case_id], vectors=False).get(fields.case_id)
        if row is None:  # another process deleted it since
            raise UnknownCaseError(fields.case_id)
        return row

    def _lasting(self, sha256: str, file: Path) -> Path:
        """The lasting file of an image on this machine."""
        archive = self.base.archive
        path = archive.local_path(sha256) if archive is not None else None
        if path is None and archive is not None:
            self._uploads.put(sha256, file.read_bytes(), archive.thumbnail(sha256))
            self._uploads.flush()
        path = path or self._uploads.local_path(sha256)
        if path is None:
            raise ImageGoneError(f"the image {sha256[:12]}… was removed while it was put in; send it again")
        return path


class _Lasting:
    """Another executor, whose outcomes name lasting files in place of the temporary ones that it reads."""

    def __init__(self, inner: Executor, lasting: Callable[[str, Path], Path]) -> None:
        self._inner, self._path = inner, lasting

    def run(self, work: Iterable[Known]) -> Iterator[list[Outcome]]:
        for outcomes in self._inner.run(work):
            yield [self._renamed(outcome) for outcome in outcomes]

    def _renamed(self, outcome: Outcome) -> Outcome:
        if outcome.stamp is None:
            return outcome
        path = self._path(outcome.stamp.sha256, outcome.case.image)
        return replace(outcome, case=outcome.case.model_copy(update={"image": path}))
