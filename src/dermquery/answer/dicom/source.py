"""The image that an object of DICOM is about, and who made the object."""

from __future__ import annotations

import copy
from typing import Any, TypeVar

from pydicom.dataset import Dataset
from pydicom.sr.coding import Code
from pydicom.uid import generate_uid

from dermquery import __version__
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
_NEEDED = ("SOPClassUID", "SOPInstanceUID", "StudyInstanceUID", "SeriesInstanceUID", "Rows", "Columns")
_MAY_BE_EMPTY = (
    "PatientID", "PatientName", "PatientBirthDate", "PatientSex", "StudyID", "StudyDate", "StudyTime",
    "AccessionNumber", "ReferringPhysicianName",
)  # fmt: skip
"""Attributes of type 2: they have to be there, and may be empty."""


def source_image(dataset: Dataset) -> Dataset:
    """A copy of an image's attributes that objects about it can be made from.

    Args:
        dataset: of the image; pixels are not needed.

    Raises:
        ValueError: it lacks what identifies it, or has more than one frame.
    """
    if lacking := [name for name in _NEEDED if not dataset.get(name)]:
        raise ValueError(f"the image lacks {', '.join(lacking)}, so that no object of DICOM can refer to it")
    if (frames := int(dataset.get("NumberOfFrames") or 1)) > 1:
        raise ValueError(f"the image has {frames} frames; objects of DICOM are written about images of one frame only")
    found = copy.copy(dataset)
    for name in _MAY_BE_EMPTY:
        if name not in found:
            setattr(found, name, "")
    return found


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
    if source.get("TrackingUID") and source.get("TrackingID"):
        return str(source.TrackingUID), str(source.TrackingID)
    return generate_uid(prefix=None), "lesion of the query"
