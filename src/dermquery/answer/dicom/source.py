"""The image that an object of DICOM is about, and who made the object."""

from __future__ import annotations

import re
from typing import Any, TypeVar

from pydicom.dataset import Dataset
from pydicom.sr.coding import Code
from pydicom.uid import generate_uid

from dermquery import __version__
from dermquery.data.dicom.attributes import day_of
from dermquery.data.dicom.values import number, text
from dermquery.store.hits import RESEARCH_USE

__all__ = ["MAKER", "SCHEME", "finished", "own_code", "source_image", "tracking"]

D = TypeVar("D", bound=Dataset)
SCHEME = "99DERMQ"
"""A private scheme: the codes of DICOM and SNOMED CT lack the seven criteria as Derm7pt has them."""
MAKER: dict[str, Any] = {
    "manufacturer": "dermquery",
    "manufacturer_model_name": "dermquery",
    "software_versions": __version__,
    "device_serial_number": "0",
}
_UIDS = ("SOPClassUID", "SOPInstanceUID", "StudyInstanceUID", "SeriesInstanceUID")
_UID = re.compile(r"(0|[1-9]\d*)(\.(0|[1-9]\d*))*")
_WORDS = ("PatientID", "PatientName", "StudyID", "AccessionNumber", "ReferringPhysicianName")
_DAYS, _SEXES = ("PatientBirthDate", "StudyDate"), frozenset({"M", "F", "O"})
_TIME = re.compile(r"([01]\d|2[0-3])[0-5]\d[0-5]\d(\.\d{1,6})?")


def source_image(dataset: Dataset) -> Dataset:
    """What objects about an image take from it: which one it is, and its patient and study, in UTF-8.

    What is written in another way than the standard has it is left empty, for it would make the new object invalid too.

    Args:
        dataset: attributes of the image; pixels are not needed.

    Raises:
        ValueError: it lacks what identifies it, or has more than one frame.
    """
    if lacking := [name for name in _UIDS if not _is_uid(text(dataset, name))]:
        raise ValueError(f"the image has no sound {', '.join(lacking)}, so that no object of DICOM can refer to it")
    if (frames := number(dataset, "NumberOfFrames") or 1) > 1:
        raise ValueError(
            f"the image has {frames:g} frames; objects of DICOM are written about images of one frame only"
        )
    found = Dataset()
    found.SpecificCharacterSet = "ISO_IR 192"
    for name in (*_UIDS, *_WORDS):
        setattr(found, name, text(dataset, name))
    for name in _DAYS:
        setattr(found, name, f"{day:%Y%m%d}" if (day := day_of(dataset, name)) else "")
    found.StudyTime = time if _TIME.fullmatch(time := text(dataset, "StudyTime")) else ""
    found.PatientSex = sex if (sex := text(dataset, "PatientSex")) in _SEXES else ""
    found.Rows, found.Columns = (int(number(dataset, name) or 0) for name in ("Rows", "Columns"))
    if _is_uid(uid := text(dataset, "FrameOfReferenceUID")):
        found.FrameOfReferenceUID = uid
    if _is_uid(uid := text(dataset, "TrackingUID")) and (name := text(dataset, "TrackingID")):
        found.TrackingUID, found.TrackingID = uid, name
    return found


def _is_uid(written: str) -> bool:
    return len(written) <= 64 and _UID.fullmatch(written) is not None


def own_code(value: str, meaning: str) -> Code:
    """A code of the private scheme; DICOM allows 16 characters for its value and 64 for its meaning."""
    return Code(value[:16], SCHEME, meaning[:64])


def finished(made: D, description: str) -> D:
    """An object with the name of its series, and with the private scheme declared."""
    scheme = Dataset()
    scheme.CodingSchemeDesignator, scheme.CodingSchemeName = SCHEME, "dermquery"
    scheme.CodingSchemeResponsibleOrganization = "dermquery"
    known = made.get("CodingSchemeIdentificationSequence") or []
    made.CodingSchemeIdentificationSequence = [*known, scheme]
    made.SeriesDescription = f"{description}. {RESEARCH_USE}"[:64]
    return made


def tracking(source: Dataset) -> tuple[str, str]:
    """UID and name by which the lesion is followed: the image's own, else new ones."""
    if "TrackingUID" in source:
        return str(source.TrackingUID), str(source.TrackingID)
    return generate_uid(prefix=None), "lesion of the query"
