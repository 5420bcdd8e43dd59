"""The target that reads DICOM objects: pixels, facts of the case, and de-identification."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

from pydicom.dataset import Dataset

from dermquery.data.case import Case
from dermquery.data.dicom.attributes import facts_of
from dermquery.data.dicom.container import DicomError
from dermquery.data.dicom.deidentify import check_shown, deidentified
from dermquery.data.dicom.header import Header, read_header
from dermquery.data.dicom.site_key import SiteKey
from tests.data.dicom.made import ENCODINGS, dermoscopic, encapsulated, jpeg, picture, put_pixels, written
from tests.fuzz.pictures import decode
from tests.fuzz.target import Reader, Target

__all__ = ["DICOM"]


def _object(_folder: Path) -> Reader:
    key = SiteKey(bytes(32))

    def read(data: bytes) -> None:
        decode(data)
        try:
            header = read_header(data)
            _case(header.dataset, header)
            check_shown(header, frozenset({"burned-in", "faces"}))
            _case(deidentified(header, key), header)
        except DicomError:
            return

    return read


def _case(attributes: Dataset, header: Header) -> None:
    Case(case_id="x", image=Path("x"), **facts_of(attributes, header.class_uid))


def _seeds() -> Sequence[bytes]:
    small = picture(16, 20)
    grey = put_pixels(dermoscopic(NumberOfFrames=2), small[None].repeat(2, 0)[..., 0].copy(), "MONOCHROME1")
    grey.WindowCenter, grey.WindowWidth = 100, 80
    planted = dermoscopic(PatientName="Muster^Anna", PatientBirthDate="19700101", AcquisitionDateTime="20240331101500")
    code = encapsulated(jpeg(small), "1.2.840.10008.1.2.4.50", "YBR_FULL_422", Rows=16, Columns=20)
    tiny = [written(grey), written(put_pixels(planted, small)), code]
    return [*tiny, *(make() for name, make in ENCODINGS.items() if name != "16 bits")]


_TAGS = [
    bytes.fromhex(tag)
    for tag in (
        "28001000", "28001100", "28000200", "28000400", "28000001", "28000101", "28000301", "28000800", "e07f1000",
        "10002000", "10001010", "08001822", "62002000", "02001000", "feff00e0", "feffdde0", "feff0de0", "ffffffff",
    )
]  # fmt: skip
_WORDS = [
    b"RGB ",
    b"YBR_FULL_422",
    b"MONOCHROME1 ",
    b"PALETTE COLOR ",
    b"SQ\0\0",
    b"OB\0\0",
    b"UN\0\0",
    b"US\2\0",
    b"LO",
]
_SYNTAXES = [f"1.2.840.10008.1.2{end}".encode() for end in ("", ".1", ".1.99", ".2", ".4.50", ".4.70", ".4.80", ".5")]
DICOM = Target(_object, _seeds, [*_TAGS, *_WORDS, *_SYNTAXES])
