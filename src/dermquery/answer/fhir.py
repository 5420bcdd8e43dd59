"""The answer as a FHIR R4B bundle, for systems that take findings and reports in no other form.

It says what was asked and what was found, and not whom it is about: a hit list crosses patients. Ids of cases, lesions
and patients, dates, free text, columns of one's own and folders stay here; within the bundle resources have random ids,
hits of one patient or lesion share one, and ages are capped at 90. What leads back is the rank and, where the base has
them, the UIDs of study, series and instance (as the base has them: pseudonymous where the import de-identified).

Plain JSON: fhir.resources, which validates it in the tests, would only make the same dictionaries.
"""

from __future__ import annotations

import json
import re
import uuid
from collections.abc import Mapping, Sequence
from datetime import UTC, datetime
from typing import Any

from dermquery import __version__
from dermquery.answer.content import NO_DIAGNOSIS, SCORE_HINT, HitContent, Warned, report_content
from dermquery.answer.formats import ReportFormat
from dermquery.answer.language import ENGLISH, speaking
from dermquery.answer.ranking_words import findings_scale
from dermquery.data.case import Case
from dermquery.data.checklist import CRITERIA, seven_point_score
from dermquery.data.vocabulary.sites import SITES
from dermquery.store.hits import RESEARCH_USE, SearchResult

__all__ = ["FHIR", "hits_fhir"]

Json = dict[str, Any]
_CHECKLIST, _OWN = "urn:dermquery:seven-point-checklist", "urn:dermquery:answer"
_SCT, _DCM = "http://snomed.info/sct", "http://dicom.nema.org/resources/ontology/DCM"
_SYSTEMS = {"SCT": _SCT, "DCM": _DCM}
_SIDES = {"left": "7771000", "right": "24028007", "bilateral": "51440002"}
_OLDEST = 90.0
"""Ages from here on are one, as de-identification has it (45 CFR 164.514)."""
_EMPTY: tuple[object, ...] = (None, "", [], {})
_GENDERS = ("female", "male", "other")


def hits_fhir(
    result: SearchResult,
    warnings: Sequence[Warned] = (),
    notice: str | None = None,
    created: datetime | None = None,
) -> str:
    """The answer as a Bundle of type collection; ``created`` is now if not given.

    It holds a Device (program and model), an Observation for each criterion asked, the DiagnosticReport over these, and
    for each hit Patient, BodyStructure, ImagingStudy where the study is known, and Observations; last the List of the
    hits, most similar first. Everything is preliminary.
    """
    made = _Bundle((created or datetime.now(UTC)).astimezone(UTC).isoformat(timespec="seconds"))
    device = made.add(_device(result))
    asked = [
        made.add(_criterion(name, value) | {"device": device, "effectiveDateTime": made.when})
        for name, value in result.terms.items()
    ]
    if asked:
        score = {"valueInteger": seven_point_score(result.terms), "derivedFrom": asked, "device": device}
        score |= {"note": [{"text": SCORE_HINT}]}
        asked = [*asked, made.add(_observation(_own("seven-point-score", "Seven-point score")) | score)]
    made.add(_report(made, asked, warnings, notice))
    with speaking(ENGLISH):  # other programs read it, whoever asks for it
        content, scale = report_content(result), findings_scale(result.hits)
    found = [_hit(made, item, device) for item in content.hits]
    notes = (f"{RESEARCH_USE} {NO_DIAGNOSIS}", scale)
    made.add(_list(made, found, device, content.heading) | {"note": [{"text": note} for note in notes if note]})
    return json.dumps(made.resource(), indent=1, ensure_ascii=False)


class _Bundle:
    """Resources under random ids; what several hits have in common is made once.

    Attributes:
        when: time of the answer, an instant of FHIR.
    """

    def __init__(self, when: str) -> None:
        self.when = when
        self._entries: list[Json] = []
        self._shared: dict[tuple[str | None, ...], tuple[Json, Json]] = {}

    def add(self, resource: Json) -> Json:
        """Put a resource in; returns a reference to it."""
        url = uuid.uuid4().urn
        self._entries.append({"fullUrl": url, "resource": resource})
        return {"reference": url}

    def once(self, key: tuple[str | None, ...], resource: Json) -> tuple[Json, Json]:
        """The reference and the resource of this key, made if there is none yet, else given what it lacks."""
        if key not in self._shared:
            self._shared[key] = (self.add(resource), resource)
        _, held = self._shared[key]
        held.update({name: value for name, value in resource.items() if not _filled(held.get(name))})
        return self._shared[key]

    def resource(self) -> Json:
        """The bundle, without members that are empty and signs that do not print, both of which FHIR forbids."""
        bundle = {"resourceType": "Bundle", "type": "collection", "timestamp": self.when, "entry": self._entries}
        return dict(_filled(bundle))


def _filled(value: Any) -> Any:
    if isinstance(value, Mapping):
        return {name: kept for name, one in value.items() if (kept := _filled(one)) not in _EMPTY}
    if isinstance(value, list):
        return [kept for one in value if (kept := _filled(one)) not in _EMPTY]
    if isinstance(value, str):
        return " ".join("".join(sign if sign.isprintable() else " " for sign in value).split())
    return value


def _coded(system: str, code: str, display: str) -> Json:
    return {"coding": [{"system": system, "code": code, "display": display}], "text": display}


def _own(code: str, display: str) -> Json:
    return _coded(_OWN, code, display)


def _observation(code: Json) -> Json:
    return {"resourceType": "Observation", "status": "preliminary", "code": code}


def _criterion(name: str, value: str) -> Json:
    values = _coded(_CHECKLIST, f"{name}={value}".replace(" ", "-"), value)
    return _observation(_coded(_CHECKLIST, name, CRITERIA[name].title.capitalize())) | {"valueCodeableConcept": values}


def _device(result: SearchResult) -> Json:
    base = result.base
    versions = [("software", __version__), ("model", f"{base.model_name} {base.model_hash}")]
    return {
        "resourceType": "Device",
        "deviceName": [{"name": "dermquery", "type": "user-friendly-name"}],
        "version": [{"type": {"text": kind}, "value": value} for kind, value in versions],
        "note": [{"text": RESEARCH_USE}],
    }


def _report(made: _Bundle, asked: list[Json], warnings: Sequence[Warned], notice: str | None) -> Json:
    """What was asked, in FHIR's form; a warning is named by its kind, for its words may name cases."""
    warned = ", ".join(dict.fromkeys(warning.kind for warning in warnings))
    said = (RESEARCH_USE, NO_DIAGNOSIS, notice, f"Warnings about the query: {warned}." if warned else None)
    return {
        "resourceType": "DiagnosticReport",
        "status": "preliminary",
        "code": _own("case-search", "Search for similar dermoscopic cases"),
        "effectiveDateTime": made.when,
        "issued": made.when,
        "result": asked,
        "conclusion": " ".join(filter(None, said)),
    }


def _hit(made: _Bundle, item: HitContent, device: Json) -> Json:
    """Everything of one hit; returns the reference of the observation that stands for it."""
    hit, case = item.hit, item.hit.case
    lesion = case.lesion_key or case.case_key
    person = case.patient_key or f"patient of {lesion}"
    patient, _ = made.once(
        ("patient", person), {"resourceType": "Patient", "gender": case.sex if case.sex in _GENDERS else None}
    )
    structure, _ = made.once(("lesion", person, lesion), _body_structure(case, patient))
    seen = {"subject": patient, "focus": [structure], "device": device}
    study = [_study(made, case, patient)] if _is_uid(case.study_uid) else []
    criteria = [made.add(_criterion(name, value) | seen) for name, value in case.checklist.items()]
    rights = ", ".join(filter(None, (case.licence, case.attribution)))
    said = (item.same_image, item.trained_on, *(f"Not recorded: {phrase}" for phrase in item.likely))
    viewer = f"Viewer: {hit.viewer}" if hit.viewer else None
    return made.add(
        _observation(_own("similar-case", "Similar case"))
        | seen
        | {
            "valueQuantity": _number(hit.score),
            "derivedFrom": study,
            "hasMember": criteria,
            "component": _components(item),
            "note": [{"text": text} for text in (rights, *said, viewer) if text],
        }
    )


def _components(item: HitContent) -> list[Json]:
    hit, case = item.hit, item.hit.case
    parts = [(name, {"valueQuantity": _number(value)}) for name, value in hit.parts.items() if value is not None]
    words = dict.fromkeys(filter(None, (case.fine_diagnosis, case.diagnosis_path)))
    said: list[tuple[str, Json]] = [("rank", {"valueInteger": hit.rank}), *parts]
    if case.diagnosis is not None:
        said.append(("diagnosis", {"valueCodeableConcept": _coded(f"{_OWN}:diagnosis", case.diagnosis, item.title)}))
    said += [("diagnosis-in-full", {"valueString": word}) for word in words]
    if case.confirmed_by is not None:
        said.append(("confirmed-by", {"valueString": case.confirmed_by}))
    if _is_uid(case.instance_uid):
        said.append(("sop-instance-uid", {"valueString": f"urn:oid:{case.instance_uid}"}))
    if case.age is not None:
        years = {"value": min(case.age, _OLDEST), "unit": "a", "system": "http://unitsofmeasure.org", "code": "a"}
        said.append(("age", {"valueQuantity": years}))
    return [{"code": _own(code, code.replace("-", " ").capitalize()), **value} for code, value in said]


def _number(value: float) -> Json:
    return {"value": round(value, 6), "unit": "1", "system": "http://unitsofmeasure.org", "code": "1"}


def _body_structure(case: Case, patient: Json) -> Json:
    side = _SIDES.get(case.laterality or "")
    qualifier = _coded(_SCT, side, str(case.laterality)) if side else {"text": case.laterality}
    return {
        "resourceType": "BodyStructure",
        "morphology": {"text": "skin lesion"},
        "location": _location(case.site),
        "locationQualifier": [qualifier] if case.laterality else [],
        "patient": patient,
    }


def _location(word: str | None) -> Json:
    site = SITES.by_word.get(word or "")
    return _coded(_SYSTEMS[site.scheme], site.code, site.word) if site and site.code else {"text": word}


def _study(made: _Bundle, case: Case, patient: Json) -> Json:
    """The reference of the case's study, to which its series is added."""
    modality = _modality(case)
    reference, study = made.once(
        ("study", str(patient["reference"]), case.study_uid),
        {
            "resourceType": "ImagingStudy",
            "identifier": [{"system": "urn:dicom:uid", "value": f"urn:oid:{case.study_uid}"}],
            "status": "available",
            "subject": patient,
            "modality": [],
            "series": [],
        },
    )
    if modality not in study["modality"]:
        study["modality"].append(modality)
    if _is_uid(case.series_uid) and all(series["uid"] != case.series_uid for series in study["series"]):
        study["series"].append({"uid": case.series_uid, "modality": modality})
    return reference


def _is_uid(written: str | None) -> bool:
    """Whether it is a UID of DICOM; tables hold anything."""
    return re.fullmatch(r"[0-9][0-9.]{0,63}", written or "") is not None


def _modality(case: Case) -> Json:
    kind = case.image_type or "dermoscopic"
    code = "DMS" if kind == "dermoscopic" else "CFM" if kind.startswith(("RCM", "confocal")) else "XC"
    names = {"DMS": "Dermoscopy", "CFM": "Confocal Microscopy", "XC": "External-camera Photography"}
    return {"system": _DCM, "code": code, "display": names[code]}


def _list(made: _Bundle, found: list[Json], device: Json, heading: str) -> Json:
    return {
        "resourceType": "List",
        "status": "current",
        "mode": "snapshot",
        "title": heading,
        "code": _own("similar-cases", "Similar cases, most similar first"),
        "date": made.when,
        "source": device,
        "entry": [{"item": reference} for reference in found],
        "emptyReason": None if found else {"text": "no case found"},
    }


def _file(result: SearchResult, warnings: Sequence[Warned], notice: str | None) -> bytes:
    return f"{hits_fhir(result, warnings, notice)}\n".encode()


FHIR = ReportFormat("application/fhir+json", _file)
