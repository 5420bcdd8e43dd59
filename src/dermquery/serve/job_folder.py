"""A job that adds many cases, as its folder keeps it: state, upload, and the cases it added."""

from __future__ import annotations

import hashlib
import json
import shutil
from collections.abc import Iterator, Mapping
from datetime import datetime
from pathlib import Path
from typing import Literal

from pydantic import BaseModel, ConfigDict, ValidationError

from dermquery.data.case import Case
from dermquery.data.files import replacing, sync
from dermquery.serve.fields import CaseFields
from dermquery.store.ingest import Repeat

__all__ = ["BadCase", "Job", "JobFolder", "JobState", "fingerprint"]

JobState = Literal["queued", "running", "done", "cancelled", "failed", "undoing", "undone"]


class BadCase(BaseModel):
    """A case that a job left out, and why."""

    model_config = ConfigDict(frozen=True)

    case_id: str
    reason: str


class Job(BaseModel):
    """The state of a job; what it counts as done is on disk.

    Attributes:
        id: sorts by time.
        owner: who submitted it.
        update: replaces cases that the base has; otherwise they count as bad.
        total: cases of the table.
        done: cases that are finished: added, updated, unchanged or bad.
        added: cases that were new in the base.
        n_bad: cases left out; ``bad`` names the first thousand.
        left_out: columns of the table that were left out, as they may name a person, each with the reason.
        notes: what else there is to tell of the table, such as lesions that it numbers for each patient.
        repeated: cases put in whose image file another case has, of the base or of an earlier row; ``repeats`` names
            the first hundred, each with that case.
        completed: images of the ISIC Archive that the base has from another source, and that the job's cases complete.
        contradictions: by field on which they contradict it, how many do; what the base says stays.
        contradicting: of each of these fields the first three: the case, what the base says, and what the job says.
        undo: whether its last work was to undo it.
        removed: cases that undoing has removed.
        message: what it waits for, or why it failed.
        rate: cases per second in this process; None before any.
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
    left_out: dict[str, str] = {}
    notes: tuple[str, ...] = ()
    repeated: int = 0
    repeats: tuple[Repeat, ...] = ()
    completed: int = 0
    contradictions: dict[str, int] = {}
    contradicting: dict[str, tuple[str, ...]] = {}
    undo: bool = False
    removed: int = 0
    message: str | None = None
    rate: float | None = None
    eta_seconds: float | None = None


def fingerprint(case: Case, sha256: str) -> str:
    """A hash that changes with a case, to tell whether the case is still as a job added it."""
    fields = CaseFields.of(case).model_dump(mode="json")
    return hashlib.sha256(json.dumps([fields, sha256], sort_keys=True).encode()).hexdigest()


class JobFolder:
    """The files of one job.

    Attributes:
        archive: file with the table and the images.
        entries: file with the cases of the table.
    """

    def __init__(self, path: Path) -> None:
        self.path = path
        self.archive, self.entries = path / "upload.zip", path / "cases.jsonl"
        self._state, self._added = path / "job.json", path / "added.jsonl"

    def load(self) -> Job | None:
        """The job; None if this is no job's folder."""
        try:
            return Job.model_validate_json(self._state.read_bytes())
        except (OSError, ValidationError):
            return None

    def save(self, job: Job) -> None:
        """Write the job; it is on disk when this returns."""
        with replacing(self._state) as part:
            part.write_text(job.model_dump_json(), encoding="utf-8")

    def note(self, added: Mapping[str, str]) -> None:
        """Note cases that are new in the base, each with its fingerprint, before they are written."""
        if not added:
            return
        whole = self._added.exists() and not self._added.read_bytes().endswith(b"\n")
        with self._added.open("a", encoding="utf-8") as file:
            file.write("\n" * whole)  # ends a line that a killed process left unfinished
            file.writelines(json.dumps(pair, ensure_ascii=False) + "\n" for pair in added.items())
        sync([self._added, self.path])

    def added(self) -> dict[str, str]:
        """The cases that the job added or was about to add, with their fingerprints."""
        found: dict[str, str] = {}
        for line in _lines(self._added):
            try:
                case_id, mark = json.loads(line)
            except ValueError:  # a killed process left it unfinished, and so did not write the case to the base
                continue
            found[case_id] = mark
        return found

    def forget_upload(self) -> None:
        """Remove the files that an ended job does not need."""
        self.archive.unlink(missing_ok=True)
        self.entries.unlink(missing_ok=True)

    def remove(self) -> None:
        """Remove the folder."""
        shutil.rmtree(self.path, ignore_errors=True)


def _lines(path: Path) -> Iterator[str]:
    if path.exists():
        with path.open(encoding="utf-8", newline="\n") as file:
            yield from file
