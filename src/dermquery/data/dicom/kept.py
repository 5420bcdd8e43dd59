"""What of a DICOM object is kept when it is de-identified: attributes by name, each with the values that it may have.

A table of what has to go, such as PS3.15's, keeps what nobody thought of: an attribute of a later edition, Tracking ID
with a record number in it, a name in the meaning of a code. So everything else goes, and of what stays only values that
the standard defines, numbers, and the maker and model of the device.
"""

from __future__ import annotations

import re

from pydicom.dataset import Dataset
from pydicom.sequence import Sequence
from pydicom.uid import UID

from dermquery.data.dicom.attributes import age_of, date_of, day_of, patient_of
from dermquery.data.dicom.codes import current_code, meaning_of
from dermquery.data.dicom.values import items, numbers, text, texts
from dermquery.data.vocabulary.sites import SITES

__all__ = ["DATES", "UIDS", "kept_attributes"]

_YES_NO = frozenset({"YES", "NO"})
_SIDES = frozenset({"R", "L", "U", "B"})
_TERMS = {
    "Modality": frozenset({"DMS", "XC", "OT", "CFM", "ES", "GM", "SM", "OP", "PX"}),
    "PatientSex": frozenset({"M", "F", "O"}),
    "FrameLaterality": _SIDES,
    "ImageLaterality": _SIDES,
    "Laterality": _SIDES,
    "LightSourcePolarization": frozenset({"POLARIZED", "NON_POLARIZED"}),
    "ContactMethod": frozenset({"CONTACT", "NON_CONTACT"}),
    "ImmersionMedia": frozenset({"ULTRASOUND_GEL", "ALCOHOL", "WATER", "MINERAL_OIL", "PLASTIC_CAP"}),
    "BurnedInAnnotation": _YES_NO,
    "RecognizableVisualFeatures": _YES_NO,
    "PartialView": _YES_NO,
    "LossyImageCompression": frozenset({"00", "01"}),
    "ConversionType": frozenset({"DV", "DI", "DF", "WSD", "SD", "SI", "DRW", "SYN"}),
}
_NUMBERS = {
    "SeriesNumber": 1, "InstanceNumber": 1, "OpticalMagnificationFactor": 1, "EmitterColorTemperature": 1,
    "PixelSpacing": 2, "LossyImageCompressionRatio": 1,
}  # fmt: skip
"""Attributes and how many numbers they hold."""
_MOST = 99_999.0
"""A longer number may be that of a record."""
UIDS = ("SOPInstanceUID", "StudyInstanceUID", "SeriesInstanceUID", "FrameOfReferenceUID", "TrackingUID")
DATES = ("StudyDate", "AcquisitionDate", "ContentDate")
_DEVICE = ("Manufacturer", "ManufacturerModelName")
_NAMING = (
    "PatientName", "PatientID", "OtherPatientIDs", "OtherPatientNames", "PatientBirthName", "ReferringPhysicianName",
    "PerformingPhysicianName", "OperatorsName", "InstitutionName", "AccessionNumber", "StationName",
    "DeviceSerialNumber",
)  # fmt: skip
"""Whose words must not stand in the name of a device."""
_WORD = re.compile(r"[^\W_]{3,}")
_PRINTABLE = re.compile(r"[^\x20-\x7e\u00a0-\u024f]+")


def kept_attributes(dataset: Dataset, class_uid: str) -> Dataset:
    """A new data set of the attributes that may stay. Ids, UIDs and dates are the original ones, in one form.

    Args:
        dataset: of the object.
        class_uid: of its SOP class.
    """
    kept = Dataset()
    if UID(class_uid).type == "SOP Class":
        kept.SOPClassUID = class_uid
    for name, legal in _TERMS.items():
        if (term := text(dataset, name).upper()) in legal:
            setattr(kept, name, term)
    for name, count in _NUMBERS.items():
        found = numbers(dataset, name)[:count]
        if len(found) == count and all(0 <= each <= _MOST for each in found):
            _set_numbers(kept, name, found)
    for name in UIDS:
        if uid := text(dataset, name):
            kept.add_new(name, "UI", uid)
    _keep_ids(kept, dataset)
    _keep_days(kept, dataset)
    _keep_device(kept, dataset)
    _keep_regions(kept, dataset)
    return kept


def _set_numbers(kept: Dataset, name: str, found: tuple[float, ...]) -> None:
    whole = [int(each) if each.is_integer() else float(f"{each:.6g}") for each in found]
    written: object = whole if len(whole) > 1 else whole[0]
    if name in ("SeriesNumber", "InstanceNumber"):
        written = int(found[0])
    setattr(kept, name, written)


def _keep_ids(kept: Dataset, dataset: Dataset) -> None:
    """Numbers of patient and lesion together with the place that gave them, for only there they are unique."""
    patient = patient_of(dataset)
    kept.add_new("PatientID", "LO", patient)
    if named := text(dataset, "TrackingID"):
        kept.add_new("TrackingID", "UT", f"{patient or text(dataset, 'StudyInstanceUID')}/{named}")
    if accession := text(dataset, "AccessionNumber"):
        kept.add_new("AccessionNumber", "SH", accession)


def _keep_days(kept: Dataset, dataset: Dataset) -> None:
    if taken := date_of(dataset):
        kept.AcquisitionDate = kept.ContentDate = taken.strftime("%Y%m%d")
        kept.StudyDate = (day_of(dataset, "StudyDate") or taken).strftime("%Y%m%d")
    if (age := age_of(dataset)) is not None:
        kept.PatientAge = _age_written(age)


def _age_written(age: float) -> str:
    """An age string; months for small children, as the standard writes them."""
    return f"{round(age):03d}Y" if age >= 3 or age.is_integer() else f"{round(12 * age):03d}M"


def _keep_device(kept: Dataset, dataset: Dataset) -> None:
    naming = {
        word.casefold() for name in _NAMING for written in texts(dataset, name) for word in _WORD.findall(written)
    }
    for name in _DEVICE:
        written = _PRINTABLE.sub(" ", text(dataset, name))[:64].strip()
        if written and not naming & {word.casefold() for word in _WORD.findall(written)}:
            setattr(kept, name, written)


def _keep_regions(kept: Dataset, dataset: Dataset) -> None:
    regions = []
    for region in items(dataset, "AnatomicRegionSequence"):
        modifiers = [made for each in items(region, "AnatomicRegionModifierSequence") if (made := _coded(each))]
        coded = _coded(region) or _own_code(text(region, "CodeMeaning"))
        if coded is not None:
            if modifiers:
                coded.AnatomicRegionModifierSequence = Sequence(modifiers)
            regions.append(coded)
    if not regions and (named := _own_code(text(dataset, "BodyPartExamined"))):
        regions = [named]
    if regions:
        kept.AnatomicRegionSequence = Sequence(regions)


def _coded(item: Dataset) -> Dataset | None:
    """A coded term in the words of the standard; None if it is not the standard's."""
    value, scheme = current_code(text(item, "CodeValue"), text(item, "CodingSchemeDesignator"))
    meaning = meaning_of(value, scheme)
    return None if meaning is None else _code(value, scheme, meaning)


def _own_code(word: str) -> Dataset | None:
    """A site by its code, or if it has none by a code of ours; None if the vocabulary has no such word."""
    site = SITES.by_word.get(SITES.named(word) or "")
    if site is None:
        return None
    return _code(site.code, site.scheme, site.word) if site.code else _code(site.word[:16], "99DERMQ", site.word)


def _code(value: str, scheme: str, meaning: str) -> Dataset:
    code = Dataset()
    code.CodeValue, code.CodingSchemeDesignator, code.CodeMeaning = value, scheme, meaning[:64]
    return code
