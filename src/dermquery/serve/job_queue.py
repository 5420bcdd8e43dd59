"""Runs jobs one after the other; each survives the process and can be cancelled, resumed and undone."""

from __future__ import annotations

import logging
import threading
from collections import deque
from collections.abc import Callable, Collection, Sequence
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any, BinaryIO, TypeVar

from dermquery.serve.answers import ConflictError, UnknownJobError
from dermquery.serve.bundle import Bundle, BundleError, load_entries
from dermquery.serve.job_folder import Job, JobFolder, fingerprint
from dermquery.serve.job_steps import Chunk, Pace, take_in
from dermquery.serve.line import Busy, asking
from dermquery.serve.upload_budget import UploadBudget
from dermquery.serve.writing import CaseWriter
from dermquery.store.home import BaseBusyError
from dermquery.store.ingest import IngestProgress, StoreWriteError

__all__ = ["JobQueue"]

_CHUNK = 64
"""Cases written in one turn, so that single cases get their turns in between."""
_KEPT = timedelta(days=30)
"""How long an ended job is kept and can be undone."""
_KEEPS = frozenset({"queued", "running", "failed"})
"""States in which a job needs its upload."""
_OPEN = frozenset({"queued", "running", "undoing"})
_log = logging.getLogger("dermquery.serve")
R = TypeVar("R")


class JobQueue:
    """The jobs of a service.

    Attributes:
        budget: room on the disk for uploads.

    Args:
        writer: puts the cases in.
        folder: of the jobs; created when needed.
        image_bytes: largest image file.
        disk_bytes: what uploads may take of the disk, until their jobs have ended.
        pause: seconds between two attempts while another process writes to the base.
    """

    def __init__(
        self,
        writer: CaseWriter,
        folder: Path,
        *,
        image_bytes: int,
        disk_bytes: int = 2 << 30,
        pause: float = 2.0,
    ) -> None:
        self._writer, self._folder, self._image_bytes = writer, folder.absolute(), image_bytes
        self._pause = pause
        self.budget = UploadBudget(self._folder, disk_bytes, self._waiting_bytes)
        self._on_end: Callable[[Job], None] = lambda _: None
        self._jobs: dict[str, Job] = {}
        self._queue: deque[str] = deque()
        self._cancelled: set[str] = set()
        self._changed = threading.Condition()
        self._stopping = threading.Event()
        self._thread: threading.Thread | None = None

    def start(self, ended: Callable[[Job], None] = lambda _: None) -> None:
        """Continue the jobs that the last process left, and begin to work; calls ``ended`` with each that ends."""
        self._on_end = ended
        known = set(self._jobs)
        for path in sorted(self._folder.iterdir()) if self._folder.is_dir() else ():
            if path.name in known:
                continue
            if path.name.startswith("."):
                JobFolder(path).remove()  # a submission that was never confirmed
                continue
            if (job := JobFolder(path).load()) is None:
                _log.error("job %s cannot be read and is left as it is", path.name)
                continue
            if job.ended is not None and datetime.now(UTC) - job.ended > _KEPT:
                JobFolder(path).remove()
                continue
            self._jobs[job.id] = job
            if job.state in _OPEN:
                self._queue.append(job.id)
        self._thread = threading.Thread(target=self._work, name="jobs", daemon=True)
        self._thread.start()

    def stop(self) -> None:
        """Stop after the cases that are being written; the next :meth:`start` continues."""
        self._stopping.set()
        with self._changed:
            self._changed.notify_all()
        if self._thread is not None:
            self._thread.join()

    def submit(
        self,
        owner: str,
        archive: BinaryIO | None,
        files: Sequence[tuple[str, BinaryIO]] = (),
        *,
        update: bool = False,
        skip_bad: bool = False,
        keep: Collection[str] = (),
    ) -> Job:
        """Accept a job; when this returns it is on disk and will run. Arguments and errors as for :func:`take_in`."""
        folder, most = self._folder, self._image_bytes
        job = take_in(folder, owner, archive, files, update=update, skip_bad=skip_bad, image_bytes=most, keep=keep)
        return self._enter(job)

    def _waiting_bytes(self) -> int:
        with self._changed:
            waiting = [name for name, job in self._jobs.items() if job.state in _KEEPS]
        archives = [JobFolder(self._folder / name).archive for name in waiting]
        return sum(archive.stat().st_size for archive in archives if archive.exists())

    def all(self) -> list[Job]:
        """Every job, the latest first."""
        with self._changed:
            return [self._jobs[name] for name in sorted(self._jobs, reverse=True)]

    def get(self, job_id: str) -> Job:
        """One job; UnknownJobError if there is none of this id."""
        with self._changed:
            if job_id not in self._jobs:
                raise UnknownJobError(job_id)
            return self._jobs[job_id]

    def cancel(self, job_id: str) -> Job:
        """Stop a job after the cases that are being written; the cases it added stay.

        Raises:
            UnknownJobError, ConflictError: there is no such job, or it has ended.
        """
        with self._changed:
            job = self.get(job_id)
            if job.state not in ("queued", "running"):
                raise ConflictError(f"job {job_id} is {job.state}; only one that waits or runs can be cancelled")
            self._cancelled.add(job_id)
            if job_id in self._queue and job.state == "queued":
                self._queue.remove(job_id)
                return self._end(job, "cancelled")
            return job

    def resume(self, job_id: str) -> Job:
        """Continue a failed job where it stopped, adding or undoing. Errors as for :meth:`cancel`."""
        with self._changed:
            job = self.get(job_id)
            if job.state != "failed":
                raise ConflictError(f"job {job_id} is {job.state}; only one that failed can be resumed")
            state = "undoing" if job.undo else "queued"
            return self._enter(job.model_copy(update={"state": state, "message": None, "ended": None}))

    def undo(self, job_id: str) -> Job:
        """Remove exactly the cases that a job added and nobody has changed since. Errors as for :meth:`cancel`."""
        with self._changed:
            job = self.get(job_id)
            if job.state in _OPEN or job.state == "undone":
                raise ConflictError(f"job {job_id} is {job.state}; it must have ended before it can be undone")
            changes = {"state": "undoing", "undo": True, "message": None, "ended": None}
            return self._enter(job.model_copy(update=changes))

    # --- work --------------------------------------------------------------------------------------------------

    def _enter(self, job: Job) -> Job:
        with self._changed:
            self._save(job)
            self._queue.append(job.id)
            self._changed.notify_all()
            return job

    def _save(self, job: Job, *, disk: bool = True) -> None:
        with self._changed:
            self._jobs[job.id] = job
            if disk:
                JobFolder(self._folder / job.id).save(job)

    def _end(self, job: Job, state: str, message: str | None = None) -> Job:
        changes: dict[str, Any] = {"state": state, "message": message, "ended": datetime.now(UTC), "eta_seconds": None}
        ended = job.model_copy(update=changes)
        with self._changed:
            self._save(ended)
            self._cancelled.discard(job.id)
        if state != "failed":
            JobFolder(self._folder / job.id).forget_upload()
        try:
            self._on_end(ended)
        except Exception:  # the job has ended, even if that could not be logged
            _log.exception("the end of job %s was not logged", job.id)
        return ended

    def _failed(self, job_id: str, why: str) -> None:
        # The state on disk counts whole turns only, so that is where the job can continue.
        job = JobFolder(self._folder / job_id).load() or self.get(job_id)
        try:
            self._end(job, "failed", why)
        except OSError:  # the disk is full: the next start queues the job again
            self._save(job.model_copy(update={"state": "failed", "message": why}), disk=False)

    def _work(self) -> None:
        while True:
            with self._changed:
                self._changed.wait_for(lambda: self._queue or self._stopping.is_set())
                if self._stopping.is_set():
                    return
                job = self._jobs[self._queue.popleft()]
            try:
                with asking(f"jobs of {job.owner}"):
                    self._take_back(job) if job.state == "undoing" else self._run(job)
            except _Stopped:
                return
            except Exception as error:
                _log.exception("job %s failed", job.id)
                self._failed(job.id, _why(error, "undo it again" if job.undo else "resume the job"))

    def _run(self, job: Job) -> None:
        folder = JobFolder(self._folder / job.id)
        entries = list(load_entries(folder.entries))
        before = job.total - len(entries)  # rows left out when the job was submitted
        pace = Pace(job.done)
        self._save(job := job.model_copy(update={"state": "running"}))
        own = folder.added()
        with Bundle(folder.archive, self._image_bytes) as bundle:
            for start in range(job.done - before, len(entries), _CHUNK):
                if job.id in self._cancelled:
                    self._end(job, "cancelled")
                    return
                with Chunk(job, folder, bundle, entries[start : start + _CHUNK], own, self._writer) as chunk:
                    job = self._chunk(job, chunk, pace)
        self._end(job, "done")

    def _chunk(self, job: Job, chunk: Chunk, pace: Pace) -> Job:
        """Write some cases in one turn; the job that counts them is on disk when this returns."""

        def report(progress: IngestProgress) -> None:
            now = job.done + chunk.passed_over + progress.done
            self._save(job.model_copy(update={"done": now, **pace.at(now, job.total)}), disk=False)

        self._in_turn(job, lambda: chunk.put(report))
        now = job.done + len(chunk)
        self._save(
            job := chunk.booked(job).model_copy(update={"done": now, "message": None, **pace.at(now, job.total)})
        )
        return job

    def _take_back(self, job: Job) -> None:
        own = list(JobFolder(self._folder / job.id).added().items())
        for start in range(0, len(own), 500):
            part = dict(own[start : start + 500])

            def work(part: dict[str, str] = part) -> int:
                held = self._writer.base.store.get(list(part), vectors=False)
                ours = [i for i, row in held.items() if fingerprint(row.case, row.stamp.sha256) == part[i]]
                return self._writer.delete(ours) if ours else 0

            removed = job.removed + self._in_turn(job, work)
            self._save(job := job.model_copy(update={"removed": removed}))
        kept = job.added - job.removed
        self._end(job, "undone", f"{kept} cases were changed or removed since, and are left alone" if kept else None)

    def _in_turn(self, job: Job, work: Callable[[], R]) -> R:
        """Run something in this job's turn to write; wait while another process writes."""
        while True:
            if self._stopping.is_set():
                raise _Stopped
            try:
                return self._writer.line.run(work)
            except (Busy, BaseBusyError) as error:
                why = "waits for another process that writes to the base" if isinstance(error, BaseBusyError) else None
                self._save(self.get(job.id).model_copy(update={"message": why}), disk=False)
                self._stopping.wait(self._pause)


class _Stopped(Exception):  # noqa: N818 - the end of the process is no error
    """The service ends."""


def _why(error: Exception, remedy: str) -> str:
    if isinstance(error, StoreWriteError):
        return f"the base cannot be written to (is its disk full?); mend that and {remedy}"
    if isinstance(error, BundleError):
        return str(error)
    return f"unexpected {type(error).__name__}; the server's log says more. When that is mended, {remedy}"
