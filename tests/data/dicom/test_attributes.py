"""What the attributes of an object say of its case."""

from __future__ import annotations

import datetime
from typing import Any

import pytest
from pydicom.dataset import Dataset
from pydicom.sequence import Sequence

from dermquery.data.case import Case
from dermquery.data.dicom.attributes import age_doubts, age_of, date_of, doubts_of, facts_of
from dermquery.data.dicom.codes import site_of
from dermquery.data.dicom.header import read_header
from tests.data.dicom.made import CLINICAL, SECONDARY, coded, dermoscopic, written


def facts(**attributes: Any) -> dict[str, Any]:
    header = read_header(written(dermoscopic(**attributes)))
    return facts_of(header.dataset, header.class_uid)


def test_a_dermoscopic_object() -> None:
    read = facts()
    Case(case_id="x", image="x", **read)
    assert read == {
        "patient_id": "4711",
        "lesion_id": "1.2.3.4.5.9",
        "sex": "female",
        "age": 45.0,
        "date": datetime.date(2024, 4, 2),
        "site": "back",
        "laterality": "left",
        "image_type": "dermoscopic",
        "polarisation": "polarised",
        "contact": "contact",
        "magnification": 10.0,
        "device": "Acme Scope 3",
        "study_uid": "1.2.3.4.5.2",
        "series_uid": "1.2.3.4.5.3",
        "instance_uid": "1.2.3.4.5.1",
        "extra": {"immersion": "alcohol"},
    }


@pytest.mark.parametrize(
    ("written", "spacing"),
    [
        ([0.0125, 0.0125], 0.0125),
        ([0.0125, 0.0126], 0.0125),
        ([0.0125, 0.02], None),  # no one scale
        ([1, 1], None),  # what converters write that know none
        ([0, 0], None),
        ([-0.01, -0.01], None),
        (0.0125, None),
        ([], None),
    ],
)
def test_how_large_a_pixel_is(written: Any, spacing: float | None) -> None:
    read = facts(PixelSpacing=written)
    assert Case(case_id="x", image="x", **read).pixel_spacing_mm == spacing
    assert ("pixel_spacing_mm" in read["extra"]) == (spacing is not None)


@pytest.mark.parametrize(
    ("attributes", "name", "value"),
    [
        ({"PatientSex": "M"}, "sex", "male"),
        ({"PatientSex": "O"}, "sex", None),
        ({"PatientSex": ""}, "sex", None),
        ({"IssuerOfPatientID": "Clinic"}, "patient_id", "4711@Clinic"),
        ({"PatientID": ""}, "patient_id", None),
        ({"TrackingUID": None}, "lesion_id", "4711/lesion 1"),
        ({"TrackingUID": None, "PatientID": ""}, "lesion_id", None),
        ({"ImageLaterality": "R"}, "laterality", "right"),
        ({"ImageLaterality": "U"}, "laterality", None),
        ({"ImageLaterality": None, "Laterality": "B"}, "laterality", "bilateral"),
        ({"LightSourcePolarization": "NON_POLARIZED"}, "polarisation", "non-polarised"),
        ({"ContactMethod": "NON_CONTACT"}, "contact", "non-contact"),
        ({"OpticalMagnificationFactor": 0}, "magnification", None),
        ({"Manufacturer": "Acme", "ManufacturerModelName": "ACME Scope"}, "device", "ACME Scope"),
        ({"SOPClassUID": CLINICAL, "Modality": "XC", "ContactMethod": None}, "image_type", "clinical"),
        ({"SOPClassUID": CLINICAL, "Modality": "XC"}, "image_type", "dermoscopic"),
        ({"SOPClassUID": SECONDARY, "Modality": "OT", "ContactMethod": None}, "image_type", None),
        ({"SOPClassUID": SECONDARY, "Modality": "DMS", "ContactMethod": None}, "image_type", "dermoscopic"),
    ],
)
def test_each_fact(attributes: dict[str, Any], name: str, value: object) -> None:
    assert facts(**attributes).get(name) == value


@pytest.mark.parametrize(
    ("written", "years"),
    [
        ("045Y", 45.0),
        ("018M", 1.5),
        ("010W", 0.19),
        ("003D", 0.01),
        ("130Y", 130.0),
        ("131Y", None),
        ("200Y", None),
        ("999M", 83.25),
        ("45", None),
        ("abcY", None),
        ("", None),
    ],
)
def test_ages(written: str, years: float | None) -> None:
    dataset = Dataset()
    dataset.add_new("PatientAge", "AS", written)
    assert age_of(dataset) == years


def test_an_age_by_the_dates() -> None:
    dataset = Dataset()
    dataset.PatientBirthDate, dataset.StudyDate = "19800401", "20240331"
    assert age_of(dataset) == 43
    dataset.StudyDate = "20240401"
    assert age_of(dataset) == 44
    dataset.PatientBirthDate = "20250101"
    assert age_of(dataset) is None


def test_an_impossible_age_is_told_and_the_dates_count() -> None:
    dataset = Dataset()
    dataset.PatientAge = "131Y"
    assert age_of(dataset) is None
    assert age_doubts(dataset) == (
        "a PatientAge above 130 years is nobody's, so it is not recorded; correct it in the table",
    )
    dataset.PatientBirthDate, dataset.StudyDate = "19800401", "20240331"
    assert age_of(dataset) == 43
    assert "so the dates of birth and study say it" in age_doubts(dataset)[0]
    dataset.PatientAge = "130Y"
    assert age_doubts(dataset) == ()


@pytest.mark.parametrize(
    ("written", "told", "quoted"),
    [
        ("about 60", "a PatientAge ('about')", "a PatientAge ('about 60')"),
        ("etwa 60, Frau Qzxvk", "a PatientAge ('etwa Frau …')", "'etwa 60, Frau Qzxvk'"),
        ("45", "a PatientAge is not", "a PatientAge ('45')"),
        ("045", "a PatientAge is not", "a PatientAge ('045')"),
        ("unknown", "", ""),
        ("n/a", "", ""),
        ("045Y", "", ""),
        ("", "", ""),
    ],
)
def test_an_age_in_other_words_is_told_without_what_may_name(written: str, told: str, quoted: str) -> None:
    dataset = Dataset()
    dataset.add_new("PatientAge", "AS", written)
    for said, expected in ((age_doubts(dataset), told), (age_doubts(dataset, quoted=True), quoted)):
        assert expected in "".join(said)
        assert bool(said) == bool(expected)
    dataset.PatientBirthDate, dataset.StudyDate = "19800401", "20240331"
    assert all("so the dates of birth and study say it" in said for said in age_doubts(dataset))


def test_the_most_exact_date_counts() -> None:
    dataset = Dataset()
    for name, day, expected in (
        ("StudyDate", "20240105", 5),
        ("ContentDate", "20240104", 4),
        ("AcquisitionDate", "2024.01.03", 3),
        ("AcquisitionDateTime", "20240102101500.123+0100", 2),
    ):
        dataset.add_new(name, "LO", day)
        assert date_of(dataset) == datetime.date(2024, 1, expected)
    dataset.AcquisitionDateTime = "00010101000000"  # written where a date had to go
    assert date_of(dataset) == datetime.date(2024, 1, 3)


@pytest.mark.parametrize(
    ("code", "site"),
    [
        (("66643007", "SCT", "Skin of back"), "back"),
        (("T-02450", "SRT", "Skin of back"), "back"),
        (("T-02450", "SNM3", ""), "back"),
        (("130323", "DCM", "x"), "mid back"),
        (("70887009", "SCT", "?"), "palm"),
        (("B7", "99ACME", "Rücken"), "back"),
        (("B7", "99ACME", "the usual place"), "the usual place"),
        (("78961009", "SCT", "Spleen"), "Spleen"),
        (("", "", ""), None),
    ],
)
def test_sites(code: tuple[str, str, str], site: str | None) -> None:
    assert site_of(*code) == site


def test_a_site_as_older_objects_write_it() -> None:
    assert facts(AnatomicRegionSequence=None, BodyPartExamined="ABDOMEN")["site"] == "abdomen"
    region = coded("T-02450", "SNM3", "Back")
    region.AnatomicRegionModifierSequence = Sequence([coded("24028007", "SCT", "Right")])
    read = facts(AnatomicRegionSequence=Sequence([region]), ImageLaterality=None)
    assert (read["site"], read["laterality"]) == ("back", "right")


@pytest.mark.parametrize(
    ("regions", "site", "doubted"),
    [
        ([("66643007", "back"), ("73897004", "face")], None, True),
        ([("66643007", "back"), ("113182001", "lower back")], "lower back", False),
        ([("66643007", "back"), ("66643007", "Skin of back")], "back", False),
        ([("39937001", "Skin")], None, False),
        ([("39937001", "Skin"), ("73897004", "face")], "face", False),
    ],
)
def test_several_regions(regions: list[tuple[str, str]], site: str | None, doubted: bool) -> None:
    named = Sequence([coded(code, "SCT", meaning) for code, meaning in regions])
    read = facts(AnatomicRegionSequence=named)
    assert read.get("site") == site
    assert ("regions" in read["extra"]) == doubted
    doubts = doubts_of(read_header(written(dermoscopic(AnatomicRegionSequence=named))).dataset)
    assert (doubts == ("back and face are regions of one object, so its site is not recorded",)) == doubted


@pytest.mark.parametrize(
    ("attributes", "side", "said"),
    [
        ({"ImageLaterality": "L", "Laterality": "R"}, "left", "ImageLaterality says left, Laterality says right"),
        ({"ImageLaterality": "R", "Laterality": "R"}, "right", ""),
        ({"ImageLaterality": "U", "Laterality": "R"}, "right", ""),
        ({"ImageLaterality": None, "AnatomicRegionSequence": None, "BodyPartExamined": "LEFT ARM"}, "left", ""),
        ({"ImageLaterality": "B", "BodyPartExamined": "RIGHT ARM"}, "bilateral", "a region's name says right"),
    ],
)
def test_the_side_of_the_image_wins_and_another_is_told(attributes: dict[str, Any], side: str, said: str) -> None:
    assert facts(**attributes)["laterality"] == side
    doubts = doubts_of(read_header(written(dermoscopic(**attributes))).dataset)
    assert said in "".join(doubts)
    assert bool(doubts) == bool(said)
