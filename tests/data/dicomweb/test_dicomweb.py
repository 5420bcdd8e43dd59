from __future__ import annotations

import os
import signal
import socket
import stat
import subprocess
import sys
import time
from collections.abc import Iterator
from io import BytesIO
from pathlib import Path

import numpy as np
import pytest
from dicomweb_client import DICOMwebClient
from PIL import Image
from pydicom import dcmread
from pydicom.uid import UID
from typer.testing import CliRunner

from dermquery.cli import app
from dermquery.data.case_table import read_cases, write_cases
from dermquery.data.dicom.web import Found, WebArchive
from dermquery.data.sources.dicomweb import LEFT_OUT
from tests.data.dicom.made import ENCODINGS, dermoscopic, picture, written
from tests.data.dicomweb.conftest import Scripted
from tests.orthanc import Archive

N = 14
PLANTED = ("Doe^Jane", "MRN-4711", "LES-0815", "secret-token")
SLOWLY = """
import sys, time
from dermquery.cli import main
from dermquery.data.dicom.web import WebArchive
from dermquery.data.sources import dicomweb
dicomweb._BATCH, fetch = 4, WebArchive.fetch
WebArchive.fetch = lambda self, found: (time.sleep(0.3), fetch(self, found))[1]
main()
"""


@pytest.fixture(scope="module")
def stored(orthanc: Archive) -> Iterator[list[str]]:
    """Photographs of two patients in fourteen encodings, put into the archive by another client; their UIDs."""
    uids = []
    for n, name in enumerate(list(ENCODINGS)[:N]):
        made = dcmread(BytesIO(ENCODINGS[name]()))
        made.SOPInstanceUID = made.file_meta.MediaStorageSOPInstanceUID = UID(f"1.2.3.{n + 1}")
        made.StudyInstanceUID, made.SeriesInstanceUID = f"1.2.4.{n % 2}", f"1.2.5.{n % 2}"
        made.PatientName, made.PatientID, made.TrackingID = PLANTED[0], f"{PLANTED[1]}-{n % 2}", PLANTED[2]
        DICOMwebClient(orthanc.url).store_instances([made])
        uids.append(made.SOPInstanceUID)
    yield uids
    orthanc.clear()


@pytest.fixture
def fetched(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> list[Found]:
    """What is fetched meanwhile; the site key lies beside the test's files."""
    monkeypatch.setenv("DERMQUERY_STATE", str(tmp_path / "state"))
    found: list[Found] = []
    fetch = WebArchive.fetch

    def noted(self: WebArchive, item: Found) -> bytes:
        found.append(item)
        return fetch(self, item)

    monkeypatch.setattr(WebArchive, "fetch", noted)
    return found


def run(url: str, out: Path, *more: str) -> tuple[int, str]:
    done = CliRunner().invoke(app, ["data", "dicomweb", url, "--out", str(out), *more])
    return done.exit_code, " ".join(done.output.split())


def holding(folder: Path, planted: tuple[str, ...] = PLANTED) -> list[tuple[str, Path]]:
    files = [path for path in folder.rglob("*") if path.is_file()]
    return [(word, path) for path in files for word in planted if word.encode() in path.read_bytes()]


def test_fourteen_are_imported_once_and_one_more_when_there_is_one_more(
    orthanc: Archive, stored: list[str], fetched: list[Found], tmp_path: Path
) -> None:
    out, token = tmp_path / "out", tmp_path / "token"
    token.write_text(PLANTED[3])
    code, said = run(orthanc.url, out, "--token-file", str(token))
    assert (code, len(fetched)) == (0, N), said
    assert f"{N} images made, 0 kept from before, 0 bad" in said
    cases = read_cases(out / "cases.csv").cases
    assert len(cases) == N
    assert len({case.patient_id for case in cases}) == 2
    assert len({case.study_uid for case in cases}) == 2
    for case in cases:
        assert case.site == "back"
        with Image.open(case.image) as image:
            assert np.abs(np.asarray(image.convert("RGB"), float) - picture()).mean() < 2.5
    assert holding(out) == []
    assert [word for word in PLANTED if word in said] == []
    assert not (out / ".received").exists()

    diagnosed = [case.model_copy(update={"diagnosis": "nv"}) for case in cases]
    write_cases(diagnosed, out / "cases.csv")
    before = {path: path.stat().st_mtime_ns for path in (out / "images").iterdir()}
    code, said = run(orthanc.url, out)
    assert (code, len(fetched)) == (0, N)
    assert f"0 images made, {N} kept from before, 0 bad" in said
    assert {path: path.stat().st_mtime_ns for path in (out / "images").iterdir()} == before

    one_more = tmp_path / "more.dcm"
    one_more.write_bytes(written(dermoscopic(SOPInstanceUID="1.2.3.99")))
    own_id = orthanc.store(one_more)
    code, said = run(orthanc.url, out)
    orthanc.ask(f"/instances/{own_id}", method="DELETE")
    assert (code, [found.instance for found in fetched[N:]]) == (0, ["1.2.3.99"])
    assert f"1 images made, {N} kept from before" in said
    assert [case.diagnosis for case in read_cases(out / "cases.csv").cases] == ["nv"] * N + [None]


def test_a_run_that_was_killed_goes_on_where_it_was(
    orthanc: Archive, stored: list[str], fetched: list[Found], tmp_path: Path
) -> None:
    out = tmp_path / "out"
    command = [sys.executable, "-c", SLOWLY, "data", "dicomweb", orthanc.url, "--out", str(out)]
    process = subprocess.Popen(command, env=os.environ, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL)
    received = out / ".received"
    while not (out / "cases.csv").is_file() or not list(received.glob("*.dcm")):
        assert process.poll() is None
        time.sleep(0.005)
    process.send_signal(signal.SIGKILL)
    process.wait()
    in_table, waiting = len(read_cases(out / "cases.csv").cases), len(list(received.glob("[!.]*.dcm")))
    assert 0 < in_table < N
    assert stat.S_IMODE(received.stat().st_mode) == 0o700
    code, said = run(orthanc.url, out)
    assert code == 0, said
    assert N - in_table - waiting <= len(fetched) <= N - in_table
    assert len({found.instance for found in fetched}) == len(fetched)
    cases = read_cases(out / "cases.csv").cases
    assert len({case.instance_uid for case in cases}) == len(cases) == N
    assert holding(out) == []


def test_what_is_no_case_is_said_and_not_fetched_again(
    orthanc: Archive, stored: list[str], fetched: list[Found], tmp_path: Path
) -> None:
    burned, own = tmp_path / "burned.dcm", []
    for n, changed in enumerate(({"BurnedInAnnotation": "YES"}, {"SOPClassUID": "1.2.840.10008.5.1.4.1.1.104.1"})):
        burned.write_bytes(written(dermoscopic(SOPInstanceUID=f"1.2.3.7{n}", Modality="OT", **changed)))
        own.append(orthanc.store(burned))
    out = tmp_path / "out"
    first, second = (run(orthanc.url, out, "--modality", "OT") for _ in range(2))
    for each in own:
        orthanc.ask(f"/instances/{each}", method="DELETE")
    assert len(fetched) == 2
    assert first[0] == 1
    assert "text is burned into its pixels" in first[1]
    assert "no photograph" in first[1]
    assert second[0] == 0
    assert "2 objects were left out before and not fetched" in second[1]
    assert len((out / LEFT_OUT).read_text().splitlines()) == 3
    assert "1.2.3.7" not in (out / LEFT_OUT).read_text()


def test_an_object_other_than_the_one_asked_for_is_no_case(
    scripted: Scripted, fetched: list[Found], tmp_path: Path
) -> None:
    def answer(path: str, _n: int) -> tuple[int, dict[str, str], bytes]:
        tag = "00080018" if "/instances" in path else "0020000E" if "/series" in path else "0020000D"
        if path.endswith("/instances/1.2"):
            return 200, {"Content-Type": "application/dicom"}, written(dermoscopic(SOPInstanceUID="6.6.6"))
        return 200, {}, b'[{"%s": {"Value": ["1.2"]}}]' % tag.encode()

    scripted.answer = answer
    code, said = run(scripted.url, tmp_path / "out", "--modality", "DMS")
    assert code == 1
    assert "another object than it was asked for" in said


def test_a_folder_of_other_origin_is_refused_before_anything_is_fetched(
    orthanc: Archive, stored: list[str], fetched: list[Found], tmp_path: Path
) -> None:
    (tmp_path / "out" / "images").mkdir(parents=True)
    code, said = run(orthanc.url, tmp_path / "out")
    assert (code, fetched) == (2, [])
    assert "it was not prepared here" in said
    assert not (tmp_path / "out" / ".received").exists()


def test_an_archive_without_photographs(orthanc: Archive, fetched: list[Found], tmp_path: Path) -> None:
    code, said = run(orthanc.url, tmp_path / "out", "--modality", "CFM")
    assert code == 0
    assert said.endswith("the archive has no such photograph")


@pytest.mark.parametrize(
    ("more", "said"),
    [
        (["--modality", "DMS,../x"], "is no modality"),
        (["--modality", ","], "no modality is asked for"),
        (["--since", "31.1.2024"], "does not match"),
        (["--token-file", "no-such-file"], "no-such-file"),
        (["--allow", "everything"], "nothing to allow"),
    ],
)
def test_options_that_cannot_be_used(fetched: list[Found], tmp_path: Path, more: list[str], said: str) -> None:
    code, output = run("http://127.0.0.1:9/dicom-web", tmp_path / "out", *more)
    assert code == 2
    assert said in output


def test_a_server_that_is_down_is_one_message(
    fetched: list[Found], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("dermquery.data.dicom.web._WAITS", (0.01, 0.01))
    with socket.socket() as held:
        held.bind(("127.0.0.1", 0))
        code, said = run(f"http://127.0.0.1:{held.getsockname()[1]}/dicom-web", tmp_path / "out")
    assert code == 2
    assert said.count("error: ") == said.count("cannot be reached") == 1
    assert "Traceback" not in said
