from __future__ import annotations

import os
import shutil
import signal
import subprocess
import sys
import threading
import time
from collections.abc import Iterator, Sequence
from pathlib import Path

import numpy as np
import pytest
from PIL import Image

from dermquery.data.case import Case
from dermquery.data.case_table import write_cases
from dermquery.model.alignment import Vectors
from dermquery.store import encoding, examine
from dermquery.store.casebase import CaseBase
from dermquery.store.encoding import LocalExecutor
from dermquery.store.home import BaseBusyError
from dermquery.store.ingest import IngestProgress, StoreWriteError, index_cases
from dermquery.store.protocol import StoredCase, packed
from tests.data.dicom.made import dermoscopic, written
from tests.store.conftest import draw_lesion, make_cases
from tests.store.encoder import Checklists, ProjectionEncoder
from tests.waiting import until

ROOT = Path(__file__).parents[2]


@pytest.fixture
def own_cases(tmp_path: Path) -> list[Case]:
    """Cases whose images a test may change."""
    return make_cases(tmp_path / "own", 12)


@pytest.fixture
def own_base(tmp_path: Path, encoder: ProjectionEncoder) -> CaseBase:
    return CaseBase.create(tmp_path / "base", encoder)


def test_every_case_gets_the_vector_of_its_image(
    own_base: CaseBase, own_cases: list[Case], encoder: ProjectionEncoder
) -> None:
    report = own_base.add(own_cases, batch_size=5)
    assert (report.added, report.updated, report.unchanged, report.bad) == (12, 0, 0, ())
    stored = own_base.store.get([case.case_id for case in own_cases])
    for case in own_cases:
        with Image.open(case.image) as image:
            expected = packed(encoder.encode_case([image], [case.checklist])[0])
        assert np.array_equal(stored[case.case_id].vector, expected)
        assert stored[case.case_id].case == case


def test_a_second_run_skips_what_did_not_change(
    own_base: CaseBase, own_cases: list[Case], encoder: ProjectionEncoder
) -> None:
    own_base.add(own_cases)
    vectors = {name: row.vector for name, row in own_base.store.get(own_base.store.ids()).items()}
    encoder.encoded = 0

    os.utime(own_cases[0].image)  # touched, same bytes
    own_cases[1] = own_cases[1].model_copy(update={"site": "scalp"})  # other words, same image
    draw_lesion(own_cases[2].image, seed=99)  # another image
    moved = own_cases[3].image.with_name("moved.png")
    shutil.move(own_cases[3].image, moved)
    own_cases[3] = own_cases[3].model_copy(update={"image": moved})  # another path, same bytes

    report = own_base.add(own_cases)
    assert encoder.encoded == 1
    assert (report.added, report.updated + report.unchanged, report.bad) == (0, 12, ())
    stored = own_base.store.get(own_base.store.ids())
    assert stored["case-001"].case.site == "scalp"
    assert stored["case-003"].case.image == moved
    changed = {name for name, row in stored.items() if not np.array_equal(row.vector, vectors[name])}
    assert changed == {"case-002"}

    report = own_base.add(own_cases)
    assert (report.added, report.updated, report.unchanged) == (0, 0, 12)


def test_bad_images_are_reported_and_stop_nothing(own_base: CaseBase, own_cases: list[Case]) -> None:
    own_cases[2].image.unlink()
    own_cases[5].image.write_bytes(own_cases[5].image.read_bytes()[:60])
    own_cases[7].image.write_bytes(b"")
    own_cases[8].image.unlink()
    own_cases[8].image.mkdir()
    own_cases[9] = own_cases[9].model_copy(update={"image": Path("/tmp/\udcff.png")})  # noqa: S108
    report = own_base.add(own_cases, batch_size=4)
    assert report.added == 7
    assert [bad.case_id for bad in report.bad] == [f"case-{i:03d}" for i in (2, 5, 7, 8, 9)]
    for bad in report.bad[:4]:
        assert str(bad.image) in bad.reason
        assert "bytes:" not in bad.reason
    assert "not valid Unicode" in report.bad[4].reason
    assert own_base.store.ids() == [f"case-{i:03d}" for i in (0, 1, 3, 4, 6, 10, 11)]

    draw_lesion(own_cases[5].image, seed=5)
    assert own_base.add(own_cases).added == 1, "a mended image is taken up by the next run"


def test_a_dicom_object_is_not_kept_as_an_image(own_base: CaseBase, own_cases: list[Case]) -> None:
    """It would name its patient for as long as the base is kept."""
    own_cases[0].image.write_bytes(written(dermoscopic()))
    report = own_base.add(own_cases[:2])
    assert (report.added, len(report.bad)) == (1, 1)
    assert "dermquery data prepare dicom" in report.bad[0].reason
    assert len(list(Path(own_base.uri).rglob("*.dcm"))) == 0


def test_a_case_whose_image_went_bad_keeps_its_row(own_base: CaseBase, own_cases: list[Case]) -> None:
    own_base.add(own_cases)
    own_cases[0].image.write_bytes(b"not an image at all")
    report = own_base.add(own_cases)
    assert (report.unchanged, len(report.bad), own_base.count()) == (11, 1, 12)


def test_an_image_without_a_finite_vector_is_left_out(tmp_path: Path, own_cases: list[Case]) -> None:
    class Fragile(ProjectionEncoder):
        def encode_case(self, images: Sequence[Image.Image], checklists: Checklists = None) -> Vectors:
            vectors = super().encode_case(images, checklists)
            vectors[[i for i, image in enumerate(images) if image.width == 20]] = np.nan
            return vectors

    draw_lesion(own_cases[4].image, seed=4, size=20)
    base = CaseBase.create(tmp_path / "fragile", Fragile())
    report = base.add(own_cases)
    assert report.added == 11
    assert "no finite vector" in report.bad[0].reason
    assert base.store.get(["case-004"]) == {}


def test_vectors_of_another_shape_are_refused(tmp_path: Path, own_cases: list[Case]) -> None:
    class Wrong(ProjectionEncoder):
        def encode_case(self, images: Sequence[Image.Image], checklists: Checklists = None) -> Vectors:
            return super().encode_case(images, checklists)[:, :-1]

    with pytest.raises(ValueError, match=r"gave vectors of shape \(12, 63\), expected \(12, 64\)"):
        CaseBase.create(tmp_path / "wrong", Wrong()).add(own_cases)


def test_bad_arguments(own_base: CaseBase, own_cases: list[Case]) -> None:
    with pytest.raises(ValueError, match="case ids occur more than once: case-000"):
        own_base.add([*own_cases, own_cases[0]])
    with pytest.raises(ValueError, match="batch size must be at least 1, got 0"):
        own_base.add(own_cases, batch_size=0)
    assert own_base.count() == 0
    assert own_base.add([]).added == 0


def test_progress_ends_at_the_total_and_knows_its_rate(own_base: CaseBase, own_cases: list[Case]) -> None:
    own_cases[2].image.unlink()
    seen: list[IngestProgress] = []
    own_base.add(own_cases, batch_size=4, progress=seen.append)
    assert [state.done for state in seen] == sorted(state.done for state in seen)
    last = seen[-1]
    assert (last.done, last.total, last.encoded, last.bad) == (12, 12, 11, 1)
    assert last.rate > 0
    assert last.eta_seconds == 0
    written = [state for state in seen if state.encoded]
    assert all(state.eta_seconds is not None for state in written)


def test_large_images_make_small_batches(
    own_base: CaseBase, own_cases: list[Case], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(encoding, "_PIXELS_PER_BATCH", 2 * 48 * 48)
    seen: list[int] = []
    own_base.add(own_cases, batch_size=100, progress=lambda state: seen.append(state.encoded))
    assert seen[:6] == [2, 4, 6, 8, 10, 12]


def test_an_interrupted_run_stops_its_threads(tmp_path: Path, own_cases: list[Case]) -> None:
    class Interrupted(ProjectionEncoder):
        def encode_case(self, images: Sequence[Image.Image], checklists: Checklists = None) -> Vectors:
            raise KeyboardInterrupt

    base = CaseBase.create(tmp_path / "interrupted", Interrupted())
    with pytest.raises(KeyboardInterrupt):
        base.add(own_cases, batch_size=2)
    until(lambda: not [thread for thread in threading.enumerate() if thread.name.startswith("decode")])


def test_a_dry_run_says_what_an_ingest_would_do_and_does_nothing(
    own_base: CaseBase, own_cases: list[Case], encoder: ProjectionEncoder
) -> None:
    own_base.add(own_cases[:6])
    draw_lesion(own_cases[1].image, seed=50)
    own_cases[8].image.write_bytes(b"nothing")
    before, encoder.encoded = own_base.store.get(own_base.store.ids()), 0
    report = index_cases(own_cases, own_base.store, LocalExecutor(None), dry_run=True)
    assert (report.added, report.updated, report.unchanged, len(report.bad)) == (5, 1, 5, 1)
    assert report.dry_run
    assert encoder.encoded == 0
    after = own_base.store.get(own_base.store.ids())
    assert {i: row.stamp for i, row in after.items()} == {i: row.stamp for i, row in before.items()}
    assert index_cases(own_cases, None, LocalExecutor(None)).added == 11, "of a base that is not there"


def test_a_file_that_changes_while_it_is_read_waits_for_another_run(
    own_base: CaseBase, own_cases: list[Case], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(examine, "_PAUSE", 0.01)
    growing, steady = own_cases[3].image, Path.read_bytes

    def read(path: Path) -> bytes:
        data = steady(path)
        if path == growing:
            with path.open("ab") as file:
                file.write(b"more")
        return data

    monkeypatch.setattr(Path, "read_bytes", read)
    report = own_base.add(own_cases)
    assert [bad.case_id for bad in report.bad] == ["case-003"]
    assert "it changes while it is read; run again when it is written" in report.bad[0].reason
    monkeypatch.setattr(Path, "read_bytes", steady)
    draw_lesion(growing, seed=3)
    assert own_base.add(own_cases).added == 1


def test_a_store_that_cannot_be_written_to_says_what_is_safe(
    own_base: CaseBase, own_cases: list[Case], monkeypatch: pytest.MonkeyPatch
) -> None:
    upsert, left = own_base.store.upsert, iter([True])

    def full(rows: Sequence[StoredCase]) -> None:
        if next(left, None) is None:
            raise OSError(28, "No space left on device")
        upsert(rows)

    monkeypatch.setattr(own_base.store, "upsert", full)
    with pytest.raises(StoreWriteError, match=r"No space left.*the 5 cases before are safe.*run the command again"):
        own_base.add(own_cases, batch_size=5)
    monkeypatch.setattr(own_base.store, "upsert", upsert)
    assert own_base.count() == 5
    report = own_base.add(own_cases)
    assert (report.added, report.unchanged) == (7, 5)


def test_an_ingest_that_was_killed_before_it_tidied_up_does_so_when_run_again(
    own_base: CaseBase, own_cases: list[Case], monkeypatch: pytest.MonkeyPatch
) -> None:
    def killed() -> None:
        raise KeyboardInterrupt

    with monkeypatch.context() as patch:
        patch.setattr(own_base.store, "compact", killed)
        with pytest.raises(KeyboardInterrupt):
            own_base.add(own_cases)
    compact, calls = own_base.store.compact, []

    def told() -> None:
        calls.append(own_base.count())
        compact()

    monkeypatch.setattr(own_base.store, "compact", told)
    assert own_base.add(own_cases).unchanged == 12
    assert calls == [12]
    index_cases(own_cases, own_base.store, LocalExecutor(None), dry_run=True)
    assert calls == [12]


def _process(*arguments: object) -> subprocess.Popen[str]:
    command = [sys.executable, "-m", "tests.store.ingest_process", *map(str, arguments)]
    return subprocess.Popen(command, cwd=ROOT, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True)


@pytest.mark.slow
def test_a_disk_that_is_full_stops_with_a_clear_error(tmp_path: Path) -> None:
    """A limit on the size of a file is what an unprivileged test can set; it fails as a full disk does."""
    cases = make_cases(tmp_path / "own", 30)
    write_cases(cases, tmp_path / "own" / "cases.csv")
    with _process(tmp_path / "own" / "cases.csv", tmp_path / "base", "--file-limit", 4096) as process:
        out, err = process.communicate()
    assert process.returncode == 1, out
    assert "StoreWriteError" in err or "ArchiveError" in err
    base = CaseBase.open(tmp_path / "base", ProjectionEncoder())
    kept = base.count()
    report = base.add(cases)
    assert (report.added, report.unchanged) == (30 - kept, kept)


@pytest.mark.slow
def test_one_process_writes_and_others_read(tmp_path: Path) -> None:
    cases = make_cases(tmp_path / "own", 60)
    write_cases(cases, tmp_path / "own" / "cases.csv")
    with _process(tmp_path / "own" / "cases.csv", tmp_path / "base") as process:
        assert process.stdout is not None
        lines = iter(process.stdout)
        acknowledged = _acknowledged(lines, 10)
        base = CaseBase.open(tmp_path / "base", ProjectionEncoder())
        with pytest.raises(BaseBusyError, match=rf"is being written to by process {process.pid} on .*wait until"):
            base.add(cases)
        seen = []
        while process.poll() is None:
            n, hits = base.count(), base.search(image=cases[0].image, top_k=3).hits
            assert hits[0].case == cases[0]
            seen.append(n)
        rest = process.stdout.read()
    assert seen[0] >= acknowledged
    assert seen == sorted(seen)
    assert "end" in rest
    assert base.add(cases).unchanged == 60


def _acknowledged(lines: Iterator[str], at_least: int) -> int:
    return next(int(line.split()[1]) for line in lines if line.startswith("done") and int(line.split()[1]) >= at_least)


@pytest.mark.slow
def test_kill_9_at_any_point_loses_nothing_acknowledged_and_doubles_nothing(tmp_path: Path) -> None:
    """Five kills of one ingest at random; tests/durability cuts the power at each of its steps."""
    cases = make_cases(tmp_path / "own", 300)
    write_cases(cases, tmp_path / "own" / "cases.csv")
    random = np.random.default_rng(0)
    kept = trials = 0
    while trials < 5:
        # After so many more batches, and a moment later, so that a slow machine is killed at the same places.
        wanted, later = kept + 4 * int(random.integers(0, 12)), random.uniform(0, 0.1)
        acknowledged = _run_and_kill(tmp_path / "own" / "cases.csv", tmp_path / "base", wanted, later)
        trials += 1
        if not (tmp_path / "base" / "manifest.json").exists():
            continue
        base = CaseBase.open(tmp_path / "base")
        ids = base.store.ids()
        assert len(ids) == len(set(ids)) == base.count()
        assert base.count() >= max(acknowledged, kept)
        assert base.count() % 4 == 0, "a batch was written by half"
        assert base.archive is not None
        assert all(row.stamp.sha256 in base.archive for row in base.store.get(ids, vectors=False).values())
        kept = base.count()
    assert 0 < kept < 300, "the trials were over before the first write, or the run before the trials"

    base = CaseBase.open(tmp_path / "base", ProjectionEncoder())
    report = base.add(cases)
    assert (report.added, report.unchanged, report.bad) == (300 - kept, kept, ())
    fresh = CaseBase.create(tmp_path / "fresh", ProjectionEncoder())
    fresh.add(cases)
    expected = fresh.store.get(fresh.store.ids())
    for case_id, row in base.store.get(base.store.ids()).items():
        np.testing.assert_allclose(row.vector, expected[case_id].vector, atol=1e-6)
    assert base.store.ids() == fresh.store.ids()


def _run_and_kill(table: Path, target: Path, wanted: int, later: float) -> int:
    """Start an ingest, kill it ``later`` seconds after it said that ``wanted`` are done; how many it said were."""
    with _process(table, target) as process:
        assert process.stdout is not None
        assert process.stdout.readline() == "begin\n"
        said = [0]
        while said[-1] < wanted:
            said.append(int(process.stdout.readline().removeprefix("done ")))
        time.sleep(later)
        process.send_signal(signal.SIGKILL)
        rest = process.stdout.read()
    assert process.returncode == -signal.SIGKILL
    assert "end" not in rest
    return max([*said, *(int(line.split()[1]) for line in rest.splitlines() if line.startswith("done "))])


@pytest.mark.parametrize("heads", [False, True])
def test_other_findings_make_another_vector(tmp_path: Path, own_cases: list[Case], heads: bool) -> None:
    encoder = ProjectionEncoder(heads=heads)
    base = CaseBase.create(tmp_path / "base", encoder)
    base.add(own_cases)
    encoder.encoded = 0
    again = [own_cases[0].model_copy(update={"checklist": {"streaks": "regular"}}), *own_cases[1:]]
    assert base.add(again).updated == 1
    assert encoder.encoded == 1
    with Image.open(again[0].image) as image:
        expected = packed(encoder.encode_case([image], [again[0].checklist])[0])
    assert np.array_equal(base.store.get([again[0].case_id])[again[0].case_id].vector, expected)
