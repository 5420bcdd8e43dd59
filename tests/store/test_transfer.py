"""Bases as a whole: between a folder and a real server, into one file and back, whatever happens on the way."""

from __future__ import annotations

import shutil
from collections.abc import Sequence
from pathlib import Path

import numpy as np
import pytest
from typer.testing import CliRunner

from dermquery.cli import app
from dermquery.data.case import Case
from dermquery.store import transfer
from dermquery.store.archive import ImageArchive
from dermquery.store.base_manifest import ManifestError
from dermquery.store.case_images import MissingImagesError
from dermquery.store.casebase import CaseBase
from dermquery.store.lance import lance_store
from dermquery.store.protocol import CaseStore, StoredCase
from dermquery.store.row_transfer import write_missing
from dermquery.store.transfer import SnapshotError, copy_base, restore_snapshot, write_snapshot
from tests.store.conftest import make_cases
from tests.store.encoder import ProjectionEncoder


@pytest.fixture(params=["folder", "milvus"])
def target(request: pytest.FixtureRequest, tmp_path: Path) -> str:
    """A place where nothing is yet."""
    if request.param == "folder":
        return str(tmp_path / "target")
    uri: str = request.getfixturevalue("milvus_uri")
    return uri


def same(one: CaseStore, other: CaseStore) -> bool:
    left, right = one.get(one.ids()), other.get(other.ids())
    return left.keys() == right.keys() and all(
        left[i].case == right[i].case
        and left[i].stamp == right[i].stamp
        and np.array_equal(left[i].vector, right[i].vector)
        for i in left
    )


@pytest.fixture(autouse=True)
def small_batches(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(lance_store, "_ROWS_PER_BATCH", 7)


def test_a_copy_is_the_base(base: CaseBase, target: str, cases: Sequence[Case]) -> None:
    told: list[tuple[int, int]] = []
    done = copy_base(base.uri, target, tell=lambda n, total: told.append((n, total)))
    assert (done.rows, done.written) == (24, 24)
    assert told[-1] == (24, 24)
    copied = CaseBase.open(target, ProjectionEncoder())
    assert same(copied.store, base.store)
    assert copied.manifest.same_vectors(base.manifest)
    first = copied.search(image=cases[0].image).hits[0]
    assert copied.search(image=cases[0].image).picture(first) != first.case.image, "its images come from an archive"
    assert copy_base(base.uri, target).written == 0, "a second copy finds everything there"


def test_a_copy_that_was_cut_off_goes_on(base: CaseBase, target: str, monkeypatch: pytest.MonkeyPatch) -> None:
    written = write_missing
    left = iter([True, True])

    def dying(store: CaseStore, rows: Sequence[StoredCase], archive: ImageArchive | None) -> int:
        if next(left, None) is None:
            raise KeyboardInterrupt
        return written(store, rows, archive)

    monkeypatch.setattr(transfer, "write_missing", dying)
    with pytest.raises(KeyboardInterrupt):
        copy_base(base.uri, target)
    monkeypatch.setattr(transfer, "write_missing", written)
    assert copy_base(base.uri, target).written == 24 - 14
    assert same(CaseBase.open(target).store, base.store)


def test_a_copy_that_was_killed_at_its_end_is_tidied_by_the_next(
    base: CaseBase, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    copy_base(base.uri, tmp_path / "copy")
    calls: list[int] = []
    monkeypatch.setattr(lance_store.LanceStore, "compact", lambda store: calls.append(store.count()))
    assert copy_base(base.uri, tmp_path / "copy").written == 0
    assert calls == [24]


def test_a_snapshot_comes_back_whole(base: CaseBase, target: str, tmp_path: Path) -> None:
    assert write_snapshot(base.uri, tmp_path / "base.parquet").cases == 24
    done = restore_snapshot(tmp_path / "base.parquet", target)
    assert (done.rows, done.written) == (24, 24)
    assert same(CaseBase.open(target, ProjectionEncoder()).store, base.store)
    assert restore_snapshot(tmp_path / "base.parquet", target).written == 0


def test_an_empty_base_has_a_snapshot(tmp_path: Path) -> None:
    CaseBase.create(tmp_path / "empty", ProjectionEncoder())
    assert write_snapshot(tmp_path / "empty", tmp_path / "empty.parquet").cases == 0
    assert restore_snapshot(tmp_path / "empty.parquet", tmp_path / "back").rows == 0
    assert CaseBase.open(tmp_path / "back").count() == 0


def test_another_base_is_not_overwritten(base: CaseBase, tmp_path: Path, cases: Sequence[Case]) -> None:
    other = CaseBase.create(tmp_path / "other", ProjectionEncoder(seed=1))
    with pytest.raises(ManifestError, match="holds a case base of model 'projection-1'"):
        copy_base(base.uri, tmp_path / "other")
    assert other.count() == 0
    more = CaseBase.create(tmp_path / "more", ProjectionEncoder())
    more.add([cases[0].model_copy(update={"case_id": "not in the source"})])
    with pytest.raises(SnapshotError, match=r"holds 25 cases and the source 24 \(for instance 'not in the source'\)"):
        copy_base(base.uri, tmp_path / "more")


@pytest.mark.parametrize("damage", ["cut", "another", "absent", "flipped"])
def test_a_damaged_snapshot_is_refused(base: CaseBase, tmp_path: Path, damage: str) -> None:
    path = tmp_path / "base.parquet"
    write_snapshot(base.uri, path)
    whole = path.read_bytes()
    if damage == "cut":
        path.write_bytes(whole[: len(whole) // 2])
    elif damage == "another":
        import pandas as pd

        pd.DataFrame({"a": [1]}).to_parquet(path)
    elif damage == "absent":
        path.unlink()
    else:
        middle = len(whole) // 3
        path.write_bytes(whole[:middle] + bytes(b ^ 0xFF for b in whole[middle : middle + 64]) + whole[middle + 64 :])
    with pytest.raises(SnapshotError, match=r"no such snapshot|no whole snapshot|is damaged"):
        restore_snapshot(path, tmp_path / "back")


def test_from_the_command_line(base: CaseBase, tmp_path: Path) -> None:
    run = CliRunner().invoke
    told = run(app, ["base", "info", str(base.uri)]).output
    assert "24 cases" in told
    assert base.manifest.model_hash in told
    assert (
        "24 cases verified, 24 of them written" in run(app, ["base", "copy", str(base.uri), str(tmp_path / "b")]).output
    )
    kept = run(app, ["base", "snapshot", str(base.uri), str(tmp_path / "s.parquet")]).output
    assert "24 cases" in kept
    assert f"24 of 24 images are in file://{base.uri}/images" in kept.replace("\n", "")
    back = run(app, ["base", "restore", str(tmp_path / "s.parquet"), str(tmp_path / "c")]).output
    assert "24 cases verified" in back
    assert "24 of 24 images are in file://" in back
    bad = run(app, ["base", "restore", str(tmp_path / "nothing"), str(tmp_path / "d")])
    assert bad.exit_code == 2
    assert not (tmp_path / "d").exists()


@pytest.fixture
def poor(base: CaseBase, tmp_path: Path) -> Path:
    """A base whose archive lost one image, and has another that was cut off."""
    shutil.copytree(base.uri, tmp_path / "poor")
    archive = ImageArchive(tmp_path / "poor" / "images")
    lost, short = (archive.local_path(name) for name in sorted(archive.names())[:2])
    assert lost is not None
    assert short is not None
    lost.unlink()
    short.write_bytes(short.read_bytes()[:-1])
    return tmp_path / "poor"


def test_what_the_archive_lost_fails_and_everything_else_is_carried(poor: Path, tmp_path: Path) -> None:
    lost = r"22 of 24 images are in file://.*; missing are those of case-\d+, case-\d+\. Bring them back"
    with pytest.raises(MissingImagesError, match=rf"s.parquet: 24 cases written, but only {lost}"):
        write_snapshot(poor, tmp_path / "s.parquet")
    with pytest.raises(MissingImagesError, match=f"back: 24 cases verified, but only {lost}"):
        restore_snapshot(tmp_path / "s.parquet", tmp_path / "back")
    for images in (True, False):
        with pytest.raises(MissingImagesError, match=f"copy-{images}: 24 cases verified, but only {lost}"):
            copy_base(poor, tmp_path / f"copy-{images}", images=images)
    for name in ("back", "copy-True", "copy-False"):
        assert same(CaseBase.open(tmp_path / name).store, CaseBase.open(poor).store)
    assert len(list(ImageArchive(tmp_path / "copy-True" / "images").names())) == 22


def test_an_archive_that_is_gone_fails(base: CaseBase, tmp_path: Path) -> None:
    shutil.copytree(base.uri, tmp_path / "base")
    write_snapshot(tmp_path / "base", tmp_path / "s.parquet")
    shutil.rmtree(tmp_path / "base")
    with pytest.raises(MissingImagesError, match=r"only 0 of 24 images are in file://.* and 19 more"):
        restore_snapshot(tmp_path / "s.parquet", tmp_path / "back")
    command = ["base", "restore", str(tmp_path / "s.parquet"), str(tmp_path / "back")]
    assert CliRunner().invoke(app, command).exit_code == 2


def test_without_an_archive_the_files_are_counted(tmp_path: Path) -> None:
    cases = make_cases(tmp_path / "own", 4)
    CaseBase.create(tmp_path / "base", ProjectionEncoder(), images=False).add(cases)
    cases[2].image.unlink()
    done = copy_base(tmp_path / "base", tmp_path / "copy")
    assert str(done.images) == "3 of 4 images are in the files that the cases name"
    assert done.images.missing == ("case-002",)
