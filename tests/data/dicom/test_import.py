"""``dermquery data prepare dicom``: folders, files, DICOMDIRs and archives."""

from __future__ import annotations

import zipfile
from pathlib import Path

import numpy as np
import pytest
from pydicom.dataset import Dataset, FileMetaDataset
from pydicom.fileset import FileSet
from pydicom.sequence import Sequence
from pydicom.uid import UID, ExplicitVRLittleEndian, JPEGBaseline8Bit
from typer.testing import CliRunner, Result

from dermquery.cli.data import app
from dermquery.data.case import Case
from dermquery.data.case_table import read_cases, write_cases
from dermquery.data.dicom import objects
from dermquery.data.image import load_image
from dermquery.data.sources import dicom
from tests.data.dicom.made import (
    CLINICAL,
    SECONDARY,
    dermoscopic,
    encapsulated,
    jpeg,
    picture,
    put_pixels,
    written,
)


@pytest.fixture(autouse=True)
def state(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("DERMQUERY_STATE", str(tmp_path / "state"))
    monkeypatch.setattr(dicom, "_DECODERS", 1)  # a second one takes longer to start than these take


def prepare(source: Path, out: Path, *options: object) -> Result:
    return CliRunner().invoke(app, ["prepare", "dicom", str(source), "--out", str(out), *map(str, options)])


def cases_of(out: Path) -> tuple[Case, ...]:
    return tuple(read_cases(out / "cases.csv").cases)


def photograph(number: int, **attributes: object) -> bytes:
    return written(dermoscopic(SOPInstanceUID=f"1.2.3.4.6.{number}", **attributes))


def report() -> bytes:
    made = dermoscopic(SOPClassUID="1.2.840.10008.5.1.4.1.1.88.59")
    del made.PixelData
    return written(made)


def test_what_was_entered_stays_and_so_do_the_cases_of_other_imports(tmp_path: Path) -> None:
    for name, number in (("first", 1), ("second", 2)):
        (tmp_path / name).mkdir()
        (tmp_path / name / "x.dcm").write_bytes(photograph(number))
    assert prepare(tmp_path / "first", tmp_path / "out").exit_code == 0
    (case,) = cases_of(tmp_path / "out")
    entered = {"diagnosis": "mel", "checklist": {"streaks": "irregular"}}
    write_cases([case.model_copy(update=entered)], tmp_path / "out" / "cases.csv")
    assert "earlier" not in prepare(tmp_path / "first", tmp_path / "out").output
    done = prepare(tmp_path / "second", tmp_path / "out")
    assert "1 cases of earlier imports stay in the table" in done.output
    first, second = cases_of(tmp_path / "out")
    assert (first.case_id, first.diagnosis, dict(first.checklist)) == (case.case_id, "mel", {"streaks": "irregular"})
    assert (second.diagnosis, first.age) == (None, case.age)


def test_what_an_object_says_otherwise_does_not_overwrite_what_was_entered(tmp_path: Path) -> None:
    source, out = tmp_path / "x.dcm", tmp_path / "out"
    source.write_bytes(photograph(1, PatientSex="", PixelSpacing=[0.02, 0.02]))
    assert prepare(source, out).exit_code == 0
    (case,) = cases_of(out)
    before = (out / "cases.csv").read_bytes()
    assert "otherwise" not in prepare(source, out).output, "nothing was entered"
    assert (out / "cases.csv").read_bytes() == before
    entered = {"site": "Nase", "laterality": "right", "age": 44.0, "sex": "female", "breslow_mm": 0.7}
    write_cases([case.model_copy(update=entered | {"extra": {**case.extra, "immersion": "oil"}})], out / "cases.csv")
    for _ in range(2):
        done = prepare(source, out)
        assert done.exit_code == 0
        said = " ".join(done.output.split())
        assert "the source says otherwise: age (1), site (1), laterality (1), immersion (1); an emptied" in said
        (kept,) = cases_of(out)
        assert (kept.site, kept.laterality, kept.age, kept.sex) == ("nose", "right", 44.0, "female")
        assert (kept.breslow_mm, kept.extra["immersion"]) == (0.7, "oil")
        assert kept.extra["site_as_recorded"] == "Nase"
        assert kept.extra["deidentified"] == case.extra["deidentified"]
    write_cases([kept.model_copy(update={"age": None})], out / "cases.csv")
    prepare(source, out)
    assert cases_of(out)[0].age == case.age, "an empty cell takes what the object says"


@pytest.mark.parametrize("options", [(), ("--keep-identity",)])
def test_an_impossible_age_is_not_kept_and_is_told(tmp_path: Path, options: tuple[str, ...]) -> None:
    source = tmp_path / "x.dcm"
    source.write_bytes(photograph(1, PatientAge="200Y"))
    done = prepare(source, tmp_path / "out", *options)
    assert done.exit_code == 0
    assert "1 × a PatientAge above 130 years is nobody's" in " ".join(done.output.split())
    assert cases_of(tmp_path / "out")[0].age is None


@pytest.mark.parametrize(("options", "spacing"), [((), 0.02), (("--crop",), 0.02), (("--size", "64"), None)])
def test_the_scale_is_that_of_the_prepared_image(
    tmp_path: Path, options: tuple[str, ...], spacing: float | None
) -> None:
    (tmp_path / "in").mkdir()
    (tmp_path / "in" / "x.dcm").write_bytes(photograph(1, PixelSpacing=[0.02, 0.02]))
    for _ in range(2):  # made, and found there
        assert prepare(tmp_path / "in", tmp_path / "out", *options).exit_code == 0
        (case,) = cases_of(tmp_path / "out")
        assert case.pixel_spacing_mm == spacing


def test_a_folder_of_everything(tmp_path: Path) -> None:
    source = tmp_path / "in"
    (source / "deep" / "er").mkdir(parents=True)
    (source / "a.dcm").write_bytes(photograph(1))
    (source / "deep" / "IM0001").write_bytes(photograph(2, SOPClassUID=CLINICAL, ContactMethod=None, Modality="XC"))
    (source / "deep" / "er" / "sc").write_bytes(photograph(3, SOPClassUID=SECONDARY))
    frames = np.stack([picture(), picture()[::-1], picture()[:, ::-1]])
    several = put_pixels(dermoscopic(SOPInstanceUID="1.2.3.4.6.4", NumberOfFrames=3), frames)
    (source / "several").write_bytes(written(several))
    (source / "copy").write_bytes(photograph(1))
    for number in range(2):
        (source / f"ko{number}").write_bytes(report())
    (source / "ct").write_bytes(photograph(9, SOPClassUID="1.2.840.10008.5.1.4.1.1.2"))
    (source / "notes.txt").write_text("no image", encoding="utf-8")
    done = prepare(source, tmp_path / "out", "--keep-identity")
    assert done.exit_code == 0, done.output
    assert "kept as written" not in done.stderr, "clinical is a word of the import's own"
    for said in ("2 × Key Object Selection", "1 × CT Image", "1 × no DICOM file", "1 × a further copy"):
        assert said in done.stderr
    read = {case.case_id: case for case in cases_of(tmp_path / "out")}
    assert set(read) == {"1.2.3.4.6.1", "1.2.3.4.6.2", "1.2.3.4.6.3", *(f"1.2.3.4.6.4#{n}" for n in (1, 2, 3))}
    assert [read[f"1.2.3.4.6.{n}"].image_type for n in (1, 2, 3)] == ["dermoscopic", "clinical", "dermoscopic"]
    for number, frame in enumerate(frames, start=1):
        image = np.asarray(load_image(read[f"1.2.3.4.6.4#{number}"].image)).astype(int)
        assert np.abs(image - frame).mean() < 1.5


def test_a_jpeg_is_kept_as_it_was_encoded(tmp_path: Path) -> None:
    code = jpeg(picture())
    (tmp_path / "x.dcm").write_bytes(encapsulated(code, JPEGBaseline8Bit, "YBR_FULL_422"))
    assert prepare(tmp_path / "x.dcm", tmp_path / "out").exit_code == 0
    (case,) = cases_of(tmp_path / "out")
    kept = case.image.read_bytes()
    assert code[code.index(b"\xff\xda") :].rstrip(b"\0") in kept
    assert load_image(case.image).tobytes() == load_image(code).tobytes()


def test_a_run_is_continued_and_the_pseudonyms_stay(tmp_path: Path) -> None:
    source, out = tmp_path / "in", tmp_path / "out"
    source.mkdir()
    (source / "1").write_bytes(photograph(1))
    assert "1 images made" in prepare(source, out).output
    first = cases_of(out)
    (source / "0").write_bytes(photograph(2))
    assert "1 images made, 1 kept from before" in prepare(source, out).output
    assert {case.case_id for case in first} < {case.case_id for case in cases_of(out)}
    assert len({case.patient_id for case in cases_of(out)}) == 1


def test_bad_objects_are_named_by_place_or_by_name(tmp_path: Path) -> None:
    source = tmp_path / "in"
    source.mkdir()
    (source / "1").write_bytes(photograph(1))
    (source / "2_Muster").write_bytes(photograph(2)[:900])
    (source / "3_Muster").write_bytes(photograph(3, BurnedInAnnotation="YES"))
    done = prepare(source, tmp_path / "out")
    assert done.exit_code == 1
    assert "Muster" not in done.output
    assert "bad: file 2: it is" in done.stderr
    assert "bad: file 3: text is burned into" in done.stderr
    assert "--skip-bad" in done.stderr
    assert "bad: 2_Muster: it is" in prepare(source, tmp_path / "out", "--name-files").stderr
    done = prepare(source, tmp_path / "out", "--skip-bad", "--allow", "burned-in, faces")
    assert done.exit_code == 0
    assert len(cases_of(tmp_path / "out")) == 2


def test_options_that_are_wrong(tmp_path: Path) -> None:
    (tmp_path / "1").write_bytes(photograph(1))
    assert (
        "nothing to allow is called 'names'" in prepare(tmp_path / "1", tmp_path / "o", "--allow", "faces,names").output
    )
    done = prepare(tmp_path / "1", tmp_path / "o", "--keep-identity", "--objects", tmp_path / "p")
    assert "leave one out" in done.output
    assert "no such file or folder" in prepare(tmp_path / "nothing", tmp_path / "o").output
    (tmp_path / "ko").write_bytes(report())
    assert "1 × Key Object Selection" in prepare(tmp_path / "ko", tmp_path / "o").output


def _dicomdir(folder: Path, count: int) -> Path:
    made = FileSet()
    for number in range(count):
        dataset = dermoscopic(SOPInstanceUID=f"1.2.3.4.6.{number}", PatientName="X", StudyTime="101500", StudyID="1")
        dataset.SeriesNumber, dataset.InstanceNumber, dataset.AccessionNumber = 1, number, ""
        dataset.file_meta.MediaStorageSOPClassUID = dataset.SOPClassUID
        dataset.file_meta.MediaStorageSOPInstanceUID = dataset.SOPInstanceUID
        made.add(dataset)
    made.write(folder)
    return folder / "DICOMDIR"


def test_a_dicomdir(tmp_path: Path) -> None:
    directory = _dicomdir(tmp_path / "cd", 3)
    (tmp_path / "cd" / "unlisted").write_bytes(photograph(9))
    done = prepare(directory, tmp_path / "out")
    assert done.exit_code == 0, done.output
    assert len(cases_of(tmp_path / "out")) == 3
    assert len(list((tmp_path / "cd").rglob("*"))) > 4
    done = prepare(tmp_path / "cd", tmp_path / "all")
    assert len(cases_of(tmp_path / "all")) == 4
    assert "1 × Media Storage Directory" in done.stderr


def test_a_dicomdir_that_points_outside_its_folder(tmp_path: Path) -> None:
    (tmp_path / "cd").mkdir()
    (tmp_path / "secret").write_bytes(photograph(1))
    (tmp_path / "cd" / "inside").write_bytes(photograph(2))
    (tmp_path / "cd" / "link").symlink_to(tmp_path / "secret")
    records = []
    for name in (["..", "secret"], str(tmp_path / "secret"), "..\\secret", ["link"], ["missing"], ["inside"], "INSIDE"):
        record = Dataset()
        record.DirectoryRecordType = "IMAGE"
        record.add_new("ReferencedFileID", "LO", name)
        records.append(record)
    made = Dataset()
    made.file_meta = FileMetaDataset()
    made.file_meta.MediaStorageSOPClassUID = UID("1.2.840.10008.1.3.10")
    made.file_meta.MediaStorageSOPInstanceUID = UID("1.2.3")
    made.file_meta.TransferSyntaxUID = ExplicitVRLittleEndian
    made.DirectoryRecordSequence = Sequence(records)
    made.save_as(tmp_path / "cd" / "DICOMDIR", enforce_file_format=True)
    done = prepare(tmp_path / "cd" / "DICOMDIR", tmp_path / "out", "--keep-identity")
    assert done.exit_code == 0, done.output
    assert [case.case_id for case in cases_of(tmp_path / "out")] == ["1.2.3.4.6.2"]
    assert "5 records of the DICOMDIR name no file below its folder" in done.stderr


def _zip(path: Path, files: dict[str, bytes]) -> Path:
    with zipfile.ZipFile(path, "w", zipfile.ZIP_DEFLATED) as archive:
        for name, data in files.items():
            archive.writestr(name, data)
    return path


def test_an_archive(tmp_path: Path) -> None:
    names = {
        "a/Muster.dcm": photograph(1),
        "../../up": photograph(2),
        "readme": b"no image",
        "cut": photograph(3)[:900],
    }
    done = prepare(_zip(tmp_path / "x.zip", names), tmp_path / "out", "--skip-bad")
    assert done.exit_code == 0, done.output
    assert len(cases_of(tmp_path / "out")) == 2
    assert "Muster" not in done.output
    assert sorted(path.name for path in tmp_path.iterdir()) == ["out", "state", "x.zip"]  # nothing was unpacked


@pytest.mark.parametrize("kept", [0.1, 0.5, 0.999])
def test_an_archive_that_is_cut_off(tmp_path: Path, kept: float) -> None:
    path = _zip(tmp_path / "x.zip", {f"{number}.dcm": photograph(1) for number in range(3)})
    path.write_bytes(path.read_bytes()[: int(kept * path.stat().st_size)])
    done = prepare(path, tmp_path / "out", "--skip-bad")
    assert done.exit_code != 0
    assert "the archive is cut off or damaged" in " ".join(done.output.split())


def test_an_archive_that_is_a_bomb(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    bomb = photograph(1) + bytes(30 << 20)
    archive = _zip(tmp_path / "x.zip", {"bomb": bomb, "true": photograph(2)})
    monkeypatch.setattr(objects, "_MOST_MEMBER", 20 << 20)
    done = prepare(archive, tmp_path / "out", "--skip-bad")
    assert "more than 20 MiB in an archive" in done.stderr
    assert len(cases_of(tmp_path / "out")) == 1
    monkeypatch.setattr(objects, "_FREE", 1 << 20)
    done = prepare(archive, tmp_path / "other")
    assert done.exit_code != 0
    assert "would unpack to" in done.output


def test_an_archive_that_lies_about_sizes_or_is_damaged(tmp_path: Path) -> None:
    path = _zip(tmp_path / "x.zip", {"bomb": photograph(1) + bytes(1 << 20), "true": photograph(2)})
    data = path.read_bytes()
    size = len(photograph(1)) + (1 << 20)
    path.write_bytes(data.replace(size.to_bytes(4, "little"), (5000).to_bytes(4, "little")))
    done = prepare(path, tmp_path / "out", "--skip-bad")
    assert done.exit_code == 0, done.output
    assert len(cases_of(tmp_path / "out")) == 1
    assert "damaged or encrypted within its archive" in done.stderr or "cut off" in done.stderr


def test_a_mended_photometric_interpretation_is_said(tmp_path: Path) -> None:
    (tmp_path / "x").write_bytes(photograph(1, PhotometricInterpretation="YBR_FULL_422"))
    done = prepare(tmp_path / "x", tmp_path / "out")
    assert "1 × YBR_FULL_422 with 3 samples a pixel is read as RGB" in done.stderr
    (case,) = cases_of(tmp_path / "out")
    assert "read as RGB" in case.extra["pixels_read_as"]


@pytest.mark.parametrize("in_zip", [True, False])
@pytest.mark.parametrize("named", [True, False])
def test_an_archive_within_is_named_and_a_document_is_not(tmp_path: Path, in_zip: bool, named: bool) -> None:
    files = {
        "b.dcm": photograph(1),
        "Maier.zip": _zip(tmp_path / "inner", {"c.dcm": photograph(2)}).read_bytes(),
        "letter.docx": _zip(tmp_path / "docx", {"[Content_Types].xml": b"x"}).read_bytes(),
        "notes.odt": _zip(tmp_path / "odt", {"mimetype": b"x"}).read_bytes(),
    }
    source = tmp_path / "in"
    if in_zip:
        _zip(source, files)
    else:
        source.mkdir()
        for name, data in files.items():
            (source / name).write_bytes(data)
    done = prepare(source, tmp_path / "out", *(["--name-files"] if named else []))
    assert done.exit_code == 0, done.output
    said = " ".join(done.output.split())
    assert f"unpack them, and prepare again: {'Maier.zip' if named else 'file 1'}" in said
    assert ("Maier" in said) == named
    assert "2 × no DICOM file" in said


def test_a_folder_of_archives_alone_says_why_there_is_nothing(tmp_path: Path) -> None:
    _zip(tmp_path / "x.zip", {"a.zip": _zip(tmp_path / "a.zip", {"c.dcm": photograph(2)}).read_bytes()})
    done = prepare(tmp_path / "x.zip", tmp_path / "out")
    assert done.exit_code != 0
    assert "unpack them, and prepare again: file 1" in " ".join(done.output.split())
