"""A check finds what is wrong with a base; a repair puts it right, or says what needs a backup."""

from __future__ import annotations

import json
from collections.abc import Callable, Sequence
from pathlib import Path

import lance
import numpy as np
import pytest
from typer.testing import CliRunner

from dermquery.cli import app
from dermquery.data.case import Case
from dermquery.store.casebase import CaseBase
from dermquery.store.check import Checked, check_base
from dermquery.store.earlier_schemas import UpgradeNeededError
from dermquery.store.lance.commits import live_files, manifests
from dermquery.store.lance.one_bit import turned_back
from dermquery.store.protocol import FEWEST_INDEXED, CaseStore, StoredCase
from tests.durability.flips import flip
from tests.store.earlier_bases import rows_of, unpack
from tests.store.encoder import ProjectionEncoder
from tests.store.rows import row
from tests.store.test_upgrade import assert_same


@pytest.fixture
def own(tmp_path: Path, cases: Sequence[Case]) -> CaseBase:
    base = CaseBase.create(tmp_path / "base", ProjectionEncoder())
    base.add(cases[:8], batch_size=4)
    base.delete(["case-007"])
    return base


@pytest.fixture
def before(own: CaseBase) -> dict[str, StoredCase]:
    return rows_of(CaseBase.open(own.uri).store)


def found(checked: Checked) -> list[tuple[str, str]]:
    return [(finding.kind, finding.name) for finding in checked.findings]


def data_file(base: CaseBase, content: bytes) -> tuple[Path, int]:
    """The table's file that holds a content, and where."""
    table = Path(base.uri) / "cases.lance"
    for name, _ in live_files(table, lance.dataset(table)):
        if (at := (table / name).read_bytes().find(content)) >= 0:
            return table / name, at
    raise AssertionError("no file holds it")


def vector_of(base: CaseBase, case_id: str) -> bytes:
    return bytes(base.store.get([case_id])[case_id].vector.astype(np.float16).tobytes())


def scribble(file: Path, at: int, n: int = 3) -> None:
    """Turn a bit in each of some bytes."""
    for i in range(n):
        flip(file, 8 * (at + 2 * i))


def repaired(base: CaseBase) -> Checked:
    return check_base(base.uri, repair=True, model=ProjectionEncoder())


def test_nothing_is_wrong(own: CaseBase) -> None:
    checked = check_base(own.uri)
    assert (checked.cases, checked.images, checked.findings) == (7, 7, ())
    assert repaired(own) == checked


def test_a_wrong_vector_is_encoded_again(own: CaseBase, before: dict[str, StoredCase]) -> None:
    file, at = data_file(own, vector_of(own, "case-002"))
    scribble(file, at)
    wrong = ("file", f"data/{file.name}")
    assert found(check_base(own.uri)) == [("case", "case-002"), wrong]
    checked = repaired(own)
    assert (checked.findings, checked.trouble) == ((), None)
    assert [(item.kind, item.name) for item in checked.mended] == [("case", "case-002"), wrong]
    assert_same(rows_of(CaseBase.open(own.uri).store), before)


def test_without_a_model_it_is_said_what_is_missing(own: CaseBase) -> None:
    scribble(*data_file(own, vector_of(own, "case-002")))
    checked = check_base(own.uri, repair=True)
    assert ("case", "case-002") in found(checked)
    assert "name it by --model" in str(checked.trouble)


def test_one_bit_needs_neither_model_nor_image(own: CaseBase, before: dict[str, StoredCase]) -> None:
    file, at = data_file(own, b'"lesion_id":"lesion-1"')
    flip(file, 8 * at + 18 * 8)
    newest = manifests(Path(own.uri) / "cases.lance")[0][1]
    flip(newest, 8 * (newest.stat().st_size - 12))
    assert check_base(own.uri).findings
    assert check_base(own.uri, repair=True).findings == ()
    assert_same(rows_of(CaseBase.open(own.uri).store), before)


def test_a_description_that_is_lost_needs_a_backup(own: CaseBase, cases: Sequence[Case]) -> None:
    file, at = data_file(own, b'"lesion_id":"lesion-1"')
    scribble(file, at + 3, 2)
    checked = repaired(own)
    lost = [item for item in checked.findings if item.kind == "case"]
    assert lost
    assert "backup" in lost[0].remedy
    own = CaseBase.open(own.uri, ProjectionEncoder())
    own.add([case for case in cases[:8] if case.case_id in {item.name for item in lost}])
    assert repaired(own).findings == ()


def test_columns_are_written_again(own: CaseBase, before: dict[str, StoredCase]) -> None:
    file, at = data_file(own, b"upper limbs")
    scribble(file, at, 2)
    assert ("case", "case-004") in found(check_base(own.uri))
    assert repaired(own).findings == ()
    assert_same(rows_of(CaseBase.open(own.uri).store), before)


def test_images_come_back_from_the_files_of_the_cases(own: CaseBase, tmp_path: Path) -> None:
    row = own.store.get(["case-003"])["case-003"]
    image, thumbnail = (
        next(Path(own.uri).glob(f"images/{kind}/*/{row.stamp.sha256}")) for kind in ("originals", "thumbnails")
    )
    held = image.read_bytes(), thumbnail.read_bytes()
    scribble(image, 20)
    scribble(thumbnail, 90)
    assert found(check_base(own.uri)) == [("image", "case-003"), ("thumbnail", "case-003")]
    assert repaired(own).findings == ()
    assert (image.read_bytes(), thumbnail.read_bytes()) == held
    thumbnail.unlink()
    assert found(check_base(own.uri)) == [("thumbnail", "case-003")]
    assert repaired(own).findings == ()
    image.unlink()
    row.case.image.rename(tmp_path / "elsewhere.png")
    try:
        checked = repaired(own)
        assert found(checked) == [("image", "case-003")]
        assert "backup" in checked.findings[0].remedy
    finally:
        (tmp_path / "elsewhere.png").rename(row.case.image)


def test_an_index_is_built_again(tmp_path: Path) -> None:
    base = CaseBase.create(tmp_path / "base", ProjectionEncoder(), images=False)
    vectors = np.random.default_rng(0).normal(size=(FEWEST_INDEXED, base.manifest.layout.size)).astype(np.float32)
    base.store.upsert([row(f"{i:05d}", vector) for i, vector in enumerate(vectors)])
    base.build_index()
    assert check_base(base.uri).findings == ()
    file = next(tmp_path.glob("base/index/cases-*/vectors.faiss"))
    scribble(file, file.stat().st_size // 2)
    assert found(check_base(base.uri)) == [("index", "index")]
    assert check_base(base.uri, repair=True).findings == ()
    scalar = max(tmp_path.glob("base/cases.lance/_indices/*/*"), key=lambda path: path.stat().st_mtime_ns)
    scribble(scalar, scalar.stat().st_size // 2)
    assert [kind for kind, _ in found(check_base(base.uri))] == ["file"]
    assert check_base(base.uri, repair=True).findings == ()


def test_a_write_that_was_cut_off_is_put_aside(own: CaseBase) -> None:
    number, newest = manifests(Path(own.uri) / "cases.lance")[0]
    torn = newest.with_name(f"{2**64 - 2 - number}.manifest")
    torn.write_bytes(b"")
    assert found(check_base(own.uri)) == [("version", "rows")]
    assert repaired(own).findings == ()
    assert not torn.exists()


def test_what_was_confirmed_and_is_lost_needs_a_backup(own: CaseBase) -> None:
    data_file(own, vector_of(own, "case-002"))[0].unlink()
    for checked in (check_base(own.uri), repaired(own)):
        assert found(checked)[0] == ("table", "rows")
        assert checked.findings[0].remedy == "restore the base from a backup"


def test_earlier_bases_have_no_checksums(tmp_path: Path) -> None:
    with pytest.raises(UpgradeNeededError, match="have no checksums; upgrade it, then check it"):
        check_base(unpack(tmp_path) / "schema-6")


def test_on_every_store(make_store: Callable[[int], CaseStore]) -> None:
    store = make_store(4)
    store.upsert([row("a", np.ones(4)), row("b", np.zeros(4))])
    flaws = store.inspect()
    assert (flaws.rows, flaws.files, flaws.index) == ({}, (), "")
    store.renew(flaws)


def test_from_the_command_line(own: CaseBase) -> None:
    sound = CliRunner().invoke(app, ["base", "check", str(own.uri)])
    assert (sound.exit_code, sound.stdout.count("Everything is as it was written")) == (0, 1)
    file, at = data_file(own, vector_of(own, "case-002"))
    flip(file, 8 * at)
    told = CliRunner().invoke(app, ["base", "check", str(own.uri)])
    assert told.exit_code == 1
    assert "wrong: case case-002: its vector is not as written; no answer shows it" in told.stdout
    assert f"dermquery base check {own.uri} --repair" in told.stdout
    told = CliRunner().invoke(app, ["base", "check", str(own.uri), "--repair", "--json"])
    assert told.exit_code == 0
    answer = json.loads(told.stdout)
    assert answer["findings"] == []
    assert [item["name"] for item in answer["mended"]] == ["case-002", f"data/{file.name}"]
    deleted = CliRunner().invoke(app, ["base", "delete", str(own.uri), "--case", "case-001"])
    assert deleted.exit_code == 0, deleted.output


def test_a_single_wrong_bit_is_found_by_the_checksum() -> None:
    import zlib

    rng = np.random.default_rng(0)
    for size in (1, 2, 100, 5000):
        data = rng.bytes(size)
        for bit in {0, 8 * size - 1, int(rng.integers(8 * size))}:
            wrong = bytearray(data)
            wrong[bit // 8] ^= 1 << bit % 8
            assert turned_back(bytes(wrong), zlib.crc32(data)) == data
    assert turned_back(b"two bits are wrong", zlib.crc32(b"uwo bits ase wrong")) is None
    assert turned_back(b"", 5) is None
