"""What names a patient does not outlive the import: not in the object, case, image, base or any message."""

from __future__ import annotations

import io
import os
import stat
from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path

import pytest
from PIL import Image
from pydicom._dicom_dict import DicomDictionary
from pydicom.dataset import Dataset
from pydicom.sequence import Sequence
from pydicom.uid import UID, JPEGBaseline8Bit
from typer.testing import CliRunner

from dermquery.answer.formats import write_report
from dermquery.answer.html import write_html
from dermquery.cli.data import app
from dermquery.data.case_table import read_cases
from dermquery.data.dicom.attributes import facts_of
from dermquery.data.dicom.container import DicomError
from dermquery.data.dicom.deidentify import check_shown, deidentified
from dermquery.data.dicom.functional import by_frame, of_all_frames
from dermquery.data.dicom.header import Header, read_header
from dermquery.data.dicom.site_key import SiteKey, SiteKeyError, default_site_key, site_key
from dermquery.store.casebase import CaseBase
from dermquery.store.export_base import export_base
from dermquery.store.transfer import write_snapshot
from tests.data.dicom.made import DERMOSCOPIC, SECONDARY, coded, dermoscopic, encapsulated, jpeg, picture, written
from tests.store.encoder import ProjectionEncoder

KEY = SiteKey(bytes(range(32)))
PLANT = "Qzxvk"
"""No word and no number that is written has it."""
_NEEDED = {
    "SOPClassUID", "Rows", "Columns", "SamplesPerPixel", "BitsAllocated", "BitsStored", "HighBit", "NumberOfFrames",
    "PlanarConfiguration", "PixelRepresentation", "PhotometricInterpretation", "SpecificCharacterSet", "PixelData",
    "BurnedInAnnotation", "RecognizableVisualFeatures", "ICCProfile", "Manufacturer", "ManufacturerModelName",
}  # fmt: skip
"""By these an object is read, or the device named."""
_PLANTED = {
    "AE": PLANT, "AS": "093Y", "CS": PLANT.upper(), "DA": "19531107", "DS": "7391.4628", "DT": "19531107112233",
    "IS": "73914628", "LO": PLANT, "LT": PLANT, "PN": f"{PLANT}^Anna", "SH": PLANT, "ST": PLANT, "TM": "112233",
    "UC": PLANT, "UI": "1.2.739.14628.1", "UR": f"http://{PLANT}", "UT": PLANT, "OB": PLANT.encode() + b"!",
    "UN": PLANT.encode() + b"!",
}  # fmt: skip
TRACES = (PLANT, PLANT.upper(), PLANT.lower(), "73914628", "7391.4628", "1.2.739.14628", "19531107", "1953-11-07")


def planted(**attributes: object) -> Dataset:
    """An object with the plant in every attribute of the standard that holds text, at the top and within sequences."""
    made = dermoscopic(**attributes)
    for tag, (vr, _, _, retired, name) in DicomDictionary.items():
        if vr in _PLANTED and name and name not in _NEEDED and not retired and tag >> 16 > 2 and tag < 0x7FE00000:
            made.add_new(tag, vr, _PLANTED[vr])
    made.PatientAge = "093Y"
    inner = Dataset()
    inner.PatientName, inner.TextValue = PLANT, PLANT
    region = coded("66643007", "SCT", f"Back of {PLANT}")
    region.AnatomicRegionModifierSequence = Sequence([coded("7771000", "SCT", PLANT)])
    region.PatientComments = PLANT
    made.AnatomicRegionSequence = Sequence([region, coded(PLANT, "99X", PLANT)])
    inner.ReferencedImageSequence = Sequence([region])
    group = Dataset()
    group.AnatomicRegionSequence, group.FrameLaterality, group.PatientComments = Sequence([region]), "R", PLANT
    measured = Dataset()
    measured.PixelSpacing, measured.TextValue = [0.02, 0.02], PLANT
    groups = Dataset()
    groups.FrameAnatomySequence, groups.PixelMeasuresSequence = Sequence([group]), Sequence([measured])
    groups.ReferencedImageSequence = Sequence([inner])
    made.SharedFunctionalGroupsSequence = made.PerFrameFunctionalGroupsSequence = Sequence([groups])
    made.RequestAttributesSequence = Sequence([inner])
    made.AcquisitionContextSequence = Sequence([inner])
    made.private_block(0x0011, PLANT, create=True).add_new(1, "LO", PLANT)
    made.private_block(0x0029, PLANT, create=True).add_new(1, "SQ", Sequence([inner]))
    made.add_new(0x60000022, "LO", PLANT)
    made.add_new(0x60003000, "OB", PLANT.encode() + b"!")
    made.file_meta.SourceApplicationEntityTitle = PLANT
    made.file_meta.PrivateInformationCreatorUID = UID("1.2.739.14628.2")
    made.file_meta.PrivateInformation = PLANT.encode() + b"!"
    return made


def header_of(made: Dataset) -> Header:
    return read_header(written(made))


def traces(data: bytes) -> list[str]:
    return [trace for trace in TRACES if trace.encode() in data or trace.encode("utf-16-le") in data]


def test_the_plant_is_everywhere() -> None:
    made = planted()
    assert sum(element.VR in _PLANTED for element in made) > 1500
    assert {trace for trace in TRACES if trace.encode() in written(made)} >= {PLANT, "73914628", "19531107"}


def test_nothing_of_it_is_left_in_an_object() -> None:
    header = header_of(planted())
    for dataset in (header.dataset, *by_frame(header.dataset, 1), of_all_frames(header.dataset, 1)):
        check_nothing_left(deidentified(replace(header, dataset=dataset), KEY))
    grouped = deidentified(replace(header, dataset=by_frame(header.dataset, 1)[0]), KEY)
    read = facts_of(grouped, DERMOSCOPIC)
    assert (read["site"], read["laterality"], read["extra"]["pixel_spacing_mm"]) == ("back", "right", "0.02")


def check_nothing_left(made: Dataset) -> None:
    assert traces(repr(made).encode()) == []
    stream = io.BytesIO()
    made.save_as(stream, enforce_file_format=True)
    assert traces(stream.getvalue()) == []
    assert not [element for element in made.iterall() if element.tag.is_private]


def test_what_was_done_is_recorded_in_it() -> None:
    made = deidentified(header_of(dermoscopic()), KEY)
    assert made.PatientIdentityRemoved == "YES"
    assert made.LongitudinalTemporalInformationModified == "MODIFIED"
    codes = [item.CodeValue for item in made.DeidentificationMethodCodeSequence]
    assert codes == ["113100", "113107", "113108"]
    assert "PS3.15 2026c basic profile" in made.DeidentificationMethod
    assert made.file_meta.MediaStorageSOPInstanceUID == made.SOPInstanceUID != "1.2.3.4.5.1"


def test_a_copy_says_that_its_source_was_compressed_with_loss() -> None:
    lossy = encapsulated(jpeg(picture()), JPEGBaseline8Bit, "YBR_FULL_422")
    assert deidentified(read_header(lossy), KEY).LossyImageCompression == "01"
    assert "LossyImageCompression" not in deidentified(header_of(dermoscopic()), KEY)


def test_what_a_search_needs_is_left() -> None:
    read = facts_of(deidentified(header_of(dermoscopic()), KEY), DERMOSCOPIC)
    original = facts_of(dermoscopic(), DERMOSCOPIC)
    same = {
        "sex",
        "age",
        "site",
        "laterality",
        "image_type",
        "polarisation",
        "contact",
        "magnification",
        "device",
        "extra",
    }
    assert {name: read[name] for name in same} == {name: original[name] for name in same}
    for name in set(original) - same:
        assert read[name] != original[name], name


def test_a_patient_and_a_lesion_stay_one_and_different_ones_differ() -> None:
    def ids(**attributes: object) -> tuple[str, ...]:
        read = facts_of(deidentified(header_of(dermoscopic(**attributes)), KEY), DERMOSCOPIC)
        return tuple(str(read.get(name)) for name in ("patient_id", "lesion_id", "study_uid", "instance_uid"))

    assert ids() == ids()
    other_image = ids(SOPInstanceUID="1.2.3.4.5.77")
    assert ids()[:3] == other_image[:3]
    assert ids()[3] != other_image[3]
    assert ids()[0] != ids(PatientID="4712")[0]
    assert ids()[0] != ids(IssuerOfPatientID="elsewhere")[0]
    named = {ids(TrackingUID=None, PatientID=patient)[1] for patient in ("4711", "4712")}
    assert len(named) == 2  # "lesion 1" of two patients are two lesions


def test_another_key_gives_other_pseudonyms() -> None:
    made = [deidentified(header_of(dermoscopic()), key) for key in (KEY, SiteKey(bytes(32)))]
    for name in ("PatientID", "SOPInstanceUID", "TrackingUID", "TrackingID"):
        assert made[0][name].value != made[1][name].value


def test_dates_of_a_patient_are_put_back_by_the_same_days() -> None:
    def day(written: str, patient: str = "4711") -> object:
        made = dermoscopic(PatientID=patient, ContentDate=written)
        return facts_of(deidentified(header_of(made), KEY), DERMOSCOPIC)["date"]

    first, second = day("20240301"), day("20240315")
    assert str(second - first) == "14 days, 0:00:00"  # type: ignore[operator]
    assert str(first) != "2024-03-01"
    assert len({day("20240301", patient) for patient in "abcdef"}) > 1


@pytest.mark.parametrize(
    ("age", "kept"), [("089Y", "089Y"), ("090Y", "090Y"), ("101Y", "090Y"), ("130Y", "090Y"), ("018M", "018M")]
)
def test_great_ages_are_not_told_apart(age: str, kept: str) -> None:
    assert deidentified(header_of(dermoscopic(PatientAge=age)), KEY).PatientAge == kept


def test_an_age_is_kept_of_the_birth_date_that_goes() -> None:
    made = deidentified(header_of(dermoscopic(PatientAge=None, PatientBirthDate="19200101")), KEY)
    assert made.PatientAge == "090Y"
    assert made.PatientBirthDate == ""


def test_a_device_that_is_called_after_its_patient() -> None:
    made = dermoscopic(PatientName="Muster^Anna", ManufacturerModelName="Scope of Muster")
    assert "ManufacturerModelName" not in deidentified(header_of(made), KEY)


@pytest.mark.parametrize(
    ("attributes", "allowed", "why"),
    [
        ({"BurnedInAnnotation": "YES"}, "burned-in", "text is burned"),
        ({"RecognizableVisualFeatures": "YES"}, "faces", "recognised"),
        ({"SOPClassUID": SECONDARY, "BurnedInAnnotation": None}, "burned-in", "does not say whether"),
    ],
)
def test_pixels_that_may_name_somebody(attributes: dict[str, object], allowed: str, why: str) -> None:
    header = header_of(dermoscopic(**attributes))
    with pytest.raises(DicomError, match=why) as refused:
        check_shown(header)
    assert f"--allow {allowed}" in str(refused.value)
    check_shown(header, frozenset({allowed}))
    check_shown(header_of(dermoscopic(BurnedInAnnotation=None)))  # the dermoscopic class needs no word on it


def _run(*arguments: object) -> tuple[int, str]:
    done = CliRunner().invoke(app, ["prepare", "dicom", *map(str, arguments)])
    return done.exit_code, done.output + (done.stderr or "") + repr(done.exception or "")


def _files(*folders: Path) -> Iterator[Path]:
    return (path for folder in folders for path in folder.rglob("*"))


def test_a_byte_search_of_all_that_is_written_finds_nothing(
    tmp_path: Path, capfd: pytest.CaptureFixture[str], caplog: pytest.LogCaptureFixture
) -> None:
    source, out, objects = tmp_path / PLANT, tmp_path / "out", tmp_path / "objects"
    source.mkdir()
    exif = Image.Exif()
    exif[0x010E] = exif[0x013B] = PLANT
    frame = jpeg(picture(), exif=exif, comment=PLANT.encode()) + PLANT.encode()
    encoded = read_header(encapsulated(frame, JPEGBaseline8Bit, "YBR_FULL_422"))
    with_exif = planted(SOPInstanceUID="1.2.739.14628.5", PhotometricInterpretation="YBR_FULL_422")
    encoded.stream.seek(encoded.start)
    with_exif.file_meta.TransferSyntaxUID = JPEGBaseline8Bit
    with_exif.PixelData = encoded.stream.read()[:-8]
    with_exif["PixelData"].is_undefined_length = True
    for number, made in enumerate((planted(), with_exif, planted(BurnedInAnnotation="YES"))):
        made.SOPInstanceUID = f"1.2.739.14628.{number + 5}"
        (source / f"{PLANT}_{number}.dcm").write_bytes(written(made))
    (source / f"{PLANT}.dcm").write_bytes(written(planted())[:3000])
    key = tmp_path / "keys" / "site.key"

    code, said = _run(source, "--out", out, "--objects", objects, "--site-key", key, "--skip-bad")
    assert code == 0, said
    assert "2 cases" in said
    assert "file 4" in said
    cases = read_cases(out / "cases.csv").cases
    base = CaseBase.create(tmp_path / "base", ProjectionEncoder())
    base.add(cases)
    result = base.search(image=cases[0].image, top_k=2)
    write_html(result, tmp_path / "report.html")
    write_report(result, tmp_path / "hits.csv")
    write_report(result, tmp_path / "hits.json")
    write_snapshot(tmp_path / "base", tmp_path / "snapshot.parquet")
    export_base(tmp_path / "base", tmp_path / "export")

    produced = [path for path in _files(tmp_path) if source not in (path, *path.parents)]
    assert len(produced) > 20
    for path in produced:
        relative = str(path.relative_to(tmp_path))
        assert traces(relative.encode()) == []
        found = traces(path.read_bytes()) if path.is_file() else []
        # the table names its own folder only
        assert found == [], (relative, found)
    said += "".join(capfd.readouterr()) + caplog.text
    assert traces(said.replace(str(source), "").encode()) == []
    secret = key.read_text(encoding="ascii").strip()
    assert not any(secret.encode() in path.read_bytes() for path in produced if path.is_file() and path != key)


def test_identity_is_kept_only_when_that_is_said(tmp_path: Path) -> None:
    (tmp_path / "in").mkdir()
    (tmp_path / "in" / "Muster.dcm").write_bytes(written(dermoscopic(BurnedInAnnotation="YES")))
    code, said = _run(tmp_path / "in", "--out", tmp_path / "out", "--keep-identity")
    assert code == 0, said
    assert "identities were kept" in said
    (case,) = read_cases(tmp_path / "out" / "cases.csv").cases
    assert (case.case_id, case.patient_id) == ("1.2.3.4.5.1", "4711")
    code, said = _run(tmp_path / "in", "--out", tmp_path / "out", "--site-key", tmp_path / "k", "--allow", "burned-in")
    assert code != 0
    assert "prepared in another way" in said


def test_the_site_key(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("DERMQUERY_STATE", str(tmp_path / "state"))
    made = site_key()
    assert default_site_key() == tmp_path / "state" / "dicom-site.key"
    assert stat.S_IMODE(default_site_key().stat().st_mode) == 0o600
    assert site_key() == made != site_key(tmp_path / "other.key")
    assert default_site_key().read_text(encoding="ascii").strip() not in repr(made) + str(made)
    default_site_key().chmod(0o644)
    with pytest.raises(SiteKeyError, match="chmod 600"):
        site_key()
    os.truncate(default_site_key(), 20)
    default_site_key().chmod(0o600)
    with pytest.raises(SiteKeyError, match="not a site key"):
        site_key()
