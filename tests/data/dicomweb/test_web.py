from __future__ import annotations

import datetime
import json
import socket
from collections.abc import Callable, Iterator
from io import BytesIO
from pathlib import Path
from typing import Any

import pytest
from dicomweb_client import DICOMwebClient
from PIL import Image
from pydicom import dcmread

from dermquery.data.dicom.web import DicomWebError, Found, NoSuchObjectError, WebArchive, read_token
from tests.data.dicomweb.conftest import Answer, Scripted
from tests.dermoscopic import dermoscopic_object
from tests.orthanc import Archive

OBJECT = Found("1.2", "3.4", "5.6")
UIDS = ("0020000D", "0020000E", "00080018")


def entry(tag: str, uid: str, **more: str) -> dict[str, Any]:
    return {name: {"vr": "UI", "Value": [value]} for name, value in {tag: uid, **more}.items()}


def listed(*entries: Any) -> Answer:
    return 200, {"Content-Type": "application/dicom+json"}, json.dumps(entries).encode()


@pytest.fixture
def waits() -> list[float]:
    return []


@pytest.fixture
def archive(scripted: Scripted, waits: list[float]) -> Iterator[WebArchive]:
    with WebArchive(scripted.url, "Bearer secret-token", most_bytes=1 << 20, wait=waits.append) as found:
        yield found


@pytest.fixture
def stored(orthanc: Archive, tmp_path: Path) -> Iterator[dict[str, Path]]:
    """Three objects in a real archive, put there by another client: two dermoscopic of 2024, a photograph of 2020."""
    client, files = DICOMwebClient(orthanc.url), {}
    for name, changed in {
        "new": {}, "newer": {"StudyDate": "20240601"}, "old": {"StudyDate": "20200101", "Modality": "XC"},
    }.items():  # fmt: skip
        files[name] = dermoscopic_object(tmp_path / f"{name}.dcm", Image.new("RGB", (32, 24), "tan"), **changed)
        client.store_instances([dcmread(files[name])])
    yield files
    orthanc.clear()


def test_a_real_archive_lists_and_gives_what_was_stored(orthanc: Archive, stored: dict[str, Path]) -> None:
    with WebArchive(orthanc.url) as archive:
        found = {item.instance: item for item in archive.objects(["DMS", "XC"])}
        objects = {name: dcmread(path) for name, path in stored.items()}
        assert set(found) == {each.SOPInstanceUID for each in objects.values()}
        for each in objects.values():
            assert dcmread(BytesIO(archive.fetch(found[each.SOPInstanceUID]))) == each


@pytest.mark.parametrize(
    ("modalities", "since", "names"),
    [
        (["DMS"], None, {"new", "newer"}),
        (["XC"], None, {"old"}),
        (["DMS", "XC"], datetime.date(2024, 1, 31), {"new", "newer"}),
        (["DMS", "XC"], datetime.date(2024, 2, 1), {"newer"}),
        (["OT"], None, set()),
    ],
)
def test_modality_and_day_choose(
    orthanc: Archive, stored: dict[str, Path], modalities: list[str], since: datetime.date | None, names: set[str]
) -> None:
    with WebArchive(orthanc.url) as archive:
        found = {item.instance for item in archive.objects(modalities, since)}
    assert found == {dcmread(stored[name]).SOPInstanceUID for name in names}


def test_a_real_archive_without_the_object_or_without_dicomweb(orthanc: Archive) -> None:
    with WebArchive(orthanc.url) as archive, pytest.raises(NoSuchObjectError, match="404"):
        archive.fetch(OBJECT)
    with WebArchive(orthanc.root) as other, pytest.raises(DicomWebError, match=r"address of its DICOMweb|is it the"):
        list(other.objects(["DMS"]))


def test_a_server_that_is_down_is_one_message() -> None:
    with socket.socket() as held:  # bound and not listening: nobody else takes the port meanwhile
        held.bind(("127.0.0.1", 0))
        waits: list[float] = []
        with WebArchive(f"http://127.0.0.1:{held.getsockname()[1]}/dicom-web", wait=waits.append) as archive:
            with pytest.raises(DicomWebError, match=r"cannot be reached .*is the archive running"):
                list(archive.objects(["DMS"]))
            assert waits == sorted(waits)
            assert 5 <= sum(waits) <= 20


def test_pages_are_read_on_until_one_brings_nothing_new(archive: WebArchive, scripted: Scripted) -> None:
    """Whether a server has more than it gives at once, or gives the same page for ever."""

    def answer(path: str, _n: int) -> Answer:
        if "/instances" in path:
            return listed(entry(UIDS[2], path.split("/series/")[1].split("/")[0]))
        if "/series" in path:
            return listed(entry(UIDS[1], "7." + path.split("/studies/")[1].split("/")[0]))
        page = listed(*(entry(UIDS[0], f"1.{n}") for n in range(3)))
        offset = int(path.split("offset=")[1].split("&")[0])
        return (page[0], {"Warning": "299 pacs more"}, page[2]) if offset < 3 else page

    scripted.answer = answer
    assert [item.study for item in archive.objects(["DMS"])] == ["1.0", "1.1", "1.2"]


def test_a_server_that_does_not_know_the_conditions_gives_nothing_else(archive: WebArchive, scripted: Scripted) -> None:
    def answer(path: str, _n: int) -> Answer:
        if "/instances" in path:
            return listed(entry(UIDS[2], "5.6"))
        if "/series" in path:
            return listed(entry(UIDS[1], "3.4", **{"00080060": "DMS"}), entry(UIDS[1], "3.5", **{"00080060": "CT"}))
        studies = [entry(UIDS[0], "1.2", **{"00080020": "20240501"}), entry(UIDS[0], "1.3", **{"00080020": "19990101"})]
        return listed(*studies)

    scripted.answer = answer
    assert list(archive.objects(["DMS"], datetime.date(2024, 1, 1))) == [OBJECT]


def test_an_address_within_an_answer_is_never_followed(archive: WebArchive, scripted: Scripted) -> None:
    evil = {"7FE00010": {"vr": "OB", "BulkDataURI": "http://127.0.0.1:9/bulk"}}

    def answer(path: str, _n: int) -> Answer:
        tag = UIDS[2 if "/instances" in path else 1 if "/series" in path else 0]
        return listed(entry(tag, "1.2") | evil | {"00081190": {"vr": "UR", "Value": ["http://127.0.0.1:9/study"]}})

    scripted.answer = answer
    assert len(list(archive.objects(["DMS"]))) == 1
    assert all(path.startswith("/dicom-web/studies") for path, _ in scripted.asked)


@pytest.mark.parametrize("status", [301, 302, 303, 307, 308])
def test_no_redirect_is_followed(archive: WebArchive, scripted: Scripted, status: int) -> None:
    scripted.answer = lambda _path, _n: (status, {"Location": "http://user:pw@evil.example/x"}, b"")
    with pytest.raises(DicomWebError, match=r"sends us to 'evil\.example', which is not followed"):
        list(archive.objects(["DMS"]))
    with pytest.raises(DicomWebError, match="not followed"):
        archive.fetch(OBJECT)
    assert len(scripted.asked) == 2


def test_the_token_goes_with_every_request_and_into_no_message(archive: WebArchive, scripted: Scripted) -> None:
    scripted.answer = lambda _path, _n: (401, {}, b"secret-token")
    with pytest.raises(DicomWebError, match="does not let us in") as error:
        list(archive.objects(["DMS"]))
    assert scripted.asked[0][1]["authorization"] == "Bearer secret-token"
    assert "secret-token" not in str(error.value)


def test_an_object_is_asked_for_as_it_is_stored(archive: WebArchive, scripted: Scripted) -> None:
    part = b"--x\r\nContent-Type: application/dicom\r\n\r\n\r\ncontent\r\n\r\n--x--\r\n"
    kind = 'multipart/related; type="application/dicom"; boundary=x'
    scripted.answer = lambda _path, _n: (200, {"Content-Type": kind}, part)
    assert archive.fetch(OBJECT) == b"\r\ncontent\r\n"
    path, headers = scripted.asked[0]
    assert path == "/dicom-web/studies/1.2/series/3.4/instances/5.6"
    assert headers["accept"] == 'multipart/related; type="application/dicom"; transfer-syntax=*'
    scripted.answer = lambda _path, _n: (200, {"Content-Type": "application/dicom"}, b"bare")
    assert archive.fetch(OBJECT) == b"bare"


@pytest.mark.parametrize(
    ("kind", "body", "error"),
    [
        ("text/html", b"<html>", DicomWebError),
        ("multipart/related", b"--x\r\n\r\n\r\n--x--", DicomWebError),
        ("multipart/related; boundary=x", b"--x\r\nContent-Type: application/dicom\r\n\r\nhalf", NoSuchObjectError),
        ("multipart/related; boundary=x", b"", NoSuchObjectError),
        ("application/dicom", bytes((1 << 20) + 1), NoSuchObjectError),
    ],
)
def test_an_answer_that_is_no_object(
    archive: WebArchive, scripted: Scripted, kind: str, body: bytes, error: type[Exception]
) -> None:
    scripted.answer = lambda _path, _n: (200, {"Content-Type": kind}, body)
    with pytest.raises(DicomWebError) as raised:
        archive.fetch(OBJECT)
    assert type(raised.value) is error


@pytest.mark.parametrize(
    "body",
    [
        b"<html>", b"{}", b"[1]", b"[" * 100_000, b'[{"0020000D": 1}]', b'[{"0020000D": {"Value": ["../../x"]}}]',
        b'[{"0020000D": {"Value": ["1.2/../3"]}}]', b'[{"0020000D": {"Value": ["1.2\\n"]}}]', b"[{}]", b"\xff\xfe",
    ],
)  # fmt: skip
def test_an_answer_that_is_no_list_is_one_message(archive: WebArchive, scripted: Scripted, body: bytes) -> None:
    scripted.answer = lambda _path, _n: (200, {"Content-Type": "application/dicom+json"}, body)
    with pytest.raises(DicomWebError):
        list(archive.objects(["DMS"]))
    assert len(scripted.asked) == 1


@pytest.mark.parametrize("status", [429, 500, 502, 503, 504])
def test_a_busy_server_is_asked_again_when_it_says(
    archive: WebArchive, scripted: Scripted, waits: list[float], status: int
) -> None:
    busy: Answer = (status, {"Retry-After": "7"}, b"")
    scripted.answer = lambda _path, n: busy if n < 2 else (204, {}, b"")
    assert list(archive.objects(["DMS"])) == []
    assert waits == [7.0, 7.0]


def test_a_server_that_stays_busy_or_asks_to_wait_for_days(
    archive: WebArchive, scripted: Scripted, waits: list[float]
) -> None:
    scripted.answer = lambda _path, _n: (503, {"Retry-After": "99999999"}, b"")
    with pytest.raises(DicomWebError, match="503"):
        list(archive.objects(["DMS"]))
    assert max(waits) == 60.0
    assert len(scripted.asked) == 5


def test_a_connection_that_breaks_is_made_again(archive: WebArchive, scripted: Scripted, waits: list[float]) -> None:
    broken: Answer = (200, {"Content-Type": "application/dicom", "Content-Length": "100"}, b"cut")
    scripted.answer = lambda _path, n: broken if n == 0 else (200, {"Content-Type": "application/dicom"}, b"whole")
    assert archive.fetch(OBJECT) == b"whole"
    assert len(waits) == 1


@pytest.mark.parametrize(
    ("make", "said"),
    [
        (lambda: WebArchive("pacs.example.org"), "no address of DICOMweb"),
        (lambda: WebArchive("ftp://pacs.example.org/"), "no address of DICOMweb"),
        (lambda: WebArchive("https://pacs.example.org/dicom-web?x=1"), "no address of DICOMweb"),
        (lambda: WebArchive("https://pacs:port/"), "no address"),
        (lambda: WebArchive("https://ann:hunter2@pacs.example.org/"), "put it into --token-file"),
        (lambda: WebArchive("http://pacs.example.org/", "Bearer x"), "use https"),
    ],
)
def test_an_address_that_cannot_be_used(make: Callable[[], WebArchive], said: str) -> None:
    with pytest.raises(DicomWebError) as error:
        make()
    assert said in str(error.value)
    assert "hunter2" not in str(error.value)


def test_a_token_comes_from_a_file(tmp_path: Path) -> None:
    file = tmp_path / "token"
    for written, expected in (
        (b"abc.def\n", "Bearer abc.def"),
        (b"Basic YTpi", "Basic YTpi"),
        (b"Bearer t", "Bearer t"),
    ):
        file.write_bytes(written)
        assert read_token(file) == expected
    for bad in (b"", b"\n", b"two\nlines", b"\xff\xfe", b"a\0b"):
        file.write_bytes(bad)
        with pytest.raises(DicomWebError, match="holds no token") as error:
            read_token(file)
        assert "two" not in str(error.value)
