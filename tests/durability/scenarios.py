"""What is done to a base and its service while the disk may lose power, and what must be there afterwards."""

from __future__ import annotations

import warnings
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np

from dermquery.data.case import Case
from dermquery.serve.audit_chain import BadLine, read_lines, verify
from dermquery.serve.audit_log import AuditLog
from dermquery.serve.job_folder import Job, JobFolder
from dermquery.serve.job_steps import take_in
from dermquery.serve.security.secret_files import Entry, SecretFile
from dermquery.store.casebase import CaseBase
from dermquery.store.export_base import export_base
from dermquery.store.migrate import migrate, tidy
from dermquery.store.protocol import FEWEST_INDEXED, ImageStamp, StoredCase
from dermquery.store.transfer import copy_base, restore_snapshot, write_snapshot
from dermquery.store.upgrade import upgrade
from tests.durability.disk import Disk
from tests.store.conftest import make_cases
from tests.store.earlier_bases import rows_of, unpack
from tests.store.encoder import ProjectionEncoder

__all__ = ["SCENARIOS", "Scenario"]

Told = Sequence[Any]


@dataclass(frozen=True)
class Scenario:
    """Something that is done, and how what a cut leaves of it is judged.

    Attributes:
        prepare: makes what is there before, in a folder, from another folder that no cut reaches.
        act: does it, and tells the disk what was said to be safe, and what is being done.
        check: raises AssertionError for a folder in which something is missing that was told.
    """

    prepare: Callable[[Path, Path], None]
    act: Callable[[Path, Path, Disk], None]
    check: Callable[[Path, Told], None]


# --- rows ----------------------------------------------------------------------------------------------------------

Texts = Mapping[str, str | None]
"""The text of each case; None for one that is not there."""


def _cases(outside: Path, texts: Mapping[str, str]) -> list[Case]:
    """The cases of a base, whose images lie where no cut reaches."""
    known = {case.case_id: case for case in make_cases(outside / "own", 12)}
    return [known[name].model_copy(update={"text": text}) for name, text in texts.items()]


def _doing(disk: Disk, texts: Texts, work: Callable[[], object]) -> None:
    disk.tell(("doing", dict(texts)))
    work()
    disk.tell(("done", dict(texts)))


def _expected(told: Told) -> tuple[dict[str, str | None], dict[str, str | None]]:
    """What is sure, and what is being changed."""
    sure: dict[str, str | None] = {}
    changing: dict[str, str | None] = {}
    for kind, texts in told:
        if kind == "doing":
            changing = texts
        else:
            sure.update(texts)
            changing = {}
    return sure, changing


def _check_rows(folder: Path, told: Told) -> None:
    sure, changing = _expected(told)
    if not told or (told[-1][0] == "doing" and not sure and not (folder / "manifest.json").exists()):
        return  # the base was not said to be made
    base = _opened(folder)
    rows = rows_of(base.store)
    for name, text in sure.items():
        allowed = {text, changing.get(name, text)}
        assert (rows[name].case.text if name in rows else None) in allowed, f"{name} is not as it was confirmed"
    for name, row in rows.items():
        assert name in sure or name in changing, f"{name} came from nowhere"
        assert np.isfinite(row.vector).all()
        if base.archive is not None:
            assert base.archive.original(row.stamp.sha256)
            assert base.archive.thumbnail(row.stamp.sha256)
    if rows:
        name = sorted(rows)[0]
        assert base.search_encoded(base.encoded_case(name), top_k=1).hits[0].case.case_id == name


def _opened(folder: Path) -> CaseBase:
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", RuntimeWarning)  # of a version that is passed over, which is what is asked
        manifest = CaseBase.open(folder).manifest
        seed = int(manifest.model_name.rpartition("-")[2])
        return CaseBase.open(folder, ProjectionEncoder(seed))


def _index(root: Path, outside: Path, disk: Disk) -> None:
    """A base is made, filled in two batches, changed, and made smaller."""
    texts = {f"case-{i:03d}": "one" for i in range(6)}
    disk.tell(("doing", {}))
    base = CaseBase.create(root / "base", ProjectionEncoder())
    disk.tell(("done", {}))
    _doing(disk, texts, lambda: base.add(_cases(outside, texts), batch_size=3))
    changed = {"case-001": "two", "case-006": "two"}
    _doing(disk, changed, lambda: base.add(_cases(outside, changed)))
    _doing(disk, {"case-002": None}, lambda: base.delete(["case-002"]))


def _filled(root: Path, outside: Path) -> None:
    base = CaseBase.create(root / "base", ProjectionEncoder())
    texts = {f"case-{i:03d}": "one" for i in range(6)}
    base.add(_cases(outside, texts), batch_size=2)
    base.delete(["case-005"])


_HELD: Texts = {f"case-{i:03d}": "one" for i in range(5)}


def _whole(disk: Disk, work: Callable[[], object]) -> None:
    """Something that changes no case."""
    disk.tell(("done", dict(_HELD)))
    work()
    disk.tell(("done", dict(_HELD)))


def _migrate(root: Path, outside: Path, disk: Disk) -> None:
    _whole(disk, lambda: migrate(root / "base", ProjectionEncoder(1), batch_size=2))


def _tidy(root: Path, outside: Path, disk: Disk) -> None:
    migrate(root / "base", ProjectionEncoder(1), batch_size=2)
    _whole(disk, lambda: tidy(root / "base"))


def _transfer(root: Path, outside: Path, disk: Disk) -> None:
    """A copy, a snapshot and what is restored of it, each of which is used once it is said to be whole."""
    base = root / "base"
    copy_base(base, root / "copy")
    disk.tell(("copy", root / "copy"))
    write_snapshot(base, root / "file.parquet")
    disk.tell(("snapshot", root / "file.parquet"))
    restore_snapshot(root / "file.parquet", root / "restored")
    disk.tell(("restored", root / "restored"))
    export_base(base, root / "out")
    disk.tell(("export", root / "out"))


def _check_transfer(folder: Path, told: Told) -> None:
    held = [("done", dict(_HELD))]
    _check_rows(folder / "base", held)
    made = {kind: folder / path.name for kind, path in told}
    for kind in ("copy", "restored"):
        if kind in made:
            rows = rows_of(_opened(made[kind]).store)
            assert {name: row.case.text for name, row in rows.items()} == _HELD
    if "copy" in made:
        _check_rows(made["copy"], held)
    if "snapshot" in made and "restored" not in made:
        restore_snapshot(made["snapshot"], folder / "again")
        assert rows_of(_opened(folder / "again").store).keys() == _HELD.keys()
    if "export" in made:
        assert len(list((made["export"] / "images").glob("case-*"))) == len(_HELD)
        assert (made["export"] / "cases.csv").read_text(encoding="utf-8").count("\n") > len(_HELD)


_OLD = {f"lésion/{i}": text for i, text in enumerate(("raised border", "seen again", None))}


def _earlier(root: Path, outside: Path) -> None:
    unpack(outside)
    (outside / "schema-4").rename(root / "base")


def _upgrade(root: Path, outside: Path, disk: Disk) -> None:
    disk.tell(None)
    upgrade(root / "base")
    disk.tell("upgraded")
    tidy(root / "base")
    disk.tell("tidied")


def _check_upgrade(folder: Path, told: Told) -> None:
    base = _opened(folder / "base")
    assert {name: row.case.text for name, row in rows_of(base.store).items()} == _OLD
    assert base.archive is not None
    assert "upgraded" not in told or not base.manifest.outdated
    upgrade(folder / "base")
    assert {name: row.case.text for name, row in rows_of(_opened(folder / "base").store).items()} == _OLD


def _many(root: Path, outside: Path) -> None:
    base = CaseBase.create(root / "base", ProjectionEncoder(), images=False)
    rng, stamp = np.random.default_rng(0), ImageStamp("ab" * 32, 1, 1)
    vectors = rng.normal(size=(FEWEST_INDEXED + 6, base.manifest.layout.size)).astype(np.float32)
    image = outside / "none.png"
    rows = [StoredCase(Case(case_id=f"{i:05d}", image=image, text="one"), v, stamp) for i, v in enumerate(vectors)]
    base.store.upsert(rows)


def _index_built(root: Path, outside: Path, disk: Disk) -> None:
    base = CaseBase.open(root / "base")
    disk.tell(0)
    base.build_index()
    disk.tell(0)
    base.delete(["00000"])
    disk.tell(1)
    base.store.compact()
    base.build_index()
    disk.tell(1)


def _check_many(folder: Path, told: Told) -> None:
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", RuntimeWarning)
        base = CaseBase.open(folder / "base")
        count = base.count()
        assert FEWEST_INDEXED + 6 - count in ({told[-1], 1} if told else {0})
        wanted = base.store.get(["00003"])["00003"]
        assert base.store.search(wanted.vector * 2, top_k=1)[0].row.case.case_id == "00003"


# --- the service ---------------------------------------------------------------------------------------------------


def _nothing(root: Path, outside: Path) -> None:
    make_cases(outside / "own", 12)


class _Key(Entry):
    hash: str


def _state(root: Path, outside: Path, disk: Disk) -> None:
    """Audit lines that begin new files, keys, and the states of a job."""
    log = AuditLog(root / "audit", max_bytes=700)
    keys = SecretFile(root / "state" / "keys.json", _Key)
    for i in range(6):
        log.write("search", None, number=i)
        disk.tell(("audit", i))
        with keys.changing() as entries:
            entries[f"key-{i}"] = _Key(hash="x" * i)
        disk.tell(("key", f"key-{i}"))
    log.close()


def _check_state(folder: Path, told: Told) -> None:
    found = verify(folder / "audit")
    assert not isinstance(found, BadLine), found
    numbers = [line["number"] for line in read_lines(folder / "audit") if line["event"] == "search"]
    confirmed = [value for kind, value in told if kind == "audit"]
    assert numbers[: len(confirmed)] == confirmed
    AuditLog(folder / "audit", max_bytes=700).close()
    entries = SecretFile(folder / "state" / "keys.json", _Key).entries()
    assert {value for kind, value in told if kind == "key"} <= entries.keys()


def _jobs(root: Path, outside: Path, disk: Disk) -> None:
    """Jobs are taken in, and their states saved; each state is what the next start of the service goes on from."""
    for number in range(2):
        table = outside / f"{number}.csv"
        table.write_text(f"case_id,image\njob-{number},{number:03d}.png\n", encoding="utf-8")
        image = outside / "own" / "images" / f"{number:03d}.png"
        with table.open("rb") as one, image.open("rb") as two:
            files = [("cases.csv", one), (image.name, two)]
            job = take_in(root / "jobs", "me", None, files, update=False, skip_bad=False, image_bytes=1 << 20)
        disk.tell((job.id, "queued", ()))
        folder = JobFolder(root / "jobs" / job.id)
        folder.note({f"job-{number}": "mark"})
        disk.tell((job.id, "queued", (f"job-{number}",)))
        folder.save(job.model_copy(update={"state": "done", "done": 1}))
        disk.tell((job.id, "done", (f"job-{number}",)))


def _check_jobs(folder: Path, told: Told) -> None:
    for name, state, added in {name: (name, state, added) for name, state, added in told}.values():
        there = JobFolder(folder / "jobs" / name)
        job = there.load()
        assert isinstance(job, Job)
        assert job.state in {state, "done"}
        assert set(added) <= there.added().keys()
        assert there.archive.stat().st_size > 100
        assert there.entries.read_text(encoding="utf-8").endswith("\n")


def _at(check: Callable[[Path, Told], None]) -> Callable[[Path, Told], None]:
    return lambda folder, told: check(folder / "base", told)


SCENARIOS: Mapping[str, Scenario] = {
    "index": Scenario(_nothing, _index, _at(_check_rows)),
    "migrate": Scenario(_filled, _migrate, _at(_check_rows)),
    "tidy": Scenario(_filled, _tidy, _at(_check_rows)),
    "transfer": Scenario(_filled, _transfer, _check_transfer),
    "upgrade": Scenario(_earlier, _upgrade, _check_upgrade),
    "base index": Scenario(_many, _index_built, _check_many),
    "audit and keys": Scenario(_nothing, _state, _check_state),
    "jobs": Scenario(_nothing, _jobs, _check_jobs),
}
