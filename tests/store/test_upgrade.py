"""Bases of every earlier schema: read as they are, refused to writers, and upgraded, whatever happens on the way."""

from __future__ import annotations

import hashlib
import shutil
import signal
import subprocess
import sys
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
from typer.testing import CliRunner

from dermquery.cli import app
from dermquery.model.heads import recorded_values
from dermquery.store.base_manifest import MANIFEST_FILE, Manifest, ManifestError, ModelMismatchError
from dermquery.store.casebase import CaseBase
from dermquery.store.duplicates import find_duplicates
from dermquery.store.earlier_schemas import UpgradeNeededError
from dermquery.store.export_base import export_base
from dermquery.store.migrate import migrate, tidy
from dermquery.store.protocol import ImageStamp, StoredCase, packed
from dermquery.store.transfer import copy_base, restore_snapshot, write_snapshot
from dermquery.store.upgrade import upgrade
from tests.store.conftest import make_cases
from tests.store.earlier_bases import EARLIER, bring_images, rows_of, unpack
from tests.store.encoder import ProjectionEncoder
from tests.store.loading import load_by

Rows = dict[str, StoredCase]


@pytest.fixture
def bases(tmp_path: Path) -> Path:
    """That of schema 2 is said to be as most were; as it was written, :mod:`.test_described` has it."""
    manifest = unpack(tmp_path) / "schema-2" / MANIFEST_FILE
    manifest.write_text(manifest.read_text().replace('"described": true', '"described": false'))
    return tmp_path


def expected(bases: Path, schema: int) -> Rows:
    """The rows of the schema 5 base, as an earlier one holds them and today's version reads them."""
    rows = rows_of(CaseBase.open(bases / "schema-5").store)
    if schema <= 2:  # these knew no perceptual hash, and their images are not where they were
        rows = {i: replace(row, stamp=replace(row.stamp, phash="")) for i, row in rows.items()}
    if schema == 1:
        odd = rows["lésion/2"]
        extra = dict(odd.case.extra) | {"date as written": "some day"}
        rows["lésion/2"] = replace(odd, case=odd.case.model_copy(update={"extra": extra}))
    return rows


def assert_same(found: Rows, wanted: Rows, *, vectors: bool = True) -> None:
    assert found.keys() == wanted.keys()
    for case_id, row in found.items():
        assert row.case == wanted[case_id].case
        assert row.stamp == wanted[case_id].stamp
        if vectors:
            assert np.array_equal(packed(row.vector), packed(wanted[case_id].vector))


def digests(folder: Path) -> dict[str, str]:
    """What lies in a folder, apart from the lock of its writer."""
    return {
        str(path.relative_to(folder)): hashlib.sha256(path.read_bytes()).hexdigest()
        for path in sorted(folder.rglob("*"))
        if path.is_file() and not path.name.startswith("writer.lock")
    }


@pytest.mark.parametrize("schema", EARLIER)
def test_an_earlier_base_is_read_as_it_is(bases: Path, schema: int) -> None:
    uri = bases / f"schema-{schema}"
    before = digests(uri)
    base = CaseBase.open(uri, ProjectionEncoder())
    assert base.manifest.schema_version == schema
    assert_same(rows_of(base.store), expected(bases, schema), vectors=schema != 2)
    row = base.store.get(["lésion/1"])["lésion/1"]
    layout = base.manifest.layout
    assert np.array_equal(row.vector[layout.slices["findings"]], recorded_values([row.case.checklist])[0])
    if schema < 6:
        with pytest.raises(UpgradeNeededError, match=rf"whose vectors hold no findings.*base upgrade {uri}"):
            base.search(text="atypical pigment network", weights="same findings")
    else:
        assert base.search(text="atypical pigment network", weights="same findings").hits[0].case.case_id == "lésion/1"
        assert base.store.with_image(row.stamp.sha256)[0].case == row.case
    hits = base.store.search(layout.weigh(row.vector[None])[0], top_k=2, exclude=["lésion/0"])
    assert [hit.row.case.case_id for hit in hits] == ["lésion/1", "lésion/2"]
    best = base.search_encoded(base.encoded_case("lésion/1"), ["diagnosis!=nv"], top_k=5)
    assert [hit.case.case_id for hit in best.hits] == ["lésion/1", "lésion/2"]
    assert best.hits[0].score == pytest.approx(1.0, abs=1e-3)  # half precision
    assert best.n_candidates == 2
    assert base.search(text="atypical pigment network", offset=2).hits[0].rank == 3
    assert base.store.ids() == ["lésion/0", "lésion/1", "lésion/2"]
    assert [r.case.case_id for r in base.store.page(after="lésion/0", limit=1)] == ["lésion/1"]
    assert base.store.value_counts("patient_id") == {"P0": 2, None: 1}
    assert base.count(["age>=40"]) == 1
    assert len(find_duplicates(page for rows in base.store.scan() for page in rows)) == 0
    assert digests(uri) == before


def test_what_a_schema_did_not_have_cannot_be_asked(bases: Path) -> None:
    base = CaseBase.open(bases / "schema-1", ProjectionEncoder())
    with pytest.raises(UpgradeNeededError, match=rf"no condition can ask about source; .*base upgrade {base.uri}"):
        base.search(text="x", where=["source=clinic A"])
    assert base.store.value_counts("source") == {None: 3}
    assert CaseBase.open(bases / "schema-2").count(["source=clinic A"]) == 1


@pytest.mark.parametrize("schema", EARLIER)
def test_writing_is_refused_with_the_command(bases: Path, schema: int, base: CaseBase, tmp_path: Path) -> None:
    uri = bases / f"schema-{schema}"
    before, encoder = digests(uri), ProjectionEncoder()
    old = CaseBase.open(uri, encoder)
    cases = make_cases(tmp_path / "own", 1)
    rows = [row for page in base.store.scan() for row in page]
    writers: list[Callable[[], object]] = [
        lambda: old.add(cases),
        lambda: old.delete(["lésion/0"]),
        old.build_index,
        lambda: old.store.upsert(rows),
        lambda: old.store.delete(["lésion/0"]),
        old.store.compact,
        old.store.build_index,
        lambda: tidy(uri),
        lambda: copy_base(base.uri, uri),
    ]
    for write in writers:
        with pytest.raises(UpgradeNeededError, match=f"read-only.*dermquery base upgrade {uri}"):
            write()
    assert encoder.encoded == 0
    assert digests(uri) == before


@pytest.mark.parametrize("schema", EARLIER)
def test_an_upgrade_keeps_everything(bases: Path, schema: int, tmp_path: Path) -> None:
    uri, encoder = bases / f"schema-{schema}", ProjectionEncoder()
    before = rows_of(CaseBase.open(uri).store)
    reader = CaseBase.open(uri)
    told: list[tuple[int, int]] = []
    done = upgrade(uri, encoder, tell=lambda n, total: told.append((n, total)))
    assert (done.rows, done.written, done.unhashed, done.model_unknown) == (3, 3, 3 if schema <= 2 else 0, None)
    assert told == [(3, 3)]
    base = CaseBase.open(uri, encoder)
    assert base.read_only is None
    kept = ("model_hash", "levels", "width", "images", "created", "dermquery_version")
    for name in kept:
        assert getattr(base.manifest, name) == getattr(done.before, name)
    assert (base.manifest.schema_version, base.manifest.version) == (7, 2)
    assert_same(rows_of(base.store), before)
    assert_same(rows_of(reader.store), before)  # an open reader keeps the old version
    assert upgrade(uri, encoder).after == base.manifest, "there is nothing more to do"
    assert encoder.encoded == 0
    base.add(make_cases(tmp_path / "own", 2))
    assert base.count() == 5
    assert tidy(uri)[0] == 1
    assert [path.name for path in uri.glob("*.lance")] == ["cases_2.lance"]
    assert CaseBase.open(uri).count() == 5


@pytest.mark.parametrize(
    ("where", "call", "left"), [("upsert", 1, 3), ("upsert", 3, 1), ("compact", 1, 0), ("switch", 1, 0)]
)
@pytest.mark.parametrize("schema", [1, 4])
def test_a_killed_upgrade_goes_on(bases: Path, schema: int, where: str, call: int, left: int) -> None:
    uri = bases / f"schema-{schema}"
    command = [sys.executable, "-m", "tests.store.upgrade_process", str(uri), where, str(call)]
    assert subprocess.run(command, check=False).returncode == -signal.SIGKILL
    assert CaseBase.open(uri).manifest.schema_version == schema
    assert_same(rows_of(CaseBase.open(uri).store), expected(bases, schema))
    done = upgrade(uri)
    assert (done.rows, done.written) == (3, left)
    base = CaseBase.open(uri)
    assert base.count() == 3
    assert_same(rows_of(base.store), expected(bases, schema))


def test_a_killed_upgrade_can_be_tidied_away_by_a_migration(bases: Path) -> None:
    uri = bases / "schema-3"
    command = [sys.executable, "-m", "tests.store.upgrade_process", str(uri), "upsert", "2"]
    assert subprocess.run(command, check=False).returncode == -signal.SIGKILL
    moved, report = migrate(uri, ProjectionEncoder(seed=1))
    assert (report.added, moved.manifest.schema_version, moved.read_only) == (3, 7, None)
    assert rows_of(moved.store).keys() == expected(bases, 3).keys()


def test_hashes_come_from_the_images_that_are_there(bases: Path) -> None:
    """Near duplicates are found in a base of schema 2 too, whose rows have no perceptual hash."""
    uri, wanted = bases / "schema-2", expected(bases, 3)
    _, other, gone = bring_images(bases, 2)
    other.write_bytes(b"another image")
    gone.unlink()
    assert upgrade(uri).unhashed == 2
    rows = rows_of(CaseBase.open(uri).store)
    assert rows["lésion/0"].stamp == wanted["lésion/0"].stamp
    assert {rows[i].stamp.phash for i in ("lésion/1", "lésion/2")} == {""}


@pytest.mark.parametrize("schema", EARLIER)
def test_earlier_bases_are_copied_written_and_exported_as_they_are(bases: Path, schema: int, tmp_path: Path) -> None:
    uri, wanted = bases / f"schema-{schema}", rows_of(CaseBase.open(bases / f"schema-{schema}").store)
    copy_base(uri, tmp_path / "copy")
    write_snapshot(uri, tmp_path / "new.parquet")
    restore_snapshot(tmp_path / "new.parquet", tmp_path / "back")
    for target in ("copy", "back"):
        base = CaseBase.open(tmp_path / target)
        assert base.read_only is None
        assert_same(rows_of(base.store), wanted)
    done = export_base(uri, tmp_path / "out")
    assert (done.cases, done.images) == (3, 3 if schema >= 3 else 0)


@pytest.mark.parametrize("schema", [3, 4, 5])
def test_an_earlier_snapshot_is_restored(bases: Path, schema: int, tmp_path: Path) -> None:
    # the archive that it names was on another machine
    with pytest.raises(OSError, match="3 cases verified, but only 0 of 3"):
        restore_snapshot(bases / f"schema-{schema}.parquet", tmp_path / "back")
    base = CaseBase.open(tmp_path / "back")
    assert base.read_only is None
    assert_same(rows_of(base.store), expected(bases, schema))


# --- another artifact of the same model ----------------------------------------------------------------------------


@pytest.fixture
def repacked(monkeypatch: pytest.MonkeyPatch) -> ProjectionEncoder:
    """The model of the bases in a new artifact, which loads by the name ``repacked``."""
    encoder = ProjectionEncoder()
    encoder.replaces = (encoder.artifact_hash,)  # type: ignore[attr-defined]
    encoder.artifact_hash = "new" + encoder.artifact_hash[3:]
    encoder.name = "repacked"
    load_by(monkeypatch, lambda name: (encoder, str(name)))
    return encoder


@pytest.mark.parametrize("schema", [3, 7])
def test_a_base_of_an_earlier_artifact_takes_the_new_name(
    bases: Path, schema: int, repacked: ProjectionEncoder, tmp_path: Path
) -> None:
    copy_base(bases / "schema-5", bases / "schema-7")
    uri, cases = bases / f"schema-{schema}", make_cases(tmp_path / "own", 1)
    base = CaseBase.open(uri, repacked)
    assert base.search(text="streaks").hits
    with pytest.raises(UpgradeNeededError, match=r"read-only until it is upgraded: dermquery base upgrade"):
        base.add(cases)
    if schema == 7:
        assert "earlier artifact" in str(base.read_only)
        assert str(base.read_only).endswith("--model MODEL"), "the base does not say where its model lies"
    before = digests(uri)
    told = CliRunner().invoke(app, ["base", "upgrade", str(uri), "--model", "repacked"])
    assert told.exit_code == 0
    assert "with the same vectors" in told.stdout
    manifest = Manifest.load(uri)
    assert (manifest.model_hash, manifest.model_name) == (repacked.artifact_hash, "repacked")
    assert manifest.model_reference == "repacked"
    changed = {name for name, digest in digests(uri).items() if before.get(name) != digest}
    assert (changed == {"manifest.json"}) == (schema == 7), "rows of the current schema are left as they are"
    base = CaseBase.open(uri)
    assert base.model is repacked
    assert base.read_only is None
    assert base.add(cases).added == 1
    assert repacked.encoded == 1


def test_a_base_that_nobody_searched_is_read_only_all_the_same(bases: Path, repacked: ProjectionEncoder) -> None:
    """To delete a case needs no model, and still must not go past the upgrade."""
    uri = bases / "schema-7"
    copy_base(bases / "schema-5", uri)
    Manifest.load(uri).model_copy(update={"model_reference": "repacked"}).save(uri)
    base = CaseBase.open(uri)
    with pytest.raises(UpgradeNeededError, match=r"earlier artifact of its model.*dermquery base upgrade"):
        base.delete(base.store.ids()[:1])


def test_another_model_is_refused_as_before(bases: Path) -> None:
    other, before = ProjectionEncoder(seed=1), digests(bases / "schema-4")
    other.replaces = ("something else",)  # type: ignore[attr-defined]
    for ask in (CaseBase.open, upgrade):
        with pytest.raises(ModelMismatchError, match="their vectors cannot be compared"):
            ask(bases / "schema-4", other)
    assert digests(bases / "schema-4") == before


# --- bad input -----------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("command", [["upgrade"], ["tidy"], ["export", "--out", "out"], ["migrate", "--model", "demo"]])
def test_where_there_is_no_base_nothing_is_made(
    tmp_path: Path, command: list[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(tmp_path)
    failed = CliRunner().invoke(app, ["base", command[0], "nowhere", *command[1:]])
    assert failed.exit_code == 2
    assert "is no case base" in failed.stderr.replace("\n", " ")
    assert list(tmp_path.iterdir()) == []


def test_a_base_that_was_copied_in_part_is_refused_by_name(bases: Path) -> None:
    shutil.rmtree(bases / "schema-1" / "cases.lance")
    with pytest.raises(ManifestError, match=r"its rows \(table 'cases'\) are not there.* copy the whole folder"):
        CaseBase.open(bases / "schema-1")
    shutil.rmtree(bases / "schema-4" / "cases.lance" / "data")
    failed = CliRunner().invoke(app, ["base", "upgrade", str(bases / "schema-4")])
    assert failed.exit_code == 2
    assert "were written and confirmed are lost" in failed.stderr
    assert "restore the base from a backup" in failed.stderr
    assert Manifest.load(bases / "schema-4").schema_version == 4


def test_from_the_command_line(bases: Path, repacked: ProjectionEncoder) -> None:
    uri = str(bases / "schema-4")
    run = CliRunner().invoke
    assert "read-only until it is upgraded" in run(app, ["base", "info", uri]).stdout
    found = run(app, ["search", "--base", uri, "--text", "streaks", "--model", "repacked"])
    assert found.exit_code == 0
    assert f"dermquery base upgrade {uri}" in found.stderr
    refused = run(app, ["base", "delete", uri, "--case", "lésion/0"])
    assert refused.exit_code == 2
    assert f"dermquery base upgrade {uri}" in refused.stderr
    told = run(app, ["base", "upgrade", uri]).stdout
    assert "schema 4 to 7" in told
    assert "3 cases verified, 3 of them written now (version 2)" in told
    assert "does not say where its model lies" in told
    assert "nothing to upgrade" in run(app, ["base", "upgrade", uri]).stdout
    assert run(app, ["base", "delete", uri, "--case", "lésion/0"]).exit_code == 0


def test_stamps_of_schema_2_have_no_hash() -> None:
    assert ImageStamp("ab" * 32, 1, 2).phash == ""
