from __future__ import annotations

import io
import json
from collections.abc import Sequence
from pathlib import Path

import httpx
import numpy as np
import pytest
from PIL import Image
from typer.testing import CliRunner

from dermquery.answer.content import Warned
from dermquery.cli import app as program
from dermquery.client import ApiError, Client
from dermquery.data.case import Case
from dermquery.data.decoding import Decoders
from dermquery.data.image_quality import check_image
from dermquery.model.parts import Weights
from dermquery.serve.api.search_schemas import SearchAnswer
from dermquery.serve.settings import ServeSettings
from dermquery.store.casebase import CaseBase
from dermquery.store.hits import RESEARCH_USE, SearchResult
from dermquery.store.likeness import Likeness, encode_alone
from dermquery.store.where import parse_where
from tests.data.dicom.made import dermoscopic, put_pixels
from tests.data.dicom.made import written as file_of
from tests.serve.conftest import Served, serving
from tests.store.conftest import make_cases
from tests.store.encoder import ProjectionEncoder
from tests.waiting import until


def ranking(answer: SearchAnswer) -> list[tuple[int, str, float]]:
    return [(hit.rank, hit.case.case_id, round(hit.score, 6)) for hit in answer.hits]


def ranking_of(result: SearchResult) -> list[tuple[int, str, float]]:
    return [(hit.rank, hit.case.case_id, round(hit.score, 6)) for hit in result.hits]


def image_of(case: Case) -> bytes:
    return case.image.read_bytes()


def test_command_line_http_and_python_give_the_same_answer(served: Served, client: Client, tmp_path: Path) -> None:
    image, text, terms = served.cases[7].image, "irregular streaks", {"pigment_network": "atypical"}
    where, options = (
        ["age>=21", "site!=chest"],
        {"top_k": 7, "local_weight": 0.35, "exclude_case": "case-008", "weights": "paper"},
    )
    expected = served.base.search(image, text, terms, where, **options)  # type: ignore[arg-type]
    answer = client.search(image, text, terms, where=where, **options)  # type: ignore[arg-type]
    out = tmp_path / "out.json"
    arguments = [
        "search", "--base", served.base.uri, "--image", image, "--text", text, "--term", "pigment_network=atypical",
        "--where", where[0], "--where", where[1], "--top-k", 7, "--local-weight", 0.35, "--exclude-case", "case-008",
        "--preset", "paper", "--json", out,
    ]  # fmt: skip
    assert CliRunner().invoke(program, [str(argument) for argument in arguments]).exit_code == 0
    printed = [(h["rank"], h["case_id"], round(h["score"], 6)) for h in json.loads(out.read_text())["hits"]]
    assert len(expected.hits) == 7
    assert ranking(answer) == ranking_of(expected) == printed
    for mine, theirs in zip(answer.hits, expected.hits, strict=True):
        assert (mine.local, mine.global_) == pytest.approx((theirs.local, theirs.global_), abs=1e-6)
        assert mine.score == pytest.approx(0.35 * mine.local + 0.65 * mine.global_, abs=1e-6)
        assert (dict(mine.shared_criteria), dict(mine.differing_criteria)) == (
            dict(theirs.shared_criteria),
            dict(theirs.differing_criteria),
        )
    assert (answer.candidates, answer.count) == (expected.n_candidates, 24)


def test_a_dicom_object_is_searched_by_its_picture(served: Served, client: Client, tmp_path: Path) -> None:
    """By upload and by command, and the same as the picture that it holds; nothing of it comes back."""
    picture = np.asarray(Image.open(served.cases[3].image).convert("RGB"))
    made = dermoscopic(PatientName="Muster^Anna", SOPInstanceUID="1.2.739.14628.1")
    (tmp_path / "x.dcm").write_bytes(file_of(put_pixels(made, picture)))
    answer = client.search(tmp_path / "x.dcm", top_k=3)
    expected = served.base.search(served.cases[3].image, top_k=3)
    assert ranking(answer) == ranking_of(expected)
    assert "Muster" not in answer.model_dump_json()
    out = tmp_path / "out.json"
    arguments = ["search", "--base", served.base.uri, "--image", tmp_path / "x.dcm", "--top-k", 3, "--json", out]
    assert CliRunner().invoke(program, [str(argument) for argument in arguments]).exit_code == 0
    assert [hit["case_id"] for hit in json.loads(out.read_text())["hits"]] == [hit.case.case_id for hit in answer.hits]
    with pytest.raises(ApiError, match="without pixels: Comprehensive SR Storage"):
        report = dermoscopic(SOPClassUID="1.2.840.10008.5.1.4.1.1.88.33")
        del report.PixelData
        client.search(file_of(report))


def test_an_answer_says_what_it_read_and_what_it_is_for(served: Served, client: Client) -> None:
    answer = client.search(image_of(served.cases[0]), "atypical network; rosettes seen; veil?", top_k=4)
    assert answer.notice == RESEARCH_USE
    assert answer.query.terms == {"pigment_network": "atypical"}
    assert answer.query.unread == ("rosettes seen",)
    assert [remark.question for remark in answer.query.uncertain] == ["blue-whitish veil: present or absent?"]
    assert (answer.query.language, answer.query.conflicts, answer.query.incomplete) == ("en", (), ())
    assert answer.query.seven_point_score == 2
    assert sum(share.hits for share in answer.diagnoses) == 4
    assert sum(share.base for share in answer.diagnoses) == 24
    assert {share.share_of_base for share in answer.diagnoses} == {0.25}
    assert sum(share.share_of_hits for share in answer.diagnoses) == pytest.approx(1)


def test_a_search_is_ranked_again_without_the_network(served: Served, client: Client) -> None:
    image, encodings = served.cases[3].image, served.service.metrics.encodings
    first = client.search(image, "irregular streaks", top_k=3)
    before = encodings._value.get()
    for weight in (0.0, 0.5, 1.0):
        again = client.rerank(first.search, local_weight=weight, top_k=24)
        assert ranking(again) == ranking_of(
            served.base.search(image, "irregular streaks", local_weight=weight, top_k=24)
        )
    pages = [client.rerank(first.search, top_k=5, offset=offset) for offset in (0, 5, 10)]
    whole = client.rerank(first.search, top_k=15)
    assert [pair for page in pages for pair in ranking(page)] == ranking(whole)
    assert client.rerank(first.search, offset=24).hits == ()
    narrow = client.rerank(first.search, where=["site=back"], top_k=24)
    assert {hit.case.site for hit in narrow.hits} == {"back"}
    assert encodings._value.get() == before


def test_filters_as_clauses_and_as_a_tree_mean_the_same(client: Client) -> None:
    clauses = ["site=back,chest", "age>=25", "diagnosis!=nv"]
    written = client.search(text="atypical network", where=clauses, top_k=24)
    typed = client.search(text="atypical network", where=parse_where(clauses), top_k=24)
    assert ranking(written) == ranking(typed)
    assert 0 < len(written.hits) < 24
    assert ranking(client.rerank(written.search, where=parse_where(clauses), top_k=24)) == ranking(written)


def test_clauses_are_read_by_what_the_base_holds_and_a_finding_can_be_demanded(client: Client) -> None:
    demanded = client.search(text="no streaks", must=["streaks=irregular"], where=["SITE=Back"], top_k=24)
    assert {hit.case.checklist["streaks"] for hit in demanded.hits} == {"irregular"}
    assert {hit.case.site for hit in demanded.hits} == {"back"}
    again = client.rerank(demanded.search, must="streaks=absent", top_k=24)
    assert {hit.case.checklist["streaks"] for hit in again.hits} == {"absent"}
    (only,) = client.search(text="no streaks", where=["camera=MODEL 3"]).hits
    assert only.case.case_id == "case-003"
    assert [case.case_id for case in client.cases(["camera=model 3"])] == ["case-003"]
    with pytest.raises(ApiError, match="no case has the site 'knee'; there are: back"):
        client.search(text="no streaks", where=["site=knee"])
    with pytest.raises(ApiError, match="cannot demand 'site=back'"):
        client.search(text="no streaks", must=["site=back"])


def test_what_is_excluded_is_not_found(served: Served, client: Client) -> None:
    answer = client.search(
        image_of(served.cases[0]), top_k=24, exclude_case=["case-000", "case-002"], exclude_lesion="lesion-2",
        exclude_patient=["patient-2"],
    )  # fmt: skip
    found = {hit.case.case_id for hit in answer.hits}
    gone = {c.case_id for c in served.cases if c.lesion_id == "lesion-2" or c.patient_id == "patient-2"}
    assert found == {case.case_id for case in served.cases} - gone - {"case-000", "case-002"}
    for kind in ("case", "lesion", "patient"):
        with pytest.raises(ApiError, match=f"there is no {kind} 'case_000'") as caught:
            client.search(text="no streaks", **{f"exclude_{kind}": "case_000"})  # type: ignore[arg-type]
        assert caught.value.status == 422


def test_more_like_a_case_leaves_out_its_own_lesion_and_patient(served: Served, client: Client) -> None:
    case = served.cases[9]
    answer = client.similar(case.case_id, weights="paper", top_k=24)
    others = {c.case_id for c in served.cases if not c.same_lesion(case) and c.patient_id != case.patient_id}
    assert {hit.case.case_id for hit in answer.hits} == others
    assert answer.query.like == case.case_id
    vectors = served.base.store.get([case.case_id, answer.hits[0].case.case_id])
    expected = served.base.manifest.layout.score(
        vectors[case.case_id].vector[None], vectors[answer.hits[0].case.case_id].vector[None]
    )
    assert answer.hits[0].score == pytest.approx(float(expected[0, 0]), abs=1e-5)


def test_marks_move_the_query(served: Served, client: Client) -> None:
    first = client.search(image_of(served.cases[0]), top_k=24)
    last = first.hits[-1].case.case_id
    moved = client.feedback(first.search, relevant=[last], irrelevant=[first.hits[0].case.case_id], top_k=24)
    assert moved.search != first.search
    assert moved.query.relevant == (last,)
    rows = served.base.store.get([last, first.hits[0].case.case_id])
    near, far = (rows[case_id].vector[None] for case_id in (last, first.hits[0].case.case_id))
    expected = served.base.encode(image_of(served.cases[0])).moved(served.base.manifest.layout, near, far)
    assert ranking(moved) == ranking_of(served.base.search_encoded(expected, top_k=24))
    assert ranking(moved) != ranking(first)
    assert ranking(client.rerank(first.search, top_k=24)) == ranking(first)


def test_overlays_have_the_aspect_of_their_images_and_differ_by_level(served: Served, client: Client) -> None:
    wide = io.BytesIO()
    Image.open(served.cases[5].image).resize((90, 60)).save(wide, "PNG")
    answer = client.search(wide.getvalue(), "atypical network")
    hit = answer.hits[0].case.case_id
    drawn = {level: client.overlay(answer.search, hit, level=level) for level in (None, *served.base.manifest.levels)}
    assert len(set(drawn.values())) == 4
    for data in drawn.values():
        with Image.open(io.BytesIO(data)) as veil:
            assert (veil.mode, veil.size) == ("RGBA", (512, 512))
            assert np.asarray(veil)[..., :3].max() == 0
    with Image.open(io.BytesIO(client.overlay(answer.search, hit, over="query"))) as veil:
        assert veil.size == (512, 341)
    with pytest.raises(ApiError, match="unknown level 'deep'; use one of: low, middle, high"):
        client.overlay(answer.search, hit, level="deep")
    blind = client.search(text="atypical network")
    with pytest.raises(ApiError, match="the query has no image to lay evidence over"):
        client.overlay(blind.search, hit, over="query")


@pytest.mark.parametrize(
    ("asked", "status", "words"),
    [
        ({}, 422, "the query is empty: give an image, a text or checklist terms"),
        ({"text": "hello"}, 422, "names no finding of the seven-point checklist"),
        ({"term": "streaks"}, 422, "cannot read the term 'streaks'; write for example pigment_network=atypical"),
        ({"term": ["streaks=absent", "streaks=regular"]}, 422, "two values for streaks"),
        ({"term": "streaks=wild"}, 422, "unknown value 'wild' for streaks; use one of: absent, regular, irregular"),
        ({"term": "colour=red"}, 422, "unknown checklist criterion 'colour'"),
        ({"text": "no streaks", "where": "sight=back"}, 422, "unknown field 'sight' in 'sight=back'; use one of:"),
        ({"text": "no streaks", "filter": '{"kind": "equals"}'}, 422, "filter"),
        ({"text": "no streaks", "filter": "{"}, 422, "filter: is not valid JSON"),
        ({"text": "no streaks", "top_k": 101}, 422, "top_k: Input should be less than or equal to 100"),
        ({"text": "no streaks", "local_weight": 1.5}, 422, "local_weight: Input should be less than or equal to 1"),
        ({"text": "no streaks", "offset": 901}, 422, "offset"),
        ({"text": "no streaks", "colour": "red"}, 422, "colour: Extra inputs are not permitted"),
    ],
)
def test_bad_input_gets_one_problem_with_the_value_and_the_remedy(
    served: Served, asked: dict[str, object], status: int, words: str
) -> None:
    answer = httpx.post(f"{served.url}/api/v1/searches", data=asked)
    assert answer.status_code == status
    assert answer.headers["content-type"] == "application/problem+json"
    problem = answer.json()
    assert words in problem["detail"]
    assert {"type", "title", "status", "detail", "instance"} <= problem.keys()


@pytest.mark.parametrize("data", [b"", b"not an image", b"\x89PNG\r\n\x1a\n" + b"\0" * 40, b"%PDF-1.7"])
def test_bad_images_are_refused_with_the_reason(client: Client, data: bytes) -> None:
    with pytest.raises(ApiError) as caught:
        client.search(data)
    assert (caught.value.status, caught.value.title) == (422, "Image cannot be used")


def test_an_image_of_too_many_pixels_is_refused_before_it_is_decoded(own: Served) -> None:
    own.service._decoders.close()
    own.service._decoders = Decoders(1, max_pixels=1000)
    with Client(own.url) as client, pytest.raises(ApiError, match="48 × 48 pixels are more than the limit of 1,000"):
        client.search(image_of(own.cases[0]))


def test_a_search_belongs_to_who_asked(served: Served, client: Client) -> None:
    prepared = served.service.encode("somebody else", None, "no streaks", {})
    for key in (prepared.key, "nothing", "..%2F.."):
        with pytest.raises(ApiError, match="this search is not kept any more") as caught:
            client.rerank(key)
        assert caught.value.status == 404


def test_nothing_that_is_sent_names_a_path_or_is_logged(
    served: Served, client: Client, caplog: pytest.LogCaptureFixture
) -> None:
    text = "blue-whitish veil of Mrs Zyzzyva"
    answer = client.search(image_of(served.cases[1]), text, top_k=24)
    similar = client.similar("case-003", top_k=24)
    sent: Sequence[str] = [
        answer.model_dump_json(), similar.model_dump_json(), client.info().model_dump_json(),
        *(case.model_dump_json() for case in client.cases()),
    ]  # fmt: skip
    root = str(Path(served.base.uri).parent)
    assert not [text for text in sent if root in text or "/images/" in text]
    for ending in ("json", "csv", "html", "pdf", "fhir.json"):
        file = httpx.get(f"{served.url}/api/v1/searches/{answer.search}/hits.{ending}").content
        assert root.encode() not in file, ending
    kept = "".join(path.read_text() for path in (served.state / "audit").glob("*.jsonl"))
    assert answer.search in kept
    assert answer.query.image_sha256 is not None
    assert answer.query.image_sha256 in kept
    metrics = httpx.get(f"{served.url}/metrics").text
    for written in (kept, metrics, caplog.text):
        assert "Zyzzyva" not in written
    assert not (served.state / "queries").exists()


def test_query_images_are_kept_by_hash_only_where_that_is_configured(tmp_path: Path, own: Served) -> None:
    from dermquery.serve.service import SearchService

    settings = ServeSettings(base="keeping", state=tmp_path / "keeping", keep_query_images=True)
    service = SearchService(own.base, settings)
    camera = io.BytesIO()
    with Image.open(own.cases[0].image) as image:
        exif = image.getexif()
        exif[0x010F] = "camera of Mrs Zyzzyva"
        image.save(camera, "JPEG", exif=exif)
    prepared = service.encode("me", camera.getvalue(), None, {})
    kept = [path for path in (tmp_path / "keeping" / "queries").rglob("*") if path.is_file()]
    assert [path.stem for path in kept] == [prepared.sha256]
    assert kept[0].read_bytes() == prepared.image
    assert b"Zyzzyva" in camera.getvalue()
    assert b"Zyzzyva" not in kept[0].read_bytes()
    service.close()


def test_marks_that_contradict_or_name_nothing_are_refused(client: Client) -> None:
    first = client.search(text="no streaks")
    for relevant, irrelevant, words in (
        (["case-001"], ["case-001"], "marked as relevant and as irrelevant"),
        ([], [], "no case is marked"),
        (["nobody"], [], "the base has no case 'nobody'"),
    ):
        with pytest.raises(ApiError, match=words):
            client.feedback(first.search, relevant, irrelevant)


def test_warnings_stand_beside_the_hits(tmp_path: Path) -> None:
    base = CaseBase.create(tmp_path / "base", ProjectionEncoder())
    base.add(make_cases(tmp_path / "cases", 130))
    likeness = Likeness.of(base)
    noise = Image.fromarray(np.random.default_rng(1).integers(0, 255, (9, 9, 3), np.uint8)).resize((300, 300))
    buffer = io.BytesIO()
    noise.save(buffer, "PNG")
    alone = encode_alone(base, noise)
    with serving(base, tmp_path / "state") as served, Client(served.url) as client:
        until(lambda: served.service._cautions._likeness is not None)
        answer = client.search(buffer.getvalue(), "no streaks")
        for weight in (0.0, 0.6, 1.0):
            expected: list[Warned | None] = [
                *check_image(noise),
                likeness.judge(alone, Weights(meaning=1, local_weight=weight)),
            ]
            said = client.rerank(answer.search, local_weight=weight).warnings
            assert [(w.kind, w.message) for w in said] == [(w.kind, w.message) for w in expected if w is not None]
        assert "unlike the base" in {warning.kind for warning in answer.warnings}
        assert client.search(text="no streaks").warnings == ()
        kinds = {warning.kind for warning in client.search(tmp_path / "cases" / "images" / "003.png").warnings}
        assert "unlike the base" not in kinds


def test_presets_and_weights_of_ones_own(served: Served, client: Client) -> None:
    image, terms = image_of(served.cases[5]), {"streaks": "irregular"}
    info = client.info()
    assert (info.preset, set(info.presets)) == ("balanced", {"balanced", "paper", "same findings", "look-alikes"})
    first = client.search(image, checklist=terms, weights="same findings", top_k=5)
    assert first.preset == "same findings"
    assert first.hits[0].same_image
    for asked in ("paper", "meaning=1,findings=.5", Weights(meaning=1, findings=2, local_weight=0.2)):
        expected = served.base.search(image, checklist=terms, weights=asked, top_k=5)
        sent = client.search(image, checklist=terms, weights=asked, top_k=5)
        again = client.rerank(first.search, weights=asked, top_k=5)
        assert ranking(sent) == ranking(again) == ranking_of(expected)
        assert (again.preset, again.weights) == (expected.preset, expected.weights)
        for mine, theirs in zip(again.hits, expected.hits, strict=True):
            assert (mine.meaning, mine.findings, mine.look) == tuple(theirs.parts.values())
            assert dict(mine.closer_than) == dict(theirs.closer_than)
    url = f"/api/v1/searches/{first.search}"
    for named in ({"findings": 0.5}, {"look": 1}, {"meaning": 1, "posterior": 0}):
        as_text = client.rerank(first.search, weights=",".join(f"{name}={value}" for name, value in named.items()))
        sent = client._ask("POST", url, json={"weights": named}).json()
        assert sent["hits"] == [hit.model_dump(mode="json", by_alias=True) for hit in as_text.hits]
        assert sent["weights"] == as_text.weights.model_dump()
    for wrong in ([1, 0, 0], {"meaning": "much"}, 1, {"meaning": None}):
        with pytest.raises(
            ApiError, match=r'weights: give the name of a preset, "meaning=1,findings=.5,look=.3", or an'
        ):
            client._ask("POST", url, json={"weights": wrong})
    for refused, said in (({"meaning": -1}, "or equal to 0; got -1"), ({"mening": 1}, "cannot read the weights")):
        with pytest.raises(ApiError, match=said):
            client._ask("POST", url, json={"weights": refused})
    with pytest.raises(ApiError, match="cannot read the weights 'best'; give the name of a preset"):
        client.rerank(first.search, weights="best")
