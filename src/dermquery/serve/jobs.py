"""A job that puts many cases in, as it lies on disk: where it stands, what it is made of, what it has added."""

from __future__ import annotations

import hashlib
import json
import os
import shutil
from collections.abc import Iterable, Iterator, Mapping
from datetime import datetime
from pathlib import Path
from typing import Literal

from pydantic import BaseModel, ConfigDict, ValidationError

from dermquery.data.case import Case
from dermquery.data.files import replacing
from dermquery.serve.fields import CaseFields

__all__ = ["BadCase", "Job", "JobFolder", "JobState", "fingerprint"]

JobState = Literal["queued", "running", "done", "cancelled", "failed", "undoing", "undone"]


class BadCase(BaseModel):
    """A case that was left out, and why."""

    model_config = ConfigDict(frozen=True)

    case_id: str
    reason: str


class Job(BaseModel):
    """Where a job stands; what it says is done is on disk.

    Attributes:
        id: sorts by time.
        owner: who submitted it.
        update: cases that are in the base already are replaced; otherwise they count as bad.
        total: cases of the table.
        done: cases that are through: added, updated, unchanged or bad.
        added: cases that were new in the base.
        n_bad: cases that were left out; ``bad`` names the first thousand.
        undo: it is, or was last, being undone.
        removed: cases that were taken out again when the job was undone.
        message: what it waits for, or why it failed.
        rate: cases per second of this run; None before there is one.
        eta_seconds: expected time for the rest.
    """

    model_config = ConfigDict(frozen=True)

    id: str
    owner: str
    state: JobState = "queued"
    created: datetime
    ended: datetime | None = None
    update: bool = False
    total: int
    done: int = 0
    added: int = 0
    updated: int = 0
    unchanged: int = 0
    n_bad: int = 0
    bad: tuple[BadCase, ...] = ()
    undo: bool = False
    removed: int = 0
    message: str | None = None
    rate: float | None = None
    eta_seconds: float | None = None


def fingerprint(case: Case, sha256: str) -> str:
    """What tells a case that a job added from one that was changed since."""
    fields = CaseFields.of(case).model_dump(mode="json")
    return hashlib.sha256(json.dumps([fields, sha256], sort_keys=True).encode()).hexdigest()


class JobFolder:
    """The files of one job.

    Attributes:
        archive: the table and the images.
        entries: the cases of the table.
    """

    def __init__(self, path: Path) -> None:
        self.path = path
        self.archive, self.entries = path / "upload.zip", path / "cases.jsonl"
        self._state, self._added = path / "job.json", path / "added.jsonl"

    def load(self) -> Job | None:
        """Where the job stands; None if this is no job's folder."""
        try:
            return Job.model_validate_json(self._state.read_bytes())
        except (OSError, ValidationError):
            return None

    def save(self, job: Job) -> None:
        """Keep where the job stands; it is on disk when this returns."""
        with replacing(self._state) as part:
            part.write_text(job.model_dump_json(), encoding="utf-8")
            _sync(part)
        _sync(self.path)

    def note(self, added: Mapping[str, str]) -> None:
        """Note, before they are written, cases that the base does not have yet, each with its fingerprint."""
        if not added:
            return
        whole = self._added.exists() and not self._added.read_bytes().endswith(b"\n")
        with self._added.open("a", encoding="utf-8") as file:
            file.write("\n" * whole)  # after a line that a killed process left unfinished
            file.writelines(json.dumps(pair, ensure_ascii=False) + "\n" for pair in added.items())
            file.flush()
            os.fsync(file.fileno())

    def added(self) -> dict[str, str]:
        """The cases that the job added or was about to add, each with its fingerprint."""
        found: dict[str, str] = {}
        for line in _lines(self._added):
            try:
                case_id, mark = json.loads(line)
            except ValueError:  # what a killed process left unfinished was not written to the base either
                continue
            found[case_id] = mark
        return found

    def forget_upload(self) -> None:
        """Remove what is not needed any more once the job has ended."""
        self.archive.unlink(missing_ok=True)
        self.entries.unlink(missing_ok=True)

    def remove(self) -> None:
        """Remove all of it."""
        shutil.rmtree(self.path, ignore_errors=True)


def sync_all(folder: Path, names: Iterable[str]) -> None:
    """Let files and their folder be on disk."""
    for name in names:
        _sync(folder / name)
    _sync(folder)


def _lines(path: Path) -> Iterator[str]:
    if path.exists():
        with path.open(encoding="utf-8", newline="\n") as file:
            yield from file


def _sync(path: Path) -> None:
    handle = os.open(path, os.O_RDONLY)
    try:
        os.fsync(handle)
    finally:
        os.close(handle)
