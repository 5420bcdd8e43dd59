from __future__ import annotations

from dataclasses import replace
from pathlib import Path

import highdicom as hd
import numpy as np
import pytest
from pydicom import dcmread

from dermquery.answer.dicom.seg import regions, write_seg
from dermquery.answer.overlay import of_query
from dermquery.store.hits import SearchResult
from tests.answer.dicom.conftest import complaints
from tests.orthanc import Archive


def test_segments_are_where_the_overlay_is_bright(result: SearchResult, image: Path, tmp_path: Path) -> None:
    source = dcmread(image)
    path = write_seg(result, source, tmp_path / "seg.dcm")
    assert complaints(path) == []
    found = hd.seg.segread(path)
    labels = [found.get_segment_description(n).segment_label for n in found.segment_numbers]
    assert labels[0] == "alike, all levels"
    assert labels[1:] == [f"alike, {name} level" for name in result.base.levels]
    pixels = found.get_pixels_by_source_instance([source.SOPInstanceUID], segment_numbers=[1])[0, ..., 0]
    size = (source.Columns, source.Rows)
    veil = of_query(result, size, max(size))
    assert veil is not None
    opacity = np.asarray(veil)[..., 3]
    assert pixels.shape == opacity.shape
    assert opacity[pixels == 1].max() <= opacity[pixels == 0].min()
    assert 0 < pixels.mean() < 0.9


def test_it_belongs_to_the_image(result: SearchResult, image: Path) -> None:
    source, found = dcmread(image), regions(result, dcmread(image))
    assert found.StudyInstanceUID == source.StudyInstanceUID
    assert found.PatientID == source.PatientID
    described = found.get_segment_description(1)
    assert (described.tracking_uid, described.tracking_id) == ("2.25.7", "lesion 7")
    assert described.algorithm_type == hd.seg.SegmentAlgorithmTypeValues.AUTOMATIC


def test_an_archive_keeps_it(result: SearchResult, image: Path, tmp_path: Path, orthanc: Archive) -> None:
    own_id = orthanc.store(write_seg(result, dcmread(image), tmp_path / "seg.dcm"))
    assert orthanc.read(own_id) == dcmread(tmp_path / "seg.dcm")


def test_an_answer_that_was_not_explained_has_no_regions(result: SearchResult, image: Path) -> None:
    with pytest.raises(ValueError, match="no regions"):
        regions(replace(result, evidence=()), dcmread(image))
