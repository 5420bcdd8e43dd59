from __future__ import annotations

import datetime
import json
from collections.abc import Iterator, Sequence
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest
from fhir.resources.R4B.bundle import Bundle
from hypothesis import given, settings
from hypothesis import strategies as st

from dermquery.answer.fhir import hits_fhir
from dermquery.answer.formats import write_report
from dermquery.data.case import Case
from dermquery.data.image_quality import ImageWarning
from dermquery.data.viewer import Viewer
from dermquery.store.casebase import CaseBase
from dermquery.store.hits import RESEARCH_USE, SearchResult

STUDY, SERIES = "2.25.101", "2.25.102"
PLANTED = (
    "MRN-4711",
    "DOE-JANE",
    "LES-0815",
    "KLINIK-SUED",
    "2019-04-17",
    "called Jane Doe",
    "ward 7b",
    "Jane's query",
)
"""What would name somebody: ids of case, patient and lesion, source, date, free texts of case, column and query."""


WORDS = (
    "diagnosis", "fine_diagnosis", "diagnosis_path", "sex", "site", "laterality", "licence", "attribution",
    "image_type", "confirmed_by", "study_uid", "series_uid", "instance_uid", "source", "lesion_id", "patient_id",
)  # fmt: skip


@pytest.fixture(scope="module")
def result(base: CaseBase, cases: Sequence[Case]) -> SearchResult:
    """Hits of which two are of one patient, one of them fully described with planted names."""
    text = f"irregular streaks {PLANTED[7]}"
    found = base.search(image=cases[1].image, text=text, checklist={"pigment_network": "atypical"})
    named = {"patient_id": PLANTED[1], "source": PLANTED[3]}
    full: dict[str, Any] = {
        "case_id": PLANTED[0], "lesion_id": PLANTED[2], "date": datetime.date.fromisoformat(PLANTED[4]),
        "text": PLANTED[5], "extra": {"ward": PLANTED[6]}, "diagnosis": "mel", "sex": "female", "age": 97.0,
        "site": "back", "laterality": "left", "image_type": "dermoscopic", "confirmed_by": "histopathology",
        "diagnosis_path": "Malignant:Melanoma", "licence": "CC-BY", "attribution": "A clinic",
        "study_uid": STUDY, "series_uid": SERIES, "checklist": {"streaks": "irregular"},
    }  # fmt: skip
    other = {"study_uid": STUDY, "series_uid": "2.25.103", "image_type": "clinical: close-up"}
    first, second, *rest = found.hits
    changed = (
        replace(first, case=first.case.model_copy(update=named | full)),
        replace(second, case=second.case.model_copy(update=named | other)),
    )
    return replace(found, hits=(*changed, *rest)).with_links(Viewer("https://pacs.example.org/v?study={study}"))


@pytest.fixture(scope="module")
def bundle(result: SearchResult) -> dict[str, Any]:
    found: dict[str, Any] = json.loads(hits_fhir(result, [ImageWarning("blurred", f"as {PLANTED[0]}", 0.6, 0.48)]))
    return found


def of_type(bundle: dict[str, Any], kind: str) -> list[dict[str, Any]]:
    return [entry["resource"] for entry in bundle["entry"] if entry["resource"]["resourceType"] == kind]


def references(value: Any) -> Iterator[str]:
    if isinstance(value, dict):
        yield from [value["reference"]] if isinstance(value.get("reference"), str) else []
        value = list(value.values())
    if isinstance(value, list):
        for one in value:
            yield from references(one)


def similar(bundle: dict[str, Any]) -> list[dict[str, Any]]:
    """The observations that stand for hits, in the order of the list."""
    by_url = {entry["fullUrl"]: entry["resource"] for entry in bundle["entry"]}
    return [by_url[entry["item"]["reference"]] for entry in of_type(bundle, "List")[0]["entry"]]


def value_of(observation: dict[str, Any], code: str) -> Any:
    for part in observation["component"]:
        if part["code"]["coding"][0]["code"] == code:
            return next(value for name, value in part.items() if name.startswith("value"))
    return None


def test_it_is_a_bundle_of_r4b_whose_references_lead_somewhere(bundle: dict[str, Any], result: SearchResult) -> None:
    Bundle.model_validate(bundle)
    urls = [entry["fullUrl"] for entry in bundle["entry"]]
    assert len(urls) == len(set(urls))
    assert set(references(bundle)) <= set(urls)
    assert {entry["resource"].get("status", "preliminary") for entry in bundle["entry"]} == {
        "preliminary", "current", "available",
    }  # fmt: skip


def test_the_list_has_the_hits_in_their_order(bundle: dict[str, Any], result: SearchResult) -> None:
    hits = similar(bundle)
    assert [value_of(hit, "rank") for hit in hits] == [hit.rank for hit in result.hits]
    assert [hit["valueQuantity"]["value"] for hit in hits] == [round(hit.score, 6) for hit in result.hits]
    assert value_of(hits[0], "diagnosis")["text"] == "Melanoma"
    assert value_of(hits[0], "confirmed-by") == "histopathology"
    assert value_of(hits[0], "age")["value"] == 90.0
    assert hits[0]["note"][0]["text"] == "CC-BY, A clinic"
    lesion = next(e["resource"] for e in bundle["entry"] if e["fullUrl"] == hits[0]["focus"][0]["reference"])
    assert lesion["location"]["coding"] == [{"system": "http://snomed.info/sct", "code": "66643007", "display": "back"}]
    assert lesion["locationQualifier"][0]["coding"][0]["code"] == "7771000"


def test_every_criterion_is_an_observation(bundle: dict[str, Any], result: SearchResult) -> None:
    asked = of_type(bundle, "DiagnosticReport")[0]["result"]
    by_url = {entry["fullUrl"]: entry["resource"] for entry in bundle["entry"]}
    *criteria, score = (by_url[reference["reference"]] for reference in asked)
    values = {o["code"]["coding"][0]["code"]: o["valueCodeableConcept"]["text"] for o in criteria}
    assert values == dict(result.terms)
    assert len(score["derivedFrom"]) == len(criteria)
    for hit, observation in zip(result.hits, similar(bundle), strict=True):
        assert len(observation.get("hasMember", [])) == len(hit.case.checklist)


def test_the_report_is_preliminary_and_for_research(bundle: dict[str, Any]) -> None:
    report = of_type(bundle, "DiagnosticReport")[0]
    assert report["status"] == "preliminary"
    assert RESEARCH_USE in report["conclusion"]
    assert "blurred" in report["conclusion"]


def test_no_id_date_or_word_of_a_case_or_query_is_in_it(result: SearchResult, tmp_path: Path) -> None:
    warning = ImageWarning("blurred", f"It is in the base as case {PLANTED[0]}.", 1.0, 1.0)
    written = write_report(result, tmp_path / "x.fhir.json", warnings=[warning]).read_bytes()
    assert [planted for planted in PLANTED if planted.encode() in written] == []
    ids = {value for hit in result.hits for value in (hit.case.case_id, hit.case.lesion_id, hit.case.patient_id)}
    assert [value for value in ids if value and json.dumps(value).encode() in written] == []
    assert result.base.uri.encode() not in written


def test_hits_of_one_patient_share_it_and_their_study(bundle: dict[str, Any], result: SearchResult) -> None:
    first, second = similar(bundle)[:2]
    assert first["subject"] == second["subject"]
    assert first["derivedFrom"] == second["derivedFrom"]
    (study,) = of_type(bundle, "ImagingStudy")
    assert study["identifier"] == [{"system": "urn:dicom:uid", "value": f"urn:oid:{STUDY}"}]
    assert [series["uid"] for series in study["series"]] == [SERIES, "2.25.103"]
    assert [modality["code"] for modality in study["modality"]] == ["DMS", "XC"]
    opened = {"text": f"Viewer: https://pacs.example.org/v?study={STUDY}"}
    assert opened in first["note"]
    assert opened in second["note"]
    people = {hit.case.patient_id or hit.case.group for hit in result.hits}
    assert len(of_type(bundle, "Patient")) == len(people)


def test_one_number_of_two_patients_is_two_lesions_and_one_of_the_archive_the_same_in_all(result: SearchResult) -> None:
    def bundled(*facts: dict[str, Any]) -> dict[str, Any]:
        hits = [
            replace(hit, case=hit.case.model_copy(update=each)) for hit, each in zip(result.hits, facts, strict=False)
        ]
        found: dict[str, Any] = json.loads(hits_fhir(replace(result, hits=tuple(hits))))
        return found

    blank = dict.fromkeys(WORDS)
    numbered = bundled(*(blank | {"source": "A", "lesion_id": "1", "patient_id": who} for who in ("p", "q")))
    owners = [structure["patient"]["reference"] for structure in of_type(numbered, "BodyStructure")]
    assert len(set(owners)) == len(owners) == 2
    archive = {"lesion_id": "IL_1234567", "patient_id": "IP_1234567"}
    first, second = ({"source": "A"}, {"source": "B", "sex": "female", "site": "back"})
    one = bundled(blank | archive | first, blank | archive | second)
    (patient,), (structure,) = of_type(one, "Patient"), of_type(one, "BodyStructure")
    assert patient["gender"] == "female", "what the first does not say, the second does"
    assert structure["location"]["text"] == "back"


def test_no_two_answers_share_an_id(result: SearchResult) -> None:
    one, other = (json.loads(hits_fhir(result)) for _ in range(2))
    assert {entry["fullUrl"] for entry in one["entry"]}.isdisjoint(entry["fullUrl"] for entry in other["entry"])


_WORDS = st.text(max_size=20) | st.sampled_from([" ", "two  blanks", "\t", "a\0b", "x" * 300, "1.2.3", "é\u2028"])


@given(st.fixed_dictionaries({}, optional=dict.fromkeys(WORDS, _WORDS)), st.floats(0, 130))
@settings(max_examples=40)
def test_whatever_a_table_holds_gives_a_bundle_of_r4b(result: SearchResult, words: dict[str, str], age: float) -> None:
    case = result.hits[0].case.model_copy(update={"age": age, **words})
    found = replace(result, hits=(replace(result.hits[0], case=case),))
    Bundle.model_validate_json(hits_fhir(found))


def test_an_answer_without_hits_says_so(result: SearchResult) -> None:
    bundle = json.loads(hits_fhir(replace(result, hits=())))
    Bundle.model_validate(bundle)
    assert of_type(bundle, "List")[0]["emptyReason"]["text"] == "no case found"
