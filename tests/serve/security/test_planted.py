"""What names a patient in an object, or in the name of its file, is in nothing that is made of it."""

from __future__ import annotations

import io
import zlib
from collections.abc import Iterator
from pathlib import Path

import httpx
import numpy as np
import pytest
from pypdf import PdfReader
from typer.testing import CliRunner

from dermquery.answer.formats import REPORTS, render
from dermquery.cli.data import app
from dermquery.client import Client
from dermquery.data.case_table import read_cases
from dermquery.store.casebase import CaseBase
from tests.data.dicom.made import dermoscopic, picture, put_pixels, written
from tests.serve.conftest import serving
from tests.store.encoder import ProjectionEncoder

PLANTED = ("Doe^Jane", "Jane Doe", "MRN-4711", "LES-0815", "ACC-2299", "Ward Seven", "19610203", "1.2.739.14628")


def an_object(number: int, **more: object) -> bytes:
    return written(
        dermoscopic(
            PatientName=PLANTED[0], PatientComments=PLANTED[1], PatientID=PLANTED[2], TrackingID=PLANTED[3],
            AccessionNumber=PLANTED[4], InstitutionalDepartmentName=PLANTED[5], PatientBirthDate=PLANTED[6],
            SOPInstanceUID=f"{PLANTED[7]}.{number}", StudyInstanceUID=f"{PLANTED[7]}.9", **more,
        )
    )  # fmt: skip


def texts_of(data: bytes) -> Iterator[str]:
    """A file as text, in the encodings that formats use; of a PDF also what it shows, says of itself and packs."""
    for encoding in ("latin-1", "utf-16-le", "utf-16-be"):
        yield data.decode(encoding, errors="ignore")
    if data.startswith(b"%PDF"):
        read = PdfReader(io.BytesIO(data))
        yield " ".join([*(page.extract_text() for page in read.pages), str(read.metadata), str(read.xmp_metadata)])
        for part in data.split(b"stream\n")[1:]:
            try:
                yield zlib.decompressobj().decompress(part).decode("latin-1")
            except zlib.error:
                continue


def holding(files: dict[str, bytes]) -> list[tuple[str, str]]:
    return [(word, name) for name, data in files.items() for text in texts_of(data) for word in PLANTED if word in text]


def test_the_search_finds_what_is_planted() -> None:
    assert {word for word, _ in holding({"x": an_object(1)})} == {*PLANTED}


def test_base_reports_audit_log_and_messages_hold_nothing_of_a_patient(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    monkeypatch.setenv("DERMQUERY_STATE", str(tmp_path / "key"))
    (source := tmp_path / "source").mkdir()
    for number in range(3):
        (source / f"{PLANTED[1]} {number}.dcm").write_bytes(an_object(number))
    done = CliRunner().invoke(app, ["prepare", "dicom", str(source), "--out", str(tmp_path / "out")])
    assert done.exit_code == 0, done.output
    base = CaseBase.create(tmp_path / "base", ProjectionEncoder(), reference="0")
    base.add(read_cases(tmp_path / "out" / "cases.csv"))
    (table := source / "t.csv").write_text("case_id,image\n1,a.dcm\n")
    (uploaded := source / "a.dcm").write_bytes(an_object(9))
    frames = np.stack([picture(), picture()[::-1]])
    several = put_pixels(dermoscopic(PatientName=PLANTED[0], NumberOfFrames=2), frames)
    files = {"what was said": done.output.encode()}
    result = base.search(image=source / f"{PLANTED[1]} 1.dcm", top_k=3)
    files |= {name: render(name, result)[0] for name in REPORTS.names()}
    with serving(base, tmp_path / "state") as served, Client(served.url) as client:
        answer = client.search(written(several), top_k=3)
        assert [warning.kind for warning in answer.warnings][:1] == ["first frame"]
        assert "2 frames, and the first was searched with" in answer.warnings[0].message
        assert "first frame" not in [warning.kind for warning in client.search(an_object(1), top_k=3).warnings]
        job = client.wait(client.submit(table=table, images=[uploaded]).id, every=0.02)
        files |= {"job": job.model_dump_json().encode()}
        for ending in REPORTS.names():
            files[f"API {ending}"] = httpx.get(f"{served.url}/api/v1/searches/{answer.search}/hits.{ending}").content
        files["metrics"] = httpx.get(f"{served.url}/metrics").content
        kept = [path for path in (tmp_path / "state").rglob("*") if path.is_file()]
        assert any(path.suffix == ".jsonl" for path in kept), "the audit log is among them"
    files |= {
        str(path.relative_to(tmp_path)): path.read_bytes()
        for path in tmp_path.rglob("*")
        if path.is_file() and source not in path.parents
    }
    files["log"] = caplog.text.encode()
    assert {"pdf", "html", "API pdf", "base/manifest.json"} <= set(files)
    assert holding(files) == []
    assert [name for name in files if any(word in name for word in PLANTED)] == []
