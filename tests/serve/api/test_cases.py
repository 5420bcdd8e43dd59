from __future__ import annotations

import io
import json
import socket
from pathlib import Path
from urllib.parse import quote, urlsplit

import httpx
import numpy as np
import pytest
from hypothesis import HealthCheck, example, given, settings
from hypothesis import strategies as st
from PIL import Image, ImageCms, PngImagePlugin

from dermquery.client import ApiError, Client
from dermquery.data.case import Case
from dermquery.data.image import UprightImage
from dermquery.serve.api.schemas import case_url
from dermquery.serve.fields import CaseFields
from dermquery.serve.pictures import clean_picture
from dermquery.serve.service import SearchService
from dermquery.store.casebase import CaseBase
from tests.serve.conftest import Served, serving
from tests.store.encoder import ProjectionEncoder

PERSON = "Mrs Zyzzyva"


def photo(kind: str = "JPEG", orientation: int = 6) -> bytes:
    """An image that is full of metadata, 60 × 40 as stored."""
    pixels = np.random.default_rng(0).integers(0, 255, (5, 8, 3), np.uint8)
    image = Image.fromarray(pixels).resize((60, 40))
    exif = image.getexif()
    exif[0x010E], exif[0x0112], exif[0x9286] = PERSON, orientation, PERSON
    exif.get_ifd(0x8825)[0x001D] = f"2024:01:01 {PERSON}"
    profile = ImageCms.ImageCmsProfile(ImageCms.createProfile("sRGB")).tobytes()
    buffer = io.BytesIO()
    if kind == "PNG":
        text = PngImagePlugin.PngInfo()
        text.add_itxt("XML:com.adobe.xmp", f"<x>{PERSON}</x>")
        text.add_text("Comment", PERSON)
        image.save(buffer, kind, exif=exif, pnginfo=text, icc_profile=profile)
    elif kind == "TIFF":
        image.save(buffer, kind, description=PERSON, software=PERSON)
    else:
        image.save(
            buffer, kind, exif=exif, xmp=f"<x>{PERSON}</x>".encode(), comment=PERSON.encode(), icc_profile=profile
        )
    assert PERSON.encode() in buffer.getvalue()
    return buffer.getvalue()


def encodings(base: CaseBase) -> int:
    model = base.model
    assert isinstance(model, ProjectionEncoder)
    return model.encoded


def test_a_case_is_put_in_found_changed_and_taken_out(own: Served, own_client: Client) -> None:
    image = photo()
    fields = {"case_id": "clinic-17", "site": "back", "diagnosis": "mel", "checklist": {"streaks": "irregular"}}
    made = own_client.add(fields, image)
    assert made == own_client.case("clinic-17")
    assert (made.site, dict(made.checklist), made.age) == ("back", {"streaks": "irregular"}, None)
    assert own_client.search(image, top_k=1).hits[0].case.case_id == "clinic-17"

    before, vector = encodings(own.base), own.base.store.get(["clinic-17"])["clinic-17"].vector
    kept = {"checklist": fields["checklist"], "extra": {"ward": "7"}}
    changed = own_client.update("clinic-17", {"site": "chest", "age": 51, **kept})
    assert (changed.site, changed.age, changed.diagnosis, changed.extra) == ("chest", 51, None, {"ward": "7"})
    assert encodings(own.base) == before, "neither image nor findings changed"
    np.testing.assert_array_equal(own.base.store.get(["clinic-17"])["clinic-17"].vector, vector)

    other = photo("PNG", orientation=1)
    assert own_client.update("clinic-17", {"site": "chest"}, other).sha256 != changed.sha256
    assert encodings(own.base) == before + 1
    assert not np.array_equal(own.base.store.get(["clinic-17"])["clinic-17"].vector, vector)

    own_client.delete("clinic-17")
    for ask in (own_client.case, own_client.image, own_client.thumbnail, own_client.delete, own_client.similar):
        with pytest.raises(ApiError, match="the base has no case 'clinic-17'") as caught:
            ask("clinic-17")
        assert caught.value.status == 404
    assert len(own.base) == 12


def test_a_case_of_the_base_names_a_file_that_lasts(own: Served, own_client: Client, tmp_path: Path) -> None:
    own_client.add({"case_id": "new"}, photo())
    own_client.update("case-003", {"site": "scalp"})
    for case in own.cases:
        case.image.unlink()
    for case_id in ("new", "case-003"):
        row = own.base.store.get([case_id])[case_id]
        assert row.case.image.is_file()
        assert row.case.image.is_relative_to(tmp_path / "base")
        before = encodings(own.base)
        assert own_client.update(case_id, {"site": "back"}).site == "back"
        assert encodings(own.base) == before
    assert not [path for path in (own.state / "scratch").rglob("*") if path.is_file()]


def test_a_base_without_an_archive_keeps_uploads_beside_the_service(tmp_path: Path) -> None:
    base = CaseBase.create(tmp_path / "base", ProjectionEncoder(), images=False)
    with serving(base, tmp_path / "state") as served, Client(served.url) as client:
        client.add({"case_id": "a"}, photo())
        with Image.open(io.BytesIO(client.image("a"))) as image:
            assert image.size == (40, 60)
        with Image.open(io.BytesIO(client.thumbnail("a"))) as image:
            assert image.format == "JPEG"
        before = encodings(base)
        assert client.update("a", {"site": "back"}).site == "back"
        assert encodings(base) == before
        row = base.store.get(["a"])["a"]
        assert row.case.image.is_relative_to(tmp_path / "state" / "uploads")
        row.case.image.write_bytes(b"something else")
        with pytest.raises(ApiError, match="the image of case 'a' is not where it was kept"):
            client.thumbnail("a")


def test_an_id_that_is_taken_is_a_conflict_unless_it_is_to_be_replaced(own: Served, own_client: Client) -> None:
    with pytest.raises(ApiError, match="there is a case 'case-001' already") as caught:
        own_client.add({"case_id": "case-001"}, photo())
    assert caught.value.status == 409
    assert own_client.case("case-001").sha256 == own.base.store.get(["case-001"])["case-001"].stamp.sha256
    assert own_client.add({"case_id": "case-001"}, photo(), update=True).site is None
    assert len(own.base) == 12
    with pytest.raises(ApiError, match="the base has no case 'case-099'"):
        own_client.update("case-099", {"site": "back"})


@pytest.mark.parametrize(
    ("case", "words"),
    [
        ({}, "case.case_id: is missing; give it"),
        ({"case_id": ".."}, "must not be one dot or two"),
        ({"case_id": " a"}, "nor have blanks around it"),
        ({"case_id": "a\nb"}, "must hold no control character"),
        ({"case_id": "a", "image": "/etc/passwd"}, "case.image: Extra inputs are not permitted"),
        ({"case_id": "a", "age": 131}, "less than or equal to 130"),
        ({"case_id": "a", "date": "31.3.2024"}, "case.date"),
        ({"case_id": "a", "checklist": {"streaks": "wild"}}, "use one of: absent, regular, irregular"),
        ({"case_id": "a", "extra": {"site": "back"}}, "'site' is a field of its own; give it there"),
    ],
)
def test_a_case_that_cannot_be_described_so_is_refused(shared: Served, case: dict[str, object], words: str) -> None:
    with Client(shared.url) as client, pytest.raises(ApiError) as caught:
        client.add(case, photo())
    assert caught.value.status == 422
    assert words in caught.value.detail
    assert len(shared.base) == 4


def test_bad_images_are_refused_and_leave_nothing(shared: Served) -> None:
    with Client(shared.url) as client:
        for data in (b"", b"no image", photo()[:90]):
            with pytest.raises(ApiError) as caught:
                client.add({"case_id": "a"}, data)
            assert (caught.value.status, caught.value.title) == (422, "Image cannot be used")
            assert str(shared.state) not in caught.value.detail
    assert len(shared.base) == 4
    assert not [path for path in (shared.state / "scratch").rglob("*") if path.is_file()]


def test_the_fields_are_those_of_a_case() -> None:
    assert CaseFields.model_fields.keys() == Case.model_fields.keys() - {"image"}


_LETTERS = st.characters(exclude_categories=("Cs", "Cc"))
_IDS = st.text(_LETTERS, min_size=1, max_size=30).filter(lambda s: s == s.strip() and s not in (".", ".."))


@pytest.mark.slow
@settings(max_examples=20, suppress_health_check=[HealthCheck.function_scoped_fixture, HealthCheck.too_slow])
@given(_IDS)
@example("../../etc/passwd")
@example("a/b/image")
@example("100%2F50%25")
@example("?x=1#y;z&t")
@example("naïve ‮ π")
@example('a\'; drop -- "x"')
def test_a_case_id_may_have_any_letters(shared: Served, case_id: str) -> None:
    with Client(shared.url) as client:
        made = client.add({"case_id": case_id, "site": "back"}, photo())
        try:
            assert made.case_id == case_id
            assert client.case(case_id) == made
            assert httpx.get(shared.url + made.url).json()["case_id"] == case_id
            assert client.image(case_id) == httpx.get(shared.url + made.image_url).content
            assert client.thumbnail(case_id)[:2] == b"\xff\xd8"
            assert case_id not in {hit.case.case_id for hit in client.similar(case_id).hits}
            assert case_id not in {h.case.case_id for h in client.search(photo(), exclude_case=case_id).hits}
            assert case_id in {case.case_id for case in client.cases(["site=back"])}
        finally:
            client.delete(case_id)
        assert len(shared.base) == 4


def raw_get(url: str, path: str) -> tuple[int, bytes]:
    """A request whose path no client has tidied up."""
    place = urlsplit(url)
    with socket.create_connection((place.hostname, place.port)) as connection:
        request = f"GET {path} HTTP/1.1\r\nHost: {place.netloc}\r\nConnection: close\r\n\r\n"
        connection.sendall(request.encode())
        answer = b"".join(iter(lambda: connection.recv(65536), b""))
    return int(answer.split()[1]), answer


@pytest.mark.parametrize(
    "path",
    [
        "/api/v1/cases/../../../../etc/passwd/image",
        "/api/v1/cases/..%2F..%2F..%2F..%2Fetc%2Fpasswd/image",
        "/api/v1/cases/%2E%2E/image",
        "/api/v1/cases/%2Fetc%2Fpasswd/thumbnail",
        "/api/v1/cases/case-000%00.png/image",
        "/api/v1/cases/..%5C..%5Cetc/image",
        "/api/v1/cases/%C0%AE%C0%AE%2F/image",
        "/api/v1/cases//image",
        "/api/v1/cases/case-000/image/../../../../../etc/passwd",
        "/api/v1/searches/..%2F..%2Finfo/cases/case-000/overlay",
        "//etc/passwd",
    ],
)
def test_no_path_leads_out_of_the_base(shared: Served, path: str) -> None:
    status, answer = raw_get(shared.url, path)
    assert status in (404, 422)
    assert b"application/problem+json" in answer
    assert b"root:" not in answer


@pytest.mark.parametrize("kind", ["JPEG", "PNG", "TIFF"])
def test_images_are_served_upright_and_without_metadata(shared: Served, kind: str) -> None:
    data = photo(kind, orientation=6)
    with Client(shared.url) as client:
        client.add({"case_id": f"photo-{kind}"}, data)
        try:
            for served in (client.image(f"photo-{kind}"), client.thumbnail(f"photo-{kind}")):
                assert PERSON.encode() not in served
                for mark in (b"Exif", b"ICC_PROFILE", b"iCCP", b"eXIf", b"tEXt", b"iTXt", b"http://ns.adobe.com/xap"):
                    assert mark not in served
                with Image.open(io.BytesIO(served)) as image:
                    assert image.size == ((60, 40) if kind == "TIFF" else (40, 60))
                    assert not image.getexif()
        finally:
            client.delete(f"photo-{kind}")


def test_a_lossless_image_is_served_with_the_same_pixels() -> None:
    data = photo("PNG", orientation=1)
    picture = clean_picture(data, "0" * 64, UprightImage.of)
    with Image.open(io.BytesIO(data)) as before, Image.open(io.BytesIO(picture.data)) as after:
        np.testing.assert_array_equal(np.asarray(before), np.asarray(after))


def test_an_image_that_the_client_has_is_not_sent_again(shared: Served) -> None:
    url = f"{shared.url}{case_url('case-001')}"
    for kind in ("image", "thumbnail"):
        first = httpx.get(f"{url}/{kind}")
        tag = first.headers["etag"]
        assert shared.base.store.get(["case-001"])["case-001"].stamp.sha256 in tag
        assert first.headers["x-content-type-options"] == "nosniff"
        for header in (tag, f'W/{tag}, "other"', f'"other", {tag}'):
            again = httpx.get(f"{url}/{kind}", headers={"If-None-Match": header})
            assert (again.status_code, again.content) == (304, b"")
        assert httpx.get(f"{url}/{kind}", headers={"If-None-Match": '"other"'}).status_code == 200


def test_cases_are_listed_in_pages(served: Served, client: Client) -> None:
    expected = sorted(case.case_id for case in served.cases)
    assert [case.case_id for case in client.cases(page=5)] == expected
    backs = [case.case_id for case in served.cases if case.site == "back"]
    assert [case.case_id for case in client.cases(["site=back"], page=2)] == backs
    with pytest.raises(ApiError, match="unknown field 'sight'"):
        list(client.cases(["sight=back"]))


def test_values_of_a_field_are_counted(served: Served) -> None:
    counted = httpx.get(f"{served.url}/api/v1/fields/diagnosis").json()["values"]
    assert {entry["value"]: entry["count"] for entry in counted} == {"nv": 6, "mel": 6, "bkl": 6, None: 6}
    assert httpx.get(f"{served.url}/api/v1/fields/image").status_code == 422


def test_info_says_what_can_be_asked(served: Served, client: Client) -> None:
    info = client.info()
    assert (info.model, info.model_hash, info.count) == ("demo", served.base.manifest.model_hash, 24)
    assert info.levels == ("low", "middle", "high")
    assert info.explains
    assert len(info.checklist) == 7


def test_a_search_with_an_encoder_that_cannot_explain_says_so(shared: Served) -> None:
    with Client(shared.url) as client:
        assert not client.info().explains
        key = client.search(photo()).search
        with pytest.raises(ApiError, match="the model 'projection-0' cannot explain a similarity"):
            client.overlay(key, "case-001")


def test_every_change_is_in_the_audit_log(own: Served, own_client: Client) -> None:
    own_client.add({"case_id": "new"}, photo())
    own_client.update("new", {"site": "back"})
    own_client.image("new")
    own_client.delete("new")
    lines = [json.loads(line) for path in (own.state / "audit").glob("*.jsonl") for line in path.open()]
    assert [(line["event"], line["principal"]) for line in lines if line.get("case") == "new"] == [
        ("add", "local"),
        ("update", "local"),
        ("view", "local"),
        ("delete", "local"),
    ]


def test_who_lists_cases_is_in_the_audit_log(own: Served, own_client: Client) -> None:
    listed = [found.case_id for found in own_client.cases(page=5)]
    lines = [json.loads(line) for path in (own.state / "audit").glob("*.jsonl") for line in path.open()]
    views = [(line["what"], line["cases"]) for line in lines if line["event"] == "view"]
    assert views == [("list", listed[:5]), ("list", listed[5:10]), ("list", listed[10:])]


def test_the_url_of_a_case_is_one_segment() -> None:
    assert case_url("a/b c%é") == f"/api/v1/cases/{quote('a/b c%é', safe='')}"
    assert case_url("a/b").count("/") == 4


def test_under_a_proxys_path_addresses_have_it(tmp_path: Path) -> None:
    base = CaseBase.create(tmp_path / "base", ProjectionEncoder())
    with serving(base, tmp_path / "state", root_path="/derm") as served:
        with Client(f"{served.url}/derm") as client:
            made = client.add({"case_id": "a/b"}, photo())
            assert made.url == "/derm/api/v1/cases/a%2Fb"
            assert httpx.get(served.url + made.image_url).content == client.image("a/b")
            assert client.search(photo()).hits[0].case.url == made.url
        document = httpx.get(f"{served.url}/derm/api/v1/openapi.json").json()
        assert document["servers"] == [{"url": "/derm"}]


def test_the_service_writes_by_itself_too(tmp_path: Path, own: Served) -> None:
    service: SearchService = own.service
    _, added = service.writer.put(CaseFields(case_id="direct"), photo())
    assert added
    assert service.writer.delete(["direct", "nobody"]) == 1
