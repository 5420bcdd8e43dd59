"""A base written as a case table and images, and an equal base made of them again."""

from __future__ import annotations

import shutil
import signal
import subprocess
import sys
from collections.abc import Sequence
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
from typer.testing import CliRunner

from dermquery.cli import app
from dermquery.data.case import Case
from dermquery.data.case_table import CaseTableError, read_cases
from dermquery.store.archive import ImageArchive
from dermquery.store.casebase import CaseBase
from dermquery.store.export_base import ExportError, export_base
from dermquery.store.transfer import copy_base
from tests.store.conftest import make_cases
from tests.store.earlier_bases import rows_of
from tests.store.encoder import ProjectionEncoder
from tests.store.test_upgrade import digests


@pytest.fixture(params=["folder", "milvus"])
def anywhere(request: pytest.FixtureRequest, base: CaseBase) -> str:
    """The base, in a folder or on a server beside its images."""
    if request.param == "folder":
        return str(base.uri)
    uri: str = request.getfixturevalue("milvus_uri")
    copy_base(base.uri, uri)
    return uri


def test_an_export_makes_an_equal_base(anywhere: str, base: CaseBase, tmp_path: Path) -> None:
    told: list[tuple[int, int]] = []
    done = export_base(anywhere, tmp_path / "out", tell=lambda n, total: told.append((n, total)))
    assert (done.cases, done.images, done.lost, told[-1]) == (24, 24, (), (24, 24))
    shutil.move(tmp_path / "out", tmp_path / "elsewhere")  # the table names its images from where it lies
    again = CaseBase.create(tmp_path / "again", ProjectionEncoder())
    assert again.add(read_cases(tmp_path / "elsewhere" / "cases.csv")).added == 24
    before, after = rows_of(base.store), rows_of(again.store)
    assert sorted(before) == sorted(after)
    for case_id, row in before.items():
        found = after[case_id]
        assert found.case.model_copy(update={"image": row.case.image}) == row.case
        assert np.array_equal(found.vector, row.vector)
        assert replace(found.stamp, mtime_ns=row.stamp.mtime_ns) == row.stamp
    assert base.archive is not None
    assert again.archive is not None
    assert set(again.archive.names()) == set(base.archive.names())


def test_names_of_images_are_safe_and_tell_cases_apart(tmp_path: Path) -> None:
    drawn = [case.image for case in make_cases(tmp_path / "own", 7)]
    drawn[3] = shutil.copyfile(drawn[2], tmp_path / "own" / "copy.png")
    ids = ["../../etc/passwd", "Fälle/a b", "A", "a", "黑色素瘤", "x" * 300, " .hidden"]
    base = CaseBase.create(tmp_path / "base", ProjectionEncoder())
    base.add([Case(case_id=name, image=image) for name, image in zip(ids, drawn, strict=True)])
    export_base(tmp_path / "base", tmp_path / "out")
    cases = read_cases(tmp_path / "out" / "cases.csv").cases
    files = {case.case_id: case.image.name for case in cases}
    assert {case.image.parent for case in cases} == {tmp_path / "out" / "images"}
    starts = ["etc_passwd-", "Falle_a_b-", "A-", "a-", "case-", "x" * 80 + "-", "hidden-"]
    assert all(files[name.strip()].startswith(start) for name, start in zip(ids, starts, strict=True))
    assert all(name.isascii() and name.endswith(".png") and len(name) < 100 for name in files.values())
    originals = {name.strip(): image.read_bytes() for name, image in zip(ids, drawn, strict=True)}
    assert {case.case_id: case.image.read_bytes() for case in cases} == originals


def test_extra_columns_named_like_known_ones_are_kept(tmp_path: Path) -> None:
    case = make_cases(tmp_path / "own", 1)[0].model_copy(update={"extra": {"source": "of the camera", "lens": "x"}})
    CaseBase.create(tmp_path / "base", ProjectionEncoder()).add([case])
    export_base(tmp_path / "base", tmp_path / "out")
    (read,) = read_cases(tmp_path / "out" / "cases.csv").cases
    assert (read.source, read.extra) == (None, {"extra source": "of the camera", "lens": "x"})


def test_missing_images_are_named_and_come_with_the_next_run(base: CaseBase, tmp_path: Path) -> None:
    uri, out = tmp_path / "base", tmp_path / "out"
    shutil.copytree(base.uri, uri)
    archive = ImageArchive(uri / "images")
    rows = rows_of(base.store)
    for case_id in ("case-003", "case-005"):  # the files that they name are of other images, or gone
        path = archive.local_path(rows[case_id].stamp.sha256)
        assert path is not None
        path.rename(tmp_path / case_id)
    copy_base(base.uri, tmp_path / "moved")
    store = CaseBase.open(uri).store
    gone = {"case-003": tmp_path / "gone.png", "case-005": rows["case-004"].case.image}
    store.upsert([
        replace(rows[name], case=rows[name].case.model_copy(update={"image": image})) for name, image in gone.items()
    ])  # fmt: skip
    failed = CliRunner().invoke(app, ["base", "export", str(uri), "--out", str(out)])
    assert failed.exit_code == 1
    assert "24 cases, 22 images beside it" in failed.stdout
    assert "2 cases have no image that can be reached" in failed.stderr
    assert "case-003: " in failed.stderr
    assert "case-005: " in failed.stderr
    assert "another image than the one that was indexed" in failed.stderr
    with pytest.raises(CaseTableError, match=r"gone\.png does not exist"):
        read_cases(out / "cases.csv")
    listed = {case.case_id: case.image for case in read_cases(out / "cases.csv", check_images=False)}
    assert len(listed) == 24
    assert not listed["case-005"].exists(), "a row never names another picture"
    for case_id in gone:
        sha256 = rows[case_id].stamp.sha256
        (tmp_path / case_id).rename(uri / "images" / "originals" / sha256[:2] / sha256)
    before = digests(out)
    again = CliRunner().invoke(app, ["base", "export", str(uri), "--out", str(out)])
    assert again.exit_code == 0
    assert "24 cases, 24 images beside it" in again.stdout
    assert {name for name, digest in digests(out).items() if before.get(name, digest) != digest} == {"cases.csv"}
    assert len(read_cases(out / "cases.csv")) == 24


def test_without_images_the_table_names_the_files(base: CaseBase, cases: Sequence[Case], tmp_path: Path) -> None:
    told = CliRunner().invoke(app, ["base", "export", str(base.uri), "--out", str(tmp_path), "--without-images"])
    assert told.exit_code == 0
    assert "24 cases, 0 images beside it" in told.stdout
    assert read_cases(tmp_path / "cases.csv").cases == tuple(cases)
    assert not (tmp_path / "images").exists()


def test_a_killed_export_goes_on(base: CaseBase, tmp_path: Path) -> None:
    """Killed at its 9th image; half-written files of it are removed, whole ones stay as they are."""
    out = tmp_path / "out"
    killer = (
        "import os, signal, sys; from pathlib import Path; from dermquery.store import export_base as e; n = [0]\n"
        "def suffix(data, old=e._suffix):\n"
        "    n[0] += 1\n"
        "    if n[0] == 9: Path(sys.argv[2], 'images', '.half.png').touch(); os.kill(os.getpid(), signal.SIGKILL)\n"
        "    return old(data)\n"
        "e._suffix = suffix; e.export_base(sys.argv[1], Path(sys.argv[2]))"
    )
    killed = subprocess.run([sys.executable, "-c", killer, str(base.uri), str(out)], check=False)
    assert killed.returncode == -signal.SIGKILL
    times = {path: path.stat().st_mtime_ns for path in (out / "images").glob("*.png") if path.name[0] != "."}
    assert len(times) == 8
    assert not (out / "cases.csv").exists()
    damaged = next(iter(times))
    damaged.write_bytes(b"half")
    assert export_base(base.uri, out).images == 24
    assert all(path.stat().st_mtime_ns == time for path, time in times.items() if path != damaged)
    assert len(list((out / "images").iterdir())) == 24
    assert len(read_cases(out / "cases.csv")) == 24


def test_other_content_is_left_alone(base: CaseBase, tmp_path: Path) -> None:
    (tmp_path / "full").mkdir()
    (tmp_path / "full" / "thesis.txt").touch()
    with pytest.raises(ExportError, match="full is not empty and holds no export of this base; choose another folder"):
        export_base(base.uri, tmp_path / "full")
    assert [path.name for path in (tmp_path / "full").iterdir()] == ["thesis.txt"]
    with pytest.raises(ExportError, match=r"thesis\.txt is a file"):
        export_base(base.uri, tmp_path / "full" / "thesis.txt")
    CaseBase.create(tmp_path / "other", ProjectionEncoder())
    export_base(tmp_path / "other", tmp_path / "out")
    with pytest.raises(ExportError, match=rf"out holds an export of {tmp_path / 'other'}; choose another folder"):
        export_base(base.uri, tmp_path / "out")


def test_a_full_disk_is_named_and_the_export_goes_on(base: CaseBase, tmp_path: Path) -> None:
    out = tmp_path / "out"
    limited = (
        "import resource, signal, sys; from pathlib import Path; from dermquery.store.export_base import export_base\n"
        "signal.signal(signal.SIGXFSZ, signal.SIG_IGN); resource.setrlimit(resource.RLIMIT_FSIZE, (3000, 3000))\n"
        "export_base(sys.argv[1], Path(sys.argv[2]))"
    )
    done = subprocess.run(
        [sys.executable, "-c", limited, str(base.uri), str(out)], check=False, capture_output=True, text=True
    )
    assert "out cannot be written to" in done.stderr
    assert "make room or choose another folder" in done.stderr
    assert not (out / "cases.csv").exists()
    assert export_base(base.uri, out).images == 24
