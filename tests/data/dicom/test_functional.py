"""What an object says of single frames in its functional groups."""

from __future__ import annotations

import datetime
from pathlib import Path
from typing import Any

import numpy as np
import pydicom
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from pydicom.dataset import Dataset
from pydicom.sequence import Sequence
from pydicom.uid import UID, ExplicitVRBigEndian, ExplicitVRLittleEndian, ImplicitVRLittleEndian

from dermquery.data.case import Case
from dermquery.data.case_table import read_cases
from dermquery.data.dicom import functional
from dermquery.data.dicom.attributes import facts_of
from dermquery.data.dicom.functional import by_frame, of_all_frames
from dermquery.data.dicom.header import read_header
from dermquery.data.sources.dicom import prepare_dicom
from tests.data.dicom.made import DERMOSCOPIC, coded, dermoscopic, picture, put_pixels, written

SITES = {"back": ("66643007", "Skin of back"), "face": ("73897004", "Skin of face")}
SYNTAXES = (ExplicitVRLittleEndian, ImplicitVRLittleEndian, ExplicitVRBigEndian)


def groups(
    site: str | None = None, side: str | None = None, spacing: float | None = None, day: str | None = None
) -> Dataset:
    made = Dataset()
    anatomy, measures, content = Dataset(), Dataset(), Dataset()
    if site:
        anatomy.AnatomicRegionSequence = Sequence([coded(SITES[site][0], "SCT", SITES[site][1])])
    if side:
        anatomy.FrameLaterality = side
    if spacing:
        measures.PixelSpacing = [spacing, spacing]
    if day:
        content.FrameAcquisitionDateTime = f"{day}101112"
    made.FrameAnatomySequence, made.PixelMeasuresSequence = Sequence([anatomy]), Sequence([measures])
    made.FrameContentSequence = Sequence([content])
    return made


def enhanced(shared: Dataset | None, each: list[Dataset], frames: int, **attributes: Any) -> Dataset:
    frame = picture()
    pixels = np.stack([frame] * frames) if frames > 1 else frame
    made = put_pixels(dermoscopic(NumberOfFrames=frames, **attributes), pixels)
    if shared is not None:
        made.SharedFunctionalGroupsSequence = Sequence([shared])
    if each:
        made.PerFrameFunctionalGroupsSequence = Sequence(each)
    return made


_said = st.fixed_dictionaries(
    {
        "site": st.sampled_from([None, *SITES]),
        "side": st.sampled_from([None, "R", "L", "B"]),
        "spacing": st.sampled_from([None, 0.01, 0.02]),
        "day": st.sampled_from([None, "20200101", "20210203"]),
    }
)
_SIDES = {"R": "right", "L": "left", "B": "bilateral"}


@settings(max_examples=20)
@given(_said, st.lists(_said, max_size=4), st.integers(1, 4), st.sampled_from(SYNTAXES))
def test_the_frame_wins_over_all_frames_and_those_over_the_object(
    shared: dict[str, Any], each: list[dict[str, Any]], frames: int, syntax: UID
) -> None:
    made = enhanced(groups(**shared), [groups(**one) for one in each], frames)
    made.file_meta.TransferSyntaxUID = syntax
    made["PixelData"].VR = "OW"
    dataset = read_header(written(made)).dataset
    plain = facts_of(dataset, DERMOSCOPIC)
    described = by_frame(dataset, frames)
    assert len(described) == frames
    for place, one in enumerate(described):
        said = {name: (each[place].get(name) if place < len(each) else None) or shared[name] for name in shared}
        read = facts_of(one, DERMOSCOPIC)
        Case(case_id="x", image=Path("x"), **read)
        assert read["site"] == (said["site"] or "back")
        assert read["laterality"] == _SIDES[said["side"] or "L"]
        assert read["extra"].get("pixel_spacing_mm") == (f"{said['spacing']:g}" if said["spacing"] else None)
        day = said["day"] and datetime.datetime.strptime(said["day"], "%Y%m%d").date()  # noqa: DTZ007 - a day
        assert read["date"] == (day or datetime.date(2024, 4, 2))
        assert read["patient_id"] == "4711"
    assert facts_of(dataset, DERMOSCOPIC) == plain, "the object is left as it is"
    read = facts_of(of_all_frames(dataset, frames), DERMOSCOPIC)
    for name in ("site", "laterality", "date"):
        every = {facts_of(one, DERMOSCOPIC)[name] for one in described}
        assert read[name] in {*every, plain[name]}
        assert len(every) > 1 or read[name] in every


@pytest.mark.parametrize("named", [False, True])
def test_cases_and_copies_have_them(tmp_path: Path, named: bool) -> None:
    each = [groups(site="back", side="R"), groups(site="face", side="R")]
    made = enhanced(groups(spacing=0.02), each, 2, AnatomicRegionSequence=None, ImageLaterality=None)
    (tmp_path / "x").write_bytes(written(made))
    report = prepare_dicom(
        tmp_path / "x", tmp_path / "out", site_key=tmp_path / "key", keep_identity=named,
        objects=None if named else tmp_path / "objects",
    )  # fmt: skip
    assert [(case.site, case.laterality) for case in report.cases] == [("back", "right"), ("face", "right")]
    assert [case.pixel_spacing_mm for case in read_cases(tmp_path / "out" / "cases.csv")] == [0.02, 0.02]
    if named:
        return
    (path,) = (tmp_path / "objects").iterdir()
    copy = pydicom.dcmread(path)
    assert (copy.ImageLaterality, list(copy.PixelSpacing)) == ("R", [0.02, 0.02])
    assert "AnatomicRegionSequence" not in copy
    assert "FrameLaterality" not in copy


@pytest.mark.parametrize("too_long", [False, True])
def test_what_groups_do_not_say_is_told(tmp_path: Path, monkeypatch: pytest.MonkeyPatch, too_long: bool) -> None:
    made = enhanced(None, [groups(site="back")] * (3 if too_long else 2), 3, AnatomicRegionSequence=None)
    (tmp_path / "x").write_bytes(written(made))
    if too_long:
        monkeypatch.setattr(functional, "_MOST_BYTES", 100)
    report = prepare_dicom(tmp_path / "x", tmp_path / "out", site_key=tmp_path / "key")
    assert [case.site for case in report.cases] == ([None] * 3 if too_long else ["back", "back", None])
    count = 0 if too_long else 2
    assert any(f"of 3 frames the functional groups of {count} can be read" in note for note in report.notes)


def test_a_frame_that_contradicts_its_object_is_told(tmp_path: Path) -> None:
    (tmp_path / "x").write_bytes(written(enhanced(groups(side="R"), [], 1)))
    report = prepare_dicom(tmp_path / "x", tmp_path / "out", site_key=tmp_path / "key")
    assert [case.laterality for case in report.cases] == ["right"]
    assert any("FrameLaterality says right, ImageLaterality says left" in note for note in report.notes)


@settings(max_examples=20)
@given(st.binary(max_size=200), st.sampled_from(["SharedFunctionalGroupsSequence", "PerFrameFunctionalGroupsSequence"]))
def test_damaged_groups_say_nothing(noise: bytes, name: str) -> None:
    made = dermoscopic()
    made.add_new(name, "OB", noise)
    dataset = read_header(written(made)).dataset
    assert facts_of(by_frame(dataset, 1)[0], DERMOSCOPIC)["site"] == "back"
