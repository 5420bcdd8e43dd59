"""The steps of a job: accept the upload, then write the cases chunk by chunk."""

from __future__ import annotations

import hashlib
import secrets
import shutil
import time
from collections.abc import Callable, Collection, Sequence
from datetime import UTC, datetime
from pathlib import Path
from typing import BinaryIO, Self

from dermquery.data.case import Case
from dermquery.data.files import make_folder, move, sync_tree
from dermquery.data.merging import Contradictions
from dermquery.serve.bundle import Bundle, BundleError, Entry, pack, save_entries
from dermquery.serve.job_folder import BadCase, Job, JobFolder, fingerprint
from dermquery.serve.writing import CaseWriter
from dermquery.store.ingest import IngestProgress, Repeat
from dermquery.store.other_sources import is_another
from dermquery.store.protocol import StoredCase

__all__ = ["Chunk", "Pace", "take_in"]

_BAD_KEPT = 1000
_REPEATS_KEPT = 100


def take_in(
    folder: Path,
    owner: str,
    archive: BinaryIO | None,
    files: Sequence[tuple[str, BinaryIO]],
    *,
    update: bool,
    skip_bad: bool,
    image_bytes: int,
    keep: Collection[str] = (),
) -> Job:
    """Read an upload and put the job on disk, whole or not at all.

    Args:
        folder: of all jobs.
        owner: who submits it.
        archive: a ZIP file of one case table and images.
        files: the same as single files, without an archive.
        update: replace cases that the base has; otherwise leave them out.
        skip_bad: leave out bad rows of the table; otherwise any bad row refuses the job.
        image_bytes: largest image file.
        keep: columns of the table that are kept although they may name a person.

    Raises:
        BundleError: no table with images.
        CaseTableError: bad rows.
    """
    now = datetime.now(UTC)
    name = f"{now:%Y%m%d-%H%M%S-%f}-{secrets.token_hex(4)}"
    part = JobFolder(folder / f".{name}")
    make_folder(part.path, mode=0o700)
    try:
        if archive is None:
            pack(part.archive, files)
        else:
            with part.archive.open("wb") as file:
                shutil.copyfileobj(archive, file)
        with Bundle(part.archive, image_bytes) as bundle:
            entries, skipped = bundle.entries(part.path, skip_bad=skip_bad, keep=keep)
        save_entries(entries, part.entries)
        bad = tuple(BadCase(case_id=row.case_id, reason="; ".join(row.problems)) for row in skipped)
        total, n_bad = len(entries) + len(bad), len(bad)
        job = Job(
            id=name, owner=owner, created=now, update=update, total=total, done=n_bad, n_bad=n_bad, bad=bad[:_BAD_KEPT],
            left_out=dict(bundle.left_out), notes=bundle.notes,
        )  # fmt: skip
        part.save(job)
        sync_tree(part.path)
        move(part.path, folder / name)
    except BaseException:
        part.remove()
        raise
    return job


class Chunk:
    """Cases of a job that are written in one turn. Its context extracts their images and removes them again.

    Args:
        job: before these cases.
        own: the cases that the job has added so far, with fingerprints; :meth:`put` adds to it.
    """

    def __init__(
        self,
        job: Job,
        folder: JobFolder,
        bundle: Bundle,
        entries: Sequence[Entry],
        own: dict[str, str],
        writer: CaseWriter,
    ) -> None:
        self._job, self._folder, self._own, self._writer = job, folder, own, writer
        self._entries, self._bundle = entries, bundle
        self._scratch = folder.path / "scratch"
        self._names: dict[Path, str] = {}
        self._cases: list[Case] = []
        self._bad: list[BadCase] = []
        self._same: list[str] = []
        self._repeats: list[Repeat] = []
        self._completed, self._against = 0, Contradictions()

    def __len__(self) -> int:
        return len(self._entries)

    def __enter__(self) -> Self:
        shutil.rmtree(self._scratch, ignore_errors=True)
        self._scratch.mkdir()
        for number, (fields, name) in enumerate(self._entries):
            file = self._scratch / str(number)
            try:
                self._bundle.extract(name, file)
            except BundleError as error:
                self._leave_out(fields.case_id, str(error))
                continue
            self._cases.append(fields.case(file))
            self._names[file] = name
        return self

    def __exit__(self, *_: object) -> None:
        shutil.rmtree(self._scratch, ignore_errors=True)

    @property
    def passed_over(self) -> int:
        """Cases that are unchanged or cannot be used."""
        return len(self._bad) + len(self._same)

    def put(self, report: Callable[[IngestProgress], None]) -> None:
        """Write the cases; after an error it may be called again.

        Raises:
            BaseBusyError, StoreWriteError, ArchiveError: as :meth:`CaseWriter.ingest`.
        """
        new = self._sort()
        self._folder.note(new)
        self._own.update(new)
        done = self._writer.ingest(self._cases, report)
        self._repeats += done.repeats
        self._completed += done.completed
        self._against.add(done.contradictions, done.examples)
        for item in done.bad:
            self._leave_out(item.case_id, item.reason.replace(str(item.image), self._names.get(item.image, "")))

    def booked(self, job: Job) -> Job:
        """The job with these cases counted; a case that an earlier attempt wrote counts as added by the job."""
        lost = {bad.case_id for bad in self._bad}
        through = [fields.case_id for fields, _ in self._entries if fields.case_id not in lost]
        added = sum(case_id in self._own for case_id in through)
        unchanged = sum(case_id not in self._own for case_id in self._same)
        against = Contradictions()
        for counts, examples in (
            (job.contradictions, job.contradicting),
            (self._against.counts, self._against.examples),
        ):
            against.add(counts, examples)
        return job.model_copy(
            update={
                "added": job.added + added,
                "unchanged": job.unchanged + unchanged,
                "updated": job.updated + len(through) - added - unchanged,
                "n_bad": job.n_bad + len(self._bad),
                "bad": (*job.bad, *self._bad)[:_BAD_KEPT],
                "repeated": job.repeated + len(self._repeats),
                "repeats": (*job.repeats, *self._repeats)[:_REPEATS_KEPT],
                "completed": job.completed + self._completed,
                "contradictions": dict(against.counts),
                "contradicting": {name: tuple(said) for name, said in against.examples.items()},
            }
        )

    def _sort(self) -> dict[str, str]:
        """Keep only the cases to write; returns those that are new in the base, with their fingerprints."""
        held = self._writer.base.store.get([case.case_id for case in self._cases], vectors=False)
        new: dict[str, str] = {}
        later = self._own.keys() & held.keys()  # that an earlier attempt wrote, from this case on
        for case in tuple(self._cases):
            mark = fingerprint(case, hashlib.sha256(case.image.read_bytes()).hexdigest())
            row = held.get(case.case_id)
            if row is None:
                new[case.case_id] = mark
            elif fingerprint(row.case, row.stamp.sha256) == mark:
                self._same.append(case.case_id)
                self._cases.remove(case)
                self._look_up(row, later)
            elif not self._job.update:  # even if this job noted it: somebody else wrote it first, or changed it
                words = "there is another case of this id already; submit the job with update=true to replace it"
                self._leave_out(case.case_id, words)
                self._cases.remove(case)
            elif is_another(case, row):
                words = f"this id is a case of source {row.case.source!r} in the base; give the case an id of its own"
                self._leave_out(case.case_id, words)
                self._cases.remove(case)
            later.discard(case.case_id)
        return new

    def _look_up(self, row: StoredCase, later: Collection[str]) -> None:
        """Find whose image a case has that an earlier attempt wrote, and could not report before it ended."""
        if (case_id := row.case.case_id) not in later:
            return
        names = (other.case.case_id for other in self._writer.base.store.with_image(row.stamp.sha256))
        before = next((name for name in names if name not in later), None)
        self._repeats += [] if before is None else [Repeat(case_id, before)]

    def _leave_out(self, case_id: str, reason: str) -> None:
        self._bad.append(BadCase(case_id=case_id, reason=reason))


class Pace:
    """The speed of a job in this process, counted from ``done`` cases on."""

    def __init__(self, done: int) -> None:
        self._done, self._began = done, time.monotonic()

    def at(self, done: int, total: int) -> dict[str, float | None]:
        """Cases per second, and seconds for the rest."""
        rate = (done - self._done) / max(time.monotonic() - self._began, 1e-6)
        return {"rate": rate or None, "eta_seconds": (total - done) / rate if rate > 0 else None}
