from __future__ import annotations

import io
import shutil
import struct
import threading
import time
import unicodedata
import zipfile
import zlib
from collections.abc import Sequence
from contextlib import ExitStack
from functools import partial
from pathlib import Path
from typing import Any

import httpx
import pytest
from PIL import Image

from dermquery.client import ApiError, Client
from dermquery.data.case import Case
from dermquery.data.case_table import write_cases
from dermquery.data.image import load_image
from dermquery.data.rows import CaseTableError
from dermquery.data.sources.keeping import read_kept
from dermquery.model.alignment import Vectors
from dermquery.serve.bundle import Bundle, BundleError, pack
from dermquery.serve.job_folder import Job
from dermquery.serve.job_queue import JobQueue
from dermquery.serve.prometheus import Metrics
from dermquery.serve.writing import CaseWriter
from dermquery.store.casebase import CaseBase
from dermquery.store.encoding import LocalExecutor
from dermquery.store.ingest import Repeat, StoreWriteError, index_cases
from tests.serve.conftest import Served
from tests.store.conftest import draw_lesion, make_cases
from tests.store.encoder import Checklists, ProjectionEncoder
from tests.waiting import until


def zipped(folder: Path, cases: Sequence[Case], inside: str = "") -> Path:
    """A table and its images as people pack them."""
    table, target = folder / "cases.csv", folder / "upload.zip"
    write_cases(cases, table)
    with zipfile.ZipFile(target, "w", zipfile.ZIP_DEFLATED) as archive:
        archive.write(table, f"{inside}cases.csv")
        for case in cases:
            if case.image.exists():
                archive.write(case.image, f"{inside}{case.image.relative_to(folder)}")
    return target


def same(case: Case) -> dict[str, Any]:
    return case.model_dump(exclude={"image"})


class SlowEncoder(ProjectionEncoder):
    def encode_case(self, images: Sequence[Image.Image], checklists: Checklists = None) -> Vectors:
        time.sleep(0.005 * len(images))
        return super().encode_case(images, checklists)


@pytest.fixture
def base(tmp_path: Path) -> CaseBase:
    return CaseBase.create(tmp_path / "jobs-base", SlowEncoder())


def jobs_of(base: CaseBase, state: Path, **options: Any) -> JobQueue:
    writer = CaseWriter(base, state, Metrics(), waiting=8, decode=load_image)
    return JobQueue(writer, state / "jobs", image_bytes=1 << 20, pause=0.02, **options)


def ended(jobs: JobQueue, job: Job) -> Job:
    while (now := jobs.get(job.id)).state in ("queued", "running", "undoing"):
        time.sleep(0.01)
    return now


# --- through the API -------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("inside", ["", "prepared data/"])
def test_a_table_with_images_becomes_cases(own: Served, own_client: Client, tmp_path: Path, inside: str) -> None:
    cases = make_cases(tmp_path / "many", 100)[12:]
    cases[3].image.write_bytes(b"no image")
    job = own_client.submit(zipped(tmp_path / "many", cases, inside))
    assert (job.state, job.total, job.owner) == ("queued", 88, "local")
    seen: list[Job] = []
    done = own_client.wait(job.id, seen.append, every=0.02)
    assert [state.done for state in seen] == sorted(state.done for state in seen)
    assert (done.state, done.done, done.added, done.n_bad) == ("done", 88, 87, 1)
    assert done.bad[0].case_id == cases[3].case_id
    assert done.bad[0].reason.startswith(f"{inside}images/015.png: not an image")
    rows = own.base.store.get([case.case_id for case in cases])
    for case in (*cases[:3], *cases[4:]):
        assert same(rows[case.case_id].case) == same(case)
        assert rows[case.case_id].case.image.read_bytes() == case.image.read_bytes()
    shutil.rmtree(tmp_path / "many")
    assert len(own_client.image("case-050")) > 0
    assert not list((own.state / "jobs").rglob("*.zip")), "what was sent is not kept for ever"
    assert own_client.jobs()[0].id == job.id


def test_a_table_and_single_files_do_too(own: Served, own_client: Client, tmp_path: Path) -> None:
    cases = make_cases(tmp_path / "many", 15)[12:]
    table = tmp_path / "t.csv"
    table.write_text("case_id,image,site\n" + "".join(f"{c.case_id},{c.image.name},back\n" for c in cases))
    job = own_client.submit(table=table, images=[case.image for case in cases])
    assert own_client.wait(job.id, every=0.02).added == 3
    assert {hit.case.case_id for hit in own_client.search(cases[0].image, where=["site=back"]).hits} >= {"case-012"}


def test_a_job_is_undone_exactly(own: Served, own_client: Client, tmp_path: Path) -> None:
    own_client.add({"case_id": "case-020", "site": "scalp"}, own.cases[0].image)
    before = {row_id: row.case for row_id, row in own.base.store.get(own.base.store.ids()).items()}
    cases = make_cases(tmp_path / "many", 40)
    job = own_client.wait(own_client.submit(zipped(tmp_path / "many", cases)).id, every=0.02)
    # The first twelve are in the base with the same image and description, one has another image.
    assert (job.added, job.unchanged, job.updated, job.n_bad) == (27, 12, 0, 1)
    assert "another case of this id" in job.bad[0].reason
    own_client.update("case-030", {"site": "chest"})
    own_client.delete("case-031")
    undone = own_client.undo(job.id)
    assert undone.state == "undoing"
    undone = own_client.wait(job.id, every=0.02)
    assert (undone.state, undone.removed) == ("undone", 25)
    assert undone.message == "2 cases were changed or removed since, and are left alone"
    after = {row_id: row.case for row_id, row in own.base.store.get(own.base.store.ids()).items()}
    assert {i: same(case) for i, case in after.items() if i != "case-030"} == {i: same(c) for i, c in before.items()}
    with pytest.raises(ApiError, match="is undone; it must have ended") as caught:
        own_client.undo(job.id)
    assert caught.value.status == 409


def test_a_job_names_the_cases_whose_image_the_base_holds(own: Served, own_client: Client, tmp_path: Path) -> None:
    cases = make_cases(tmp_path / "many", 15)[12:]
    table = tmp_path / "t.csv"
    shutil.copy(own.cases[3].image, cases[0].image)
    shutil.copy(cases[1].image, cases[2].image)
    table.write_text("case_id,image\n" + "".join(f"{case.case_id},{case.image.name}\n" for case in cases))
    job = own_client.submit(table=table, images=[case.image for case in cases])
    done = own_client.wait(job.id, every=0.02)
    pairs = (Repeat("case-012", "case-003"), Repeat("case-014", "case-013"))
    assert (done.added, done.repeated, done.repeats) == (3, 2, pairs)
    again = own_client.wait(own_client.submit(table=table, images=[case.image for case in cases]).id, every=0.02)
    assert (again.unchanged, again.repeated, again.repeats) == (3, 0, ()), "nothing was put in"


def test_cases_are_replaced_where_that_is_said(own: Served, own_client: Client, tmp_path: Path) -> None:
    cases = [case.model_copy(update={"site": "scalp"}) for case in make_cases(tmp_path / "many", 14)]
    job = own_client.wait(own_client.submit(zipped(tmp_path / "many", cases), update=True).id, every=0.02)
    assert (job.added, job.updated, job.unchanged) == (2, 12, 0)
    assert {case.site for case in own_client.cases()} == {"scalp"}
    again = own_client.wait(own_client.submit(tmp_path / "many" / "upload.zip", update=True).id, every=0.02)
    assert (again.added, again.updated, again.unchanged) == (0, 0, 14)


def test_a_case_of_another_source_is_left_out_and_an_image_of_the_archive_completed(
    own: Served, own_client: Client, tmp_path: Path
) -> None:
    first, second = (case.model_copy(update={"source": "A"}) for case in make_cases(tmp_path / "many", 14)[12:])
    second = second.model_copy(update={"case_id": "ISIC_0000001", "sex": "female"})
    job = own_client.wait(own_client.submit(zipped(tmp_path / "many", [first, second])).id, every=0.02)
    assert job.added == 2
    changes = {"source": "B", "diagnosis": "df", "sex": None, "fine_diagnosis": "dermatofibroma"}
    others = [case.model_copy(update=changes) for case in (first, second)]
    job = own_client.wait(own_client.submit(zipped(tmp_path / "many", others), update=True).id, every=0.02)
    assert (job.updated, job.n_bad) == (1, 1)
    assert job.bad[0].reason.startswith("this id is a case of source 'A' in the base")
    assert (job.completed, job.contradictions) == (1, {"diagnosis": 1})
    assert job.contradicting == {"diagnosis": (f"ISIC_0000001: {second.diagnosis!r}, 'df'",)}
    cases = {case.case_id: case for case in own_client.cases()}
    assert cases["case-012"].source == "A"
    assert (cases["ISIC_0000001"].source, cases["ISIC_0000001"].sex) == ("A", "female")


def test_bad_rows_are_listed_and_nothing_is_taken_unless_they_are_to_be_skipped(shared: Served, tmp_path: Path) -> None:
    image = make_cases(tmp_path, 1)[0].image
    table = tmp_path / "t.csv"
    table.write_text(
        "case_id,image,age\nok,000.png,5\nold,000.png,900\nlost,../../etc/passwd,\nroot,/etc/passwd,\n..,000.png,\n"
    )
    with Client(shared.url) as client:
        with pytest.raises(ApiError) as caught:
            client.submit(table=table, images=[image])
        assert (caught.value.status, caught.value.title) == (422, "Table cannot be used")
        assert [row["case_id"] for row in caught.value.problem["rows"]] == ["old", "lost", "root", ".."]
        assert str(shared.state) not in str(caught.value.problem)
        assert caught.value.detail.startswith("t.csv: 4 of 5 rows cannot be used")
        job = client.wait(client.submit(table=table, images=[image], skip_bad=True).id, every=0.02)
        assert (job.total, job.done, job.added, job.n_bad) == (5, 5, 1, 4)
        assert client.wait(client.undo(job.id).id, every=0.02).removed == 1
    assert not list((shared.state / "jobs").glob(".*")), "a refused submission leaves nothing"


def test_an_unknown_job_and_a_submission_of_nothing(shared: Served) -> None:
    with Client(shared.url) as client:
        for ask in (client.job, client.cancel, client.resume, client.undo):
            with pytest.raises(ApiError, match="there is no job 'nothing'") as caught:
                ask("nothing")
            assert caught.value.status == 404
    for files in ({}, {"archive": ("a.zip", b"x"), "table": ("t.csv", b"x")}):
        answer = httpx.post(f"{shared.url}/api/v1/jobs", files=files)
        assert (answer.status_code, answer.json()["detail"]) == (422, "send either an archive, or a table and images")


# --- what an archive may hold ----------------------------------------------------------------------------------------


def archive(path: Path, files: dict[str, bytes], method: int = zipfile.ZIP_DEFLATED) -> Path:
    with zipfile.ZipFile(path, "w", method) as made:
        for name, data in files.items():
            made.writestr(name, data)
    return path


_TABLE = b"case_id,image\na,a.png\n"


@pytest.mark.parametrize(
    ("files", "words"),
    [
        ({"a.png": b"x"}, r"there must be one case table \(.csv, .tsv or .parquet\), found: none"),
        ({"a.csv": _TABLE, "b.csv": _TABLE}, "found: a.csv, b.csv"),
    ],
)
def test_an_archive_needs_one_table(tmp_path: Path, files: dict[str, bytes], words: str) -> None:
    with Bundle(archive(tmp_path / "a.zip", files), 1000) as bundle, pytest.raises(BundleError, match=words):
        bundle.entries(tmp_path, skip_bad=False)


def test_columns_that_may_name_a_person_are_left_out_as_on_the_command_line(tmp_path: Path) -> None:
    table = "case_id,image,Provider,Anamnese,Therapie\na,a.png,Lee,Vater Hans Maier hatte MM,Exzision\n"
    made = archive(tmp_path / "a.zip", {"cases.csv": table.encode(), "a.png": b"1"})
    with Bundle(made, 1000) as bundle:
        ((fields, _),), _ = bundle.entries(tmp_path, skip_bad=False)
        assert fields.extra == {"Therapie": "Exzision"}
        assert bundle.left_out == {"Provider": "words that may be names", "Anamnese": "free text"}
        ((fields, _),), _ = bundle.entries(tmp_path, skip_bad=False, keep=["Provider"])
        assert (fields.extra, [*bundle.left_out]) == ({"Provider": "Lee", "Therapie": "Exzision"}, ["Anamnese"])
    cases = [Case(case_id="a", image=tmp_path / "a.png", extra={"Provider": "Lee"})]
    (tmp_path / "a.png").write_bytes(b"1")
    with Bundle(zipped(tmp_path, cases), 1000) as bundle:
        ((fields, _),), _ = bundle.entries(tmp_path, skip_bad=False)
        assert fields.extra == {"Provider": "Lee"}, "a table of our own comes back whole"


def test_a_job_says_what_it_left_out(own: Served, own_client: Client) -> None:
    table = own.state / "t.csv"
    table.write_text("case_id,image,Provider,Therapie\nx1,x.png,Lee,Salbe\n", encoding="utf-8")
    images = [draw_lesion(own.state / "x.png", 7)]
    job = own_client.wait(own_client.submit(table=table, images=images).id)
    assert (job.added, job.left_out) == (1, {"Provider": "words that may be names"})
    job = own_client.wait(own_client.submit(table=table, images=images, update=True, keep=["Provider"]).id)
    assert (job.updated, job.left_out) == (1, {})
    assert own_client.case("x1").extra == {"Provider": "Lee", "Therapie": "Salbe"}


@pytest.mark.parametrize(
    ("patients", "lesions", "named"),
    [
        (("p", "q"), ("1", "1"), ("p/1", "q/1")),
        (("p", "p"), ("1", "1"), ("1", "1")),
        (("p", "q"), ("1", "2"), ("1", "2")),
        (("p", "q"), ("IL_1234567", "IL_1234567"), ("IL_1234567", "IL_1234567")),
        (("p", ""), ("1", "1"), ("1", "1")),
    ],
)
def test_lesions_of_a_job_are_numbered_as_on_the_command_line(
    tmp_path: Path, patients: tuple[str, str], lesions: tuple[str, str], named: tuple[str, str]
) -> None:
    rows = [f"{i},a.png,{who},{lesion}" for i, (who, lesion) in enumerate(zip(patients, lesions, strict=True))]
    table = "\n".join(["case_id,image,patient_id,lesion_id", *rows])
    (tmp_path / "a.png").write_bytes(b"1")
    (tmp_path / "t.csv").write_text(table, encoding="utf-8")
    with Bundle(archive(tmp_path / "a.zip", {"t.csv": table.encode(), "a.png": b"1"}), 1000) as bundle:
        entries, _ = bundle.entries(tmp_path, skip_bad=False)
        assert tuple(fields.lesion_id for fields, _ in entries) == named
        read, _ = read_kept(tmp_path / "t.csv", columns={}, skip_bad=False)
        assert tuple(case.lesion_id for case in read) == named
        assert bundle.notes == read.notes
        assert bool(bundle.notes) == (named != lesions)


def test_a_job_says_how_its_lesions_are_numbered(own: Served, own_client: Client) -> None:
    table = own.state / "t.csv"
    table.write_text("case_id,image,patient_id,lesion_id\nx1,x.png,p,1\nx2,y.png,q,1\n", encoding="utf-8")
    images = [draw_lesion(own.state / name, seed) for name, seed in (("x.png", 7), ("y.png", 8))]
    job = own_client.wait(own_client.submit(table=table, images=images).id)
    assert own_client.case("x1").lesion_id == "p/1"
    (note,) = own_client.job(job.id).notes
    assert "several patients have a lesion '1', so" in note


def test_names_in_an_archive_lead_nowhere(tmp_path: Path) -> None:
    outside = tmp_path / "outside.png"
    outside.write_bytes(b"outside")
    names = ["../outside.png", "/etc/passwd", "..\\..\\x.png", str(outside)]
    table = "case_id,image\n" + "".join(f"{i},{name}\n" for i, name in enumerate([*names, "../../outside.png"]))
    scratch = tmp_path / "in" / "side"
    scratch.mkdir(parents=True)
    made = archive(tmp_path / "a.zip", {"cases.csv": table.encode(), **dict.fromkeys(names, b"inside")})
    with Bundle(made, 1000) as bundle:
        entries, bad = bundle.entries(scratch, skip_bad=True)
        for number, (_, name) in enumerate(entries):
            bundle.extract(name, scratch / str(number))
    assert [row.case_id for row in bad] == ["4"], "a name that the archive does not hold"
    assert {path.read_bytes() for path in scratch.iterdir()} == {b"inside"}
    assert sorted(path.name for path in tmp_path.iterdir()) == ["a.zip", "in", "outside.png"]
    assert outside.read_bytes() == b"outside"


def test_a_bomb_is_not_unpacked(tmp_path: Path) -> None:
    made = archive(tmp_path / "a.zip", {"cases.csv": _TABLE, "a.png": b"\0" * 30_000_000})
    assert made.stat().st_size < 60_000
    data = bytearray(made.read_bytes())
    # The archive may say of the file what it likes: both of its headers claim ten bytes.
    for mark, offset in ((b"PK\x03\x04", 22), (b"PK\x01\x02", 24)):
        at = data.index(mark, data.index(mark) + 1)
        data[at + offset : at + offset + 4] = struct.pack("<I", 10)
    lying = tmp_path / "lying.zip"
    lying.write_bytes(data)
    for path in (made, lying):
        with Bundle(path, 1 << 20) as bundle, pytest.raises(BundleError, match=r"a.png: (more than 1 MiB|damaged)"):
            bundle.extract("a.png", tmp_path / "image")
        assert not (tmp_path / "image").exists()


def test_files_are_counted_before_the_archive_is_read(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    files = {"cases.csv": _TABLE, "a.png": b"1", "b.png": b"2"}
    made = archive(tmp_path / "a.zip", files)
    data = bytearray(made.read_bytes())
    end = data.rindex(b"PK\x05\x06")
    data[end + 8 : end + 12] = struct.pack("<2H", 1, 1)  # it says that it holds one file
    lying = tmp_path / "lying.zip"
    lying.write_bytes(data)
    large = tmp_path / "zip64.zip"
    size, start = struct.unpack("<2L", data[end + 12 : end + 20])
    wide = struct.pack("<4sQ2H2L4Q", b"PK\x06\x06", 44, 45, 45, 0, 0, 3, 3, size, start)
    wide += struct.pack("<4sLQL", b"PK\x06\x07", 0, end, 1)
    large.write_bytes(
        data[:end] + wide + struct.pack("<4s4H2LH", b"PK\x05\x06", 0, 0, 65535, 65535, 2**32 - 1, 2**32 - 1, 0)
    )
    for path in (made, lying, large):
        with Bundle(path, 1000) as bundle:
            assert len(bundle.entries(tmp_path, skip_bad=False)[0]) == 1
    monkeypatch.setattr("dermquery.serve.bundle._MOST_ENTRIES", 2)
    monkeypatch.setattr(zipfile, "ZipFile", None)
    for path in (made, lying, large):
        with pytest.raises(BundleError, match="the archive has more than 2 files; send it in parts"):
            Bundle(path, 1000)
    monkeypatch.setattr("dermquery.serve.bundle._DIRECTORY_BYTES", 1)
    with pytest.raises(BundleError, match="the names in the archive take more than"):
        Bundle(made, 1000)


@pytest.mark.parametrize("method", [zipfile.ZIP_BZIP2, zipfile.ZIP_LZMA])
def test_unusual_compression_is_refused(tmp_path: Path, method: int) -> None:
    with pytest.raises(BundleError, match="pack it as a plain ZIP file"):
        Bundle(archive(tmp_path / "a.zip", {"cases.csv": _TABLE}, method), 1000)


def test_damaged_archives_are_refused(tmp_path: Path) -> None:
    good = archive(tmp_path / "a.zip", {"cases.csv": _TABLE, "a.png": bytes(range(256)) * 40}, zipfile.ZIP_STORED)
    data = good.read_bytes()
    for name, part in (("empty", b""), ("cut", data[: len(data) // 2]), ("text", b"hello")):
        path = tmp_path / name
        path.write_bytes(part)
        with pytest.raises(BundleError, match="no ZIP file that can be read"):
            Bundle(path, 1 << 20)
    spoilt = tmp_path / "spoilt"
    spoilt.write_bytes(data.replace(bytes(range(200)), bytes(200), 1))
    with Bundle(spoilt, 1 << 20) as bundle, pytest.raises(BundleError, match=r"a\.png: damaged within the archive"):
        bundle.extract("a.png", tmp_path / "image")


def test_hidden_files_of_macos_are_left_out(tmp_path: Path) -> None:
    files = {"cases.csv": _TABLE, "__MACOSX/._cases.csv": b"x", "images/a.png": b"1", "images/._a.png": b"2"}
    with Bundle(archive(tmp_path / "a.zip", files), 1000) as bundle:
        entries, _ = bundle.entries(tmp_path, skip_bad=False)
    assert [name for _, name in entries] == ["images/a.png"]


def test_a_name_that_two_images_have_is_asked_for_by_its_path(tmp_path: Path) -> None:
    files = {"cases.csv": b"case_id,image\na,a.png\nb,2/a.png\n", "1/a.png": b"1", "2/a.png": b"2"}
    with Bundle(archive(tmp_path / "a.zip", files), 1000) as bundle:
        with pytest.raises(CaseTableError, match=r"2 images are called .a\.png.; write the path in the archive"):
            bundle.entries(tmp_path, skip_bad=False)
        entries, _ = bundle.entries(tmp_path, skip_bad=True)
    assert [(fields.case_id, name) for fields, name in entries] == [("b", "2/a.png")]


def packed(path: Path, entries: Sequence[tuple[bytes, bytes, bool, bytes]]) -> Path:
    """A ZIP archive of (name, content, whether the name is said to be UTF-8, extra field), as others pack it."""
    body = directory = b""
    for name, data, flag, extra in entries:
        size = len(data)
        head = struct.pack("<4H3I", 0x800 if flag else 0, 0, 0, 0x5821, zlib.crc32(data), size, size)
        head += struct.pack("<2H", len(name), len(extra))
        directory += b"PK\1\2" + struct.pack("<2H", 0x314, 20) + head
        directory += struct.pack("<3H2I", 0, 0, 0, 0, len(body)) + name + extra
        body += b"PK\3\4" + struct.pack("<H", 20) + head + name + extra + data
    end = struct.pack("<4s4H2IH", b"PK\5\6", 0, 0, len(entries), len(entries), len(directory), len(body), 0)
    path.write_bytes(body + directory + end)
    return path


def unicode_path(name: str, raw: bytes) -> bytes:
    """Info-ZIP's extra field with a name in UTF-8."""
    field = struct.pack("<BL", 1, zlib.crc32(raw)) + name.encode()
    return struct.pack("<2H", 0x7075, len(field)) + field


_NAME = "Läsion.jpg"
_SPLIT = unicodedata.normalize("NFD", _NAME)
PACKED = {
    "macOS": (_SPLIT.encode(), False, b""),
    "UTF-8 without flag": (_NAME.encode(), False, b""),
    "7-Zip": (_NAME.encode(), True, b""),
    "flag, decomposed": (_SPLIT.encode(), True, b""),
    "Windows, CP 437": (_NAME.encode("cp437"), False, b""),
    "Windows, CP 850": (_NAME.encode("cp850"), False, b""),
    "Windows-1252": (_NAME.encode("cp1252"), False, b""),
    "Info-ZIP": (b"L?sion.jpg", False, unicode_path(_NAME, b"L?sion.jpg")),
}


@pytest.mark.parametrize("kind", PACKED)
@pytest.mark.parametrize("folder", ["", "images/", "images\\", "./images/"])
@pytest.mark.parametrize("written", [_NAME, _SPLIT, _NAME.upper()])
def test_an_image_is_found_whatever_packed_it(tmp_path: Path, kind: str, folder: str, written: str) -> None:
    name, flag, extra = PACKED[kind]
    raw = folder.encode() + name
    extra = unicode_path(folder + _NAME, raw) if extra else b""
    for cell in {written, folder + written, folder.replace("/", "\\") + written}:
        table = f"case_id,image\na,{cell}\n".encode()
        made = packed(tmp_path / "a.zip", [(b"cases.csv", table, False, b""), (raw, b"image", flag, extra)])
        with Bundle(made, 1000) as bundle:
            ((fields, found),), _ = bundle.entries(tmp_path, skip_bad=False)
            bundle.extract(found, tmp_path / "image")
        assert (fields.case_id, (tmp_path / "image").read_bytes()) == ("a", b"image")


def test_letters_that_two_code_pages_read_differently(tmp_path: Path) -> None:
    """Byte 0x9D is one letter in CP 437 and another in CP 850; the table says which was meant, if it can."""
    for cell in ("s\u00d8r.jpg", "s\u00a5r.jpg"):
        table = f"case_id,image\na,{cell}\n".encode()
        made = packed(tmp_path / "a.zip", [(b"cases.csv", table, False, b""), (b"s\x9dr.jpg", b"image", False, b"")])
        with Bundle(made, 1000) as bundle:
            assert len(bundle.entries(tmp_path, skip_bad=True)[0]) == 1


def test_a_file_without_a_name_is_passed_over_and_a_name_given_twice_is_refused(tmp_path: Path) -> None:
    table = (b"cases.csv", _TABLE, False, b"")
    image = (b"a.png", b"1", False, b"")
    with Bundle(
        packed(tmp_path / "a.zip", [(b"", b"x", False, b""), table, image, (b"\0x", b"", True, b"")]), 1000
    ) as bundle:
        assert len(bundle.entries(tmp_path, skip_bad=False)[0]) == 1
    with pytest.raises(BundleError, match=r"two files in the archive are called 'a\.png'"):
        Bundle(packed(tmp_path / "a.zip", [table, image, (b"a.png", b"2", False, b"")]), 1000)


def test_single_images_are_found_by_the_last_part_of_a_path_unless_that_mixes_them_up(tmp_path: Path) -> None:
    table = io.BytesIO(b"case_id,image\na,images/a.png\nb,images\\b.png\n")
    pack(tmp_path / "a.zip", [("cases.csv", table), ("a.png", io.BytesIO(b"1")), ("B.png", io.BytesIO(b"2"))])
    with Bundle(tmp_path / "a.zip", 1000) as bundle:
        entries, _ = bundle.entries(tmp_path, skip_bad=False)
    assert [(fields.case_id, name) for fields, name in entries] == [("a", "a.png"), ("b", "B.png")]
    table = io.BytesIO(b"case_id,image\na,1/a.png\nb,2/a.png\nc,c.png\n")
    pack(tmp_path / "a.zip", [("t.csv", table), ("a.png", io.BytesIO(b"1")), ("c.png", io.BytesIO(b"2"))])
    with Bundle(tmp_path / "a.zip", 1000) as bundle:
        entries, bad = bundle.entries(tmp_path, skip_bad=True)
    assert [fields.case_id for fields, _ in entries] == ["c"]
    assert [row.case_id for row in bad] == ["a", "b"]
    assert "1/a.png and 2/a.png are different images, but only one 'a.png' was sent" in bad[0].problems[0]


# --- the queue -------------------------------------------------------------------------------------------------------


def submitted(jobs: JobQueue, folder: Path, n: int, **options: Any) -> Job:
    with zipped(folder, make_cases(folder, n)).open("rb") as file:
        return jobs.submit("me", file, **options)


def test_a_job_goes_on_in_the_next_process(base: CaseBase, tmp_path: Path) -> None:
    first = jobs_of(base, tmp_path / "state")
    job = submitted(first, tmp_path / "many", 200)
    first.start()
    until(lambda: first.get(job.id).done >= 60)
    first.stop()
    stopped = first.get(job.id)
    assert stopped.state == "running"
    assert 0 < len(base) < 200
    second = jobs_of(base, tmp_path / "state")
    second.start()
    done = ended(second, job)
    assert (done.state, done.done, done.added, len(base)) == ("done", 200, 200, 200)
    second.stop()


def test_a_job_is_cancelled_between_two_turns(base: CaseBase, tmp_path: Path) -> None:
    jobs = jobs_of(base, tmp_path / "state")
    running, waiting = submitted(jobs, tmp_path / "a", 300), submitted(jobs, tmp_path / "b", 5)
    jobs.start()
    until(lambda: jobs.get(running.id).done > 0)
    assert jobs.cancel(waiting.id).state == "cancelled"
    jobs.cancel(running.id)
    done = ended(jobs, running)
    assert done.state == "cancelled"
    assert 0 < done.added == len(base) < 300
    jobs.undo(running.id)
    assert ended(jobs, running).removed == done.added
    assert len(base) == 0
    jobs.stop()


def test_a_single_case_has_its_turn_while_a_job_runs(base: CaseBase, tmp_path: Path) -> None:
    from dermquery.serve.fields import CaseFields

    writer = CaseWriter(base, tmp_path / "state", Metrics(), waiting=8, decode=load_image)
    jobs = JobQueue(writer, tmp_path / "state" / "jobs", image_bytes=1 << 20)
    job = submitted(jobs, tmp_path / "many", 300)
    jobs.start()
    until(lambda: jobs.get(job.id).done > 0)
    image = (tmp_path / "many" / "images" / "000.png").read_bytes()
    writer.line.run(writer.put, CaseFields(case_id="single"), image)
    assert jobs.get(job.id).state == "running"
    assert "single" in base.store.get(["single"])
    assert ended(jobs, job).added == 300
    jobs.stop()


def test_a_job_waits_for_another_process_that_writes(base: CaseBase, tmp_path: Path) -> None:
    jobs = jobs_of(base, tmp_path / "state")
    job = submitted(jobs, tmp_path / "many", 10)
    with base._home.writing():
        jobs.start()
        until(lambda: (jobs.get(job.id).message or "").startswith("waits for another process"))
    assert ended(jobs, job).added == 10
    jobs.stop()


def test_what_another_process_wrote_meanwhile_is_not_replaced(base: CaseBase, tmp_path: Path) -> None:
    (tmp_path / "other").mkdir()
    other = make_cases(tmp_path / "other", 1)[0].model_copy(update={"diagnosis": "theirs"})
    jobs = jobs_of(base, tmp_path / "state")
    job = submitted(jobs, tmp_path / "many", 10)
    with base._home.writing():
        jobs.start()
        until(lambda: (jobs.get(job.id).message or "").startswith("waits for another process"))
        index_cases([other], base.store, LocalExecutor(base.model, archive=base.archive))
    done = ended(jobs, job)
    assert (done.added, [bad.case_id for bad in done.bad]) == (9, [other.case_id])
    jobs.undo(job.id)
    assert ended(jobs, job).removed == 9
    assert [row.case.diagnosis for row in base.store.page(None, None, 10)] == ["theirs"]
    jobs.stop()


def test_a_job_that_failed_says_why_and_goes_on_when_asked(
    base: CaseBase, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    jobs = jobs_of(base, tmp_path / "state")
    job = submitted(jobs, tmp_path / "many", 150)
    upsert, writes = base.store.upsert, []

    def full(rows: Any) -> None:
        writes.append(len(rows))
        if len(writes) == 6:
            raise OSError("No space left on device")
        upsert(rows)

    monkeypatch.setattr(base.store, "upsert", full)
    jobs.start()
    failed = ended(jobs, job)
    assert failed.state == "failed"
    assert failed.message == "the base cannot be written to (is its disk full?); mend that and resume the job"
    assert failed.added <= len(base)
    jobs.resume(job.id)
    done = ended(jobs, job)
    assert (done.state, done.added, done.n_bad, len(base)) == ("done", 150, 0, 150)
    jobs.stop()


def test_a_repeated_image_is_named_whichever_attempt_wrote_it(
    base: CaseBase, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    make_cases(tmp_path / "many", 40)
    base.add([case.model_copy(update={"case_id": "held"}) for case in make_cases(tmp_path / "many", 1)])
    images = [tmp_path / "many" / "images" / f"{i:03}.png" for i in range(40)]
    for first, second in ((1, 2), (3, 39)):
        shutil.copy(images[first], images[second])
    table = tmp_path / "many" / "cases.csv"
    table.write_text("case_id,image\n" + "".join(f"case-{i:03},{image.name}\n" for i, image in enumerate(images)))
    jobs = jobs_of(base, tmp_path / "state")
    upsert, writes = base.store.upsert, []

    def full(rows: Any) -> None:
        writes.append(len(rows))
        if len(writes) == 2:
            raise OSError("No space left on device")
        upsert(rows)

    monkeypatch.setattr(base.store, "upsert", full)
    with table.open("rb") as file, ExitStack() as stack:
        opened = [(image.name, stack.enter_context(image.open("rb"))) for image in images]
        job = jobs.submit("me", None, [(table.name, file), *opened])
    jobs.start()
    assert ended(jobs, job).state == "failed"
    assert 1 < len(base) < 41
    jobs.resume(job.id)
    done = ended(jobs, job)
    pairs = {Repeat("case-000", "held"), Repeat("case-002", "case-001"), Repeat("case-039", "case-003")}
    assert (done.added, done.repeated, set(done.repeats)) == (40, 3, pairs)
    jobs.stop()


def test_an_undo_that_failed_goes_on_when_asked(
    base: CaseBase, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    jobs = jobs_of(base, tmp_path / "state")
    jobs.start()
    job = ended(jobs, submitted(jobs, tmp_path / "many", 5))
    assert job.state == "done"

    def full(_: Any) -> int:
        raise StoreWriteError("No space left on device")

    with monkeypatch.context() as patched:
        patched.setattr(base, "delete", full)
        jobs.undo(job.id)
        failed = ended(jobs, job)
    assert (failed.state, failed.undo) == ("failed", True)
    assert failed.message == "the base cannot be written to (is its disk full?); mend that and undo it again"
    jobs.stop()
    jobs = jobs_of(base, tmp_path / "state")  # the next process
    jobs.start()
    assert jobs.resume(job.id).state == "undoing"
    undone = ended(jobs, job)
    assert (undone.state, undone.removed, len(base)) == ("undone", 5, 0)
    jobs.stop()


def test_images_of_too_many_pixels_are_left_out(base: CaseBase, tmp_path: Path) -> None:
    writer = CaseWriter(base, tmp_path / "state", Metrics(), waiting=8, decode=partial(load_image, max_pixels=50 * 50))
    jobs = JobQueue(writer, tmp_path / "state" / "jobs", image_bytes=1 << 20)
    cases = make_cases(tmp_path / "many", 3)
    draw_lesion(cases[1].image, 1, size=51)
    with zipped(tmp_path / "many", cases).open("rb") as file:
        job = jobs.submit("me", file)
    jobs.start()
    done = ended(jobs, job)
    assert (done.added, done.n_bad) == (2, 1)
    assert done.bad[0].reason.startswith("images/001.png: 51 × 51 pixels are more than the limit of 2,500")
    jobs.stop()


def test_a_submission_that_was_cut_off_is_forgotten(base: CaseBase, tmp_path: Path) -> None:
    jobs = jobs_of(base, tmp_path / "state")
    job = submitted(jobs, tmp_path / "many", 3)
    cut = tmp_path / "state" / "jobs" / ".20260101-000000-cut"
    shutil.copytree(tmp_path / "state" / "jobs" / job.id, cut)
    again = jobs_of(base, tmp_path / "state")
    again.start()
    assert ended(again, job).added == 3
    assert [known.id for known in again.all()] == [job.id]
    assert not cut.exists()
    again.stop()


def test_a_job_whose_end_cannot_be_logged_has_ended_still(base: CaseBase, tmp_path: Path) -> None:
    def full(_: Job) -> None:
        raise OSError("No space left on device")

    jobs = jobs_of(base, tmp_path / "state")
    first, second = submitted(jobs, tmp_path / "one", 3), submitted(jobs, tmp_path / "two", 3)
    jobs.start(full)
    assert [ended(jobs, job).state for job in (first, second)] == ["done", "done"]
    jobs.stop()
    assert [job.state for job in jobs.all()] == ["done", "done"]


def test_a_job_that_cannot_be_read_is_left_as_it_is(base: CaseBase, tmp_path: Path) -> None:
    """It was acknowledged: its table and images may be all that there is of these cases."""
    job = submitted(jobs_of(base, tmp_path / "state"), tmp_path / "many", 3)
    folder = tmp_path / "state" / "jobs" / job.id
    (folder / "job.json").write_text("{", encoding="utf-8")
    again = jobs_of(base, tmp_path / "state")
    again.start()
    again.stop()
    assert again.all() == []
    assert (folder / "upload.zip").exists()


def test_a_note_that_was_cut_off_does_not_spoil_the_next(tmp_path: Path) -> None:
    from dermquery.serve.job_folder import JobFolder

    folder = JobFolder(tmp_path)
    folder.note({"a": "1"})
    with (tmp_path / "added.jsonl").open("a") as file:
        file.write('["b", "2')
    folder.note({"c": "3"})
    assert folder.added() == {"a": "1", "c": "3"}


def test_jobs_end_one_after_the_other(base: CaseBase, tmp_path: Path) -> None:
    told: list[Job] = []
    jobs = jobs_of(base, tmp_path / "state")
    threads = [threading.Thread(target=submitted, args=(jobs, tmp_path / str(i), 4)) for i in range(4)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    jobs.start(told.append)
    until(lambda: len(told) == 4)
    assert sum(job.added for job in told) == 4
    assert sum(job.unchanged for job in told) == 12, "the same four cases each time"
    jobs.stop()
