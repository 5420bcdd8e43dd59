"""Loading cases into a store: encoding and writing at once, and every batch durable before it is reported."""

from __future__ import annotations

import time
from collections import Counter
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from concurrent.futures import Future, ThreadPoolExecutor
from contextlib import contextmanager
from dataclasses import asdict, dataclass, field, replace
from pathlib import Path
from typing import Any

from dermquery.data.case import Case
from dermquery.data.merging import ALSO_IN, Contradictions, completed
from dermquery.store.encoding import Executor, Outcome
from dermquery.store.examine import Known
from dermquery.store.other_sources import others_in_place
from dermquery.store.protocol import CaseStore, StoredCase

__all__ = ["BadImage", "IngestProgress", "IngestReport", "Repeat", "StoreWriteError", "index_cases"]

_CHUNK = 256
"""Cases whose stored rows are looked up at once."""
_REPEATS_KEPT = 100
_REIMAGED_KEPT = 3


class StoreWriteError(OSError):
    """A store fails during an ingest; the message says how many cases are safe and what to do."""


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
class Repeat:
    """A case whose image file is, byte for byte, that of another one, which was there first."""

    case_id: str
    same_image_as: str


@dataclass(frozen=True)
class IngestProgress:
    """Where an ingest stands.

    Attributes:
        done, total: cases.
        encoded: images that went through the model in this run.
        bad: images that could not be used so far.
        rate: encoded images per second since the start of the run; 0 before one is through.
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
    """What an ingest did, or would do.

    Attributes:
        added: cases that are new in the base.
        updated: cases whose image or description changed.
        unchanged: cases that were there already with the same image bytes and description.
        bad: cases left out, each with its reason. Of a case that was in the base before, the old row stays.
        repeated: cases of this run whose image file is, byte for byte, that of an earlier case of this run, or of
            another case that the base held before.
        repeats: the first hundred of them, each with the case that holds its image.
        completed: cases of this run that are an image of the ISIC Archive which the base has from another source. They
            complete what it said, see :func:`~dermquery.data.merging.completed`.
        contradictions: by field on which they contradict it, how many do; what the base said stays.
        contradicting: the same for people, a line for each field with examples.
        examples: of each of these fields, the first of them: the case, what the base says and what the case says.
        reimaged: cases that the base had with another image file, whose vectors are new; the first of them are named.
        seconds: wall time.
        dry_run: nothing was encoded or written.
    """

    added: int
    updated: int
    unchanged: int
    bad: tuple[BadImage, ...]
    repeated: int
    seconds: float
    dry_run: bool = False
    repeats: tuple[Repeat, ...] = ()
    reimaged: int = 0
    reimaged_first: tuple[str, ...] = ()
    completed: int = 0
    contradictions: Mapping[str, int] = field(default_factory=dict)
    contradicting: tuple[str, ...] = ()
    examples: Mapping[str, tuple[str, ...]] = field(default_factory=dict)

    def to_dict(self) -> dict[str, Any]:
        """Plain values for JSON."""
        bad = [asdict(item) | {"image": str(item.image)} for item in self.bad]
        return asdict(self) | {"bad": bad}


def index_cases(
    cases: Iterable[Case],
    store: CaseStore | None,
    executor: Executor,
    *,
    dry_run: bool = False,
    replacing: bool = False,
    progress: Callable[[IngestProgress], None] | None = None,
) -> IngestReport:
    """Encode cases and write them to a store.

    Can be interrupted at any point, also by ``kill -9``, and run again: what was reported as done is there, and cases
    that did not change since are skipped. An image that cannot be used is reported and stops nothing. While one batch
    is written, the next is encoded.

    Args:
        cases: each with its own ``case_id``.
        store: where the rows go; its vectors must have the length of the model's layout. None for the dry run of a
            base that is not there yet.
        executor: reads and encodes.
        dry_run: report what would be done; the executor has no model then.
        replacing: the cases take the places of those with their ids as they are. Otherwise ids belong to their source:
            an image of the ISIC Archive that another source brought is completed, and any other case of another source
            is not written over.
        progress: called after every write, and after every batch of skipped cases.

    Raises:
        ValueError: for a ``case_id`` that occurs twice, or that is another source's in the base; nothing is written.
        StoreWriteError: rows cannot be written or read, for instance because the disk is full.
        ArchiveError: an image cannot be kept.
    """
    cases = tuple(case.model_copy(update={"image": case.image.absolute()}) for case in cases)
    twice = [case_id for case_id, n in Counter(case.case_id for case in cases).items() if n > 1]
    if twice:
        raise ValueError(f"case ids occur more than once: {', '.join(twice[:5])}; give each case its own id")
    run = _Run(None if dry_run else store, len(cases), progress, replacing=replacing)
    if store is not None and not replacing:
        with run.storing("read"):
            taken = others_in_place(cases, store)
        if taken:
            raise ValueError(taken)
    pending: Future[None] | None = None
    with ThreadPoolExecutor(1, thread_name_prefix="write") as writer:
        for outcomes in executor.run(_known(cases, store, run)):
            if pending is not None:
                pending.result()
            pending = writer.submit(run.take, outcomes)
        if pending is not None:
            pending.result()
    return run.finish()


def _known(cases: Sequence[Case], store: CaseStore | None, run: _Run) -> Iterator[Known]:
    """Each case with its row; the rows of a chunk are looked up together, and not at all in a store that was empty."""
    with run.storing("read"):
        held = run.held = store if store is not None and store.count() else None
    for start in range(0, len(cases), _CHUNK):
        chunk = cases[start : start + _CHUNK]
        with run.storing("read"):
            # With the vectors, so that a row whose vector is damaged counts as none, and is written anew.
            rows = {} if held is None else held.get([case.case_id for case in chunk])
        for case in chunk:
            row = rows.get(case.case_id)
            if row is not None:
                run.images[case.case_id] = row.stamp.key
                case = case if run.replacing else run.completed_by(row.case, case)
            yield case, row and replace(row, vector=row.vector[:0])


@dataclass
class _Run:
    """The state of one ingest."""

    store: CaseStore | None
    total: int
    progress: Callable[[IngestProgress], None] | None
    replacing: bool = False
    held: CaseStore | None = None
    added: int = 0
    updated: int = 0
    unchanged: int = 0
    encoded: int = 0
    repeated: int = 0
    bad: list[BadImage] = field(default_factory=list)
    repeats: list[Repeat] = field(default_factory=list)
    seen: dict[str, str] = field(default_factory=dict)
    images: dict[str, str] = field(default_factory=dict)
    reimaged: list[str] = field(default_factory=list)
    completed: int = 0
    contradictions: Contradictions = field(default_factory=Contradictions)
    started: float = field(default_factory=time.monotonic)

    def completed_by(self, held: Case, case: Case) -> Case:
        """A case as it is to be written: of an image that another source brought, what both say."""
        if case.archive_id is None or (held.source == case.source and ALSO_IN not in held.extra):
            return case
        if held.source == case.source:  # the first's own table again: its words count, the others' complete them
            return completed(case, held)
        self.completed += 1
        self.contradictions.take(held, case)
        return completed(held, case)

    def take(self, outcomes: Sequence[Outcome]) -> None:
        """Write what has to be written, in one transaction, then book all."""
        changed = [item for item in outcomes if item.stamp is not None]
        self._look_up(changed)
        if changed and self.store is not None:
            self._write(changed, self.store)
        for item in outcomes:
            image = self.images.pop(item.case.case_id, None)
            if item.stamp is not None and image not in (None, item.stamp.key):
                self.reimaged.append(item.case.case_id)
            if item.reason is not None:
                self.bad.append(BadImage(item.case.case_id, item.case.image, item.reason))
            self.unchanged += item.unchanged
            self.encoded += item.vector is not None
        for item in changed:
            assert item.stamp is not None  # noqa: S101 - changed has those that do
            self.added += not item.known
            self.updated += item.known
        self._tell()

    def finish(self) -> IngestReport:
        """Tidy the store, and report; also where nothing was written, for a run before may have been killed here."""
        if self.store is not None:
            with self.storing("tidied up"):
                self.store.compact()
        self._tell()
        seconds = time.monotonic() - self.started
        return IngestReport(
            self.added,
            self.updated,
            self.unchanged,
            tuple(self.bad),
            self.repeated,
            seconds,
            dry_run=self.store is None,
            repeats=tuple(self.repeats),
            reimaged=len(self.reimaged),
            reimaged_first=tuple(self.reimaged[:_REIMAGED_KEPT]),
            completed=self.completed,
            contradictions=dict(self.contradictions.counts),
            contradicting=self.contradictions.sentences,
            examples={name: tuple(said) for name, said in self.contradictions.examples.items()},
        )

    @property
    def done(self) -> int:
        return self.added + self.updated + self.unchanged + len(self.bad)

    @contextmanager
    def storing(self, done_to_it: str) -> Iterator[None]:
        """Turn a failure of the store within the block into one that says how many cases are safe."""
        try:
            yield
        except (OSError, RuntimeError) as error:
            raise StoreWriteError(
                f"the base cannot be {done_to_it} ({error}); the {self.done} cases before are safe. "
                "Mend the cause (is the disk full?) and run the command again: it goes on where it stopped"
            ) from error

    def _look_up(self, changed: Sequence[Outcome]) -> None:
        """Find the images that occur before; a base that was empty has none to be looked up."""
        for item in changed:
            assert item.stamp is not None  # noqa: S101 - the caller looked
            sha256, case_id = item.stamp.sha256, item.case.case_id
            before = self.seen.get(sha256)
            if before in (None, case_id) and self.held is not None:
                with self.storing("read"):
                    names = (row.case.case_id for row in self.held.with_image(sha256))
                    before = next((name for name in names if name != case_id), None)
            if before is not None:
                self.repeated += 1
                self.repeats += [Repeat(case_id, before)] if len(self.repeats) < _REPEATS_KEPT else []
            self.seen.setdefault(sha256, before or case_id)

    def _write(self, changed: Sequence[Outcome], store: CaseStore) -> None:
        same = [item.case.case_id for item in changed if item.vector is None]
        with self.storing("read"):
            old = store.get(same) if same else {}
        rows = []
        for item in changed:
            assert item.stamp is not None  # noqa: S101 - the caller looked
            vector = old[item.case.case_id].vector if item.vector is None else item.vector
            rows.append(StoredCase(item.case, vector, item.stamp))
        with self.storing("written to"):
            store.upsert(rows)

    def _tell(self) -> None:
        if self.progress is None:
            return
        rate = self.encoded / (time.monotonic() - self.started) if self.encoded else 0.0
        eta = (self.total - self.done) / rate if rate > 0 else None
        self.progress(IngestProgress(self.done, self.total, self.encoded, len(self.bad), rate, eta))
