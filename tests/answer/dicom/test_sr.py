from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
from highdicom.sr import (
    Comprehensive3DSR,
    ComprehensiveSR,
    EnhancedSR,
    MeasurementReport,
    MeasurementsAndQualitativeEvaluations,
    srread,
)
from PIL import Image
from pydicom import config, dcmread
from pydicom.dataset import Dataset

from dermquery.answer.dicom.seg import write_seg
from dermquery.answer.dicom.sr import _CODES, checklist_report, write_sr
from dermquery.data.checklist import CRITERIA, seven_point_score
from dermquery.data.dicom.header import read_header
from dermquery.store.hits import SearchResult
from tests.answer.dicom.conftest import complaints
from tests.dermoscopic import dermoscopic_object
from tests.orthanc import Archive

EVERY_VALUE = [(name, value) for name, criterion in CRITERIA.items() for value in criterion.values]


def groups(report: EnhancedSR | Comprehensive3DSR | ComprehensiveSR) -> list[MeasurementsAndQualitativeEvaluations]:
    content = report.content
    assert isinstance(content, MeasurementReport)
    return content.get_image_measurement_groups()


def test_the_report_says_what_was_asked_and_nothing_else(result: SearchResult, image: Path, tmp_path: Path) -> None:
    source = dcmread(image)
    path = write_sr(result, source, tmp_path / "sr.dcm")
    assert complaints(image) == complaints(path) == []
    report = srread(path)
    (group,) = groups(report)
    said = {item.ConceptNameCodeSequence[0].CodeMeaning: code.CodeMeaning for item, code in own_codes(report)}
    assert said == {CRITERIA[name].title.capitalize(): value.capitalize() for name, value in result.terms.items()}
    assert len(group.get_qualitative_evaluations()) == len(said)
    assert [m.value for m in group.get_measurements()] == [seven_point_score(result.terms)]
    assert (group.tracking_uid, group.tracking_identifier) == ("2.25.7", "lesion 7")
    assert [item.referenced_sop_instance_uid for item in group.source_images] == [source.SOPInstanceUID]
    assert (report.CompletionFlag, report.VerificationFlag, report.PreliminaryFlag) == (
        "PARTIAL", "UNVERIFIED", "PRELIMINARY",
    )  # fmt: skip
    assert "Research use only" in report.SeriesDescription


def test_it_belongs_to_the_patient_and_study_of_the_image_and_to_no_hit(
    result: SearchResult, image: Path, tmp_path: Path
) -> None:
    source, report = dcmread(image), dcmread(write_sr(result, dcmread(image), tmp_path / "sr.dcm"))
    for name in ("PatientID", "PatientName", "StudyInstanceUID", "AccessionNumber"):
        assert report[name].value == source[name].value
    written = (tmp_path / "sr.dcm").read_bytes()
    assert [hit.case.case_id for hit in result.hits if hit.case.case_id.encode() in written] == []


def test_an_archive_keeps_it_beside_the_image(
    result: SearchResult, image: Path, tmp_path: Path, orthanc: Archive
) -> None:
    orthanc.store(image)
    back = orthanc.read(orthanc.store(write_sr(result, dcmread(image), tmp_path / "sr.dcm")))
    assert back == dcmread(tmp_path / "sr.dcm")
    assert len(orthanc.ask("/studies").split(b",")) == 1


@pytest.mark.parametrize(("name", "value"), EVERY_VALUE)
def test_every_value_of_every_criterion_has_a_code(image: Path, name: str, value: str) -> None:
    report = checklist_report(dcmread(image), {name: value})
    ((_, code),) = own_codes(report)
    assert code.CodeMeaning.lower() == value
    assert code.CodeValue == f"{_CODES[name]}.{CRITERIA[name].values.index(value)}"
    assert len(code.CodeValue) <= 16


def test_an_image_whose_lesion_is_not_followed_gets_an_identity_of_its_own(
    result: SearchResult, image: Path, tmp_path: Path
) -> None:
    source = dcmread(image)
    del source.TrackingID, source.TrackingUID, source.PatientID, source.StudyDate
    uids = set()
    for name in ("a.dcm", "b.dcm"):
        report = srread(write_sr(result, source, tmp_path / name))
        uids.add(groups(report)[0].tracking_uid)
        assert report.PatientID == ""
    assert len(uids) == 2


@pytest.mark.parametrize(
    "written",
    [
        {"SpecificCharacterSet": "ISO_IR 100", "PatientName": "Müller^Jörg"},
        {"SpecificCharacterSet": ["", "ISO 2022 IR 87"], "PatientName": "Yamada^Tarou=山田^太郎=やまだ^たろう"},
        {"SpecificCharacterSet": "GB18030", "PatientName": "王^小东", "TrackingID": "x" * 200, "TrackingUID": "2.25.9"},
        {"PatientSex": "female", "PatientAge": "45", "StudyDate": "31.1.2024", "StudyTime": "256199"},
        {"StudyDate": "20241399", "PatientBirthDate": "1.1.1970", "AccessionNumber": ..., "StudyID": ...},
        {"FrameOfReferenceUID": "none", "TrackingUID": "2.25.9", "TrackingID": "", "PixelSpacing": [0.05, 0.05]},
        {"SOPClassUID": "1.2.840.10008.5.1.4.1.1.77.1.4", "Modality": "XC"},
        {"SOPClassUID": "1.2.840.10008.5.1.4.1.1.7", "Modality": "OT"},
    ],
)
def test_an_object_is_sound_whatever_the_image_is_like(
    result: SearchResult, tmp_path: Path, written: dict[str, Any], recwarn: pytest.WarningsRecorder
) -> None:
    before = config.settings.writing_validation_mode
    config.settings.writing_validation_mode = config.IGNORE
    try:
        path = dermoscopic_object(tmp_path / "odd.dcm", Image.new("RGB", (384, 384), "tan"), **written)
    finally:
        config.settings.writing_validation_mode = before
    source = read_header(path).dataset
    recwarn.clear()
    for made in (write_sr(result, source, tmp_path / "sr.dcm"), write_seg(result, source, tmp_path / "seg.dcm")):
        assert complaints(made) == []
        assert str(dcmread(made).PatientName) == str(source.PatientName)
    assert not recwarn.list


def test_what_cannot_be_reported_on_is_one_message(image: Path) -> None:
    source = dcmread(image)
    with pytest.raises(ValueError, match="give at least one by --term or --text"):
        checklist_report(source, {})
    source.NumberOfFrames = 3
    with pytest.raises(ValueError, match="3 frames"):
        checklist_report(source, {"streaks": "absent"})
    del source.StudyInstanceUID
    with pytest.raises(ValueError, match="no sound StudyInstanceUID"):
        checklist_report(source, {"streaks": "absent"})


def own_codes(report: Dataset) -> list[tuple[Dataset, Dataset]]:
    """Items of a report whose value is a code of the private scheme, with that."""
    coded = [(item, item.ConceptCodeSequence[0]) for item in _walked(report) if item.ValueType == "CODE"]
    return [(item, code) for item, code in coded if code.CodingSchemeDesignator == "99DERMQ"]


def _walked(item: Dataset) -> Iterator[Dataset]:
    for child in item.get("ContentSequence") or []:
        yield child
        yield from _walked(child)
